"""The golden cases: what every implementation of the method must answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from backend.evaluation.metrics import gauc
from backend.merging import merge
from backend.representation import mix, ssl_loss
from backend.retrieval import rerank

Golden = Callable[[str], list[dict[str, Any]]]


def _cases(golden: Golden, name: str) -> list[tuple[dict[str, Any], Any]]:
    cases = golden(name)
    assert cases, f"{name}.json holds no case"
    return [({key: value for key, value in case.items() if key != "expected"}, case["expected"]) for case in cases]


def test_rerank_chooses_the_golden_items_in_the_golden_order(golden: Golden) -> None:
    for arguments, expected in _cases(golden, "rerank"):
        rows = rerank(**arguments)
        ranks = [[row.item, row.relevance_rank, row.recency_rank] for row in rows]
        assert ranks == [[item, relevance, recency] for item, _, relevance, recency in expected], arguments
        np.testing.assert_allclose([row.score for row in rows], [row[1] for row in expected], rtol=0, atol=1e-9)


def test_merge_gives_the_golden_probabilities(golden: Golden) -> None:
    for arguments, expected in _cases(golden, "merge"):
        np.testing.assert_allclose(merge(**arguments), expected, rtol=0, atol=1e-9, err_msg=str(arguments))


def test_mix_gives_the_golden_vectors(golden: Golden) -> None:
    for arguments, expected in _cases(golden, "mix"):
        np.testing.assert_allclose(mix(**arguments), expected, rtol=0, atol=1e-9)


def test_ssl_loss_gives_the_golden_losses_in_float32(golden: Golden) -> None:
    for arguments, expected in _cases(golden, "ssl_loss"):
        text, collaborative = (torch.tensor(arguments.pop(name)) for name in ("projected_text", "collaborative"))
        loss = ssl_loss(text, collaborative, **arguments)
        assert loss.dtype == torch.float32
        assert float(loss) == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_gauc_gives_the_golden_areas(golden: Golden) -> None:
    cases = _cases(golden, "gauc")
    for arguments, expected in cases:
        area = float("nan") if expected is None else expected
        np.testing.assert_allclose(gauc(**arguments), area, rtol=0, atol=1e-9, equal_nan=True)
