"""Training runs on one thread; what it trains on is made for the stages that tune."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from tests.storage.precompute.conftest import data as data
from tests.storage.precompute.conftest import tiny_folder as tiny_folder
from tests.storage.precompute.conftest import work as work


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    # Threads that wait for each other crawl where a machine's cores are shared.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
