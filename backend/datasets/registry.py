"""Which datasets there are, by lazy name, so that an adapter is imported only when its dataset is prepared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from backend.errors import UnknownNameError
from backend.types import Progress

if TYPE_CHECKING:
    from backend.datasets.schema import Dataset
    from backend.datasets.tables import RowProblems

    # an adapter: (source, what to do with bad rows, progress) -> dataset; raises DataError
    Reader = Callable[[Path, RowProblems, Progress], Dataset]

DATASETS: Mapping[str, str] = MappingProxyType({"ml-latest-small": "backend.datasets.movielens:read_small"})

_BUNDLED = Path(__file__).parent / "data"


def require_known(name: str) -> None:
    """Raises ``UnknownNameError``, listing the known names, for a dataset that is not in ``DATASETS``."""
    if name not in DATASETS:
        raise UnknownNameError("dataset", name, DATASETS)


def reader(name: str) -> Reader:
    """The adapter of a dataset. Raises ``UnknownNameError``."""
    require_known(name)
    module, _, function = DATASETS[name].partition(":")
    return cast("Reader", getattr(import_module(module), function))


def bundled_source(name: str) -> Path | None:
    """The raw data that is shipped with the package, or None. Raises ``UnknownNameError``."""
    require_known(name)
    path = _BUNDLED / f"{name}.zip"
    return path if path.is_file() else None
