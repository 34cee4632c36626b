"""Which formats there are, by lazy name, so that an adapter is imported only when its format is read; what ships."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from backend.errors import UnknownNameError, UsageError

if TYPE_CHECKING:
    from backend.datasets.reading import Reading
    from backend.datasets.schema import Dataset

    # an adapter; raises DataError
    Reader = Callable[[Reading], Dataset]

FORMATS: Mapping[str, str] = MappingProxyType(
    {
        "ml-1m": "backend.datasets.movielens:read_1m",
        "ml-100k": "backend.datasets.movielens:read_100k",
        "ml-csv": "backend.datasets.movielens:read_csv_form",
        "bookcrossing": "backend.datasets.bookcrossing:read",
        "amazon-2018": "backend.datasets.amazon:read_2018",
        "amazon-2023": "backend.datasets.amazon:read_2023",
        "custom": "backend.datasets.custom:read",
    }
)
# The datasets that ship, and their formats.
DATASETS: Mapping[str, str] = MappingProxyType({"ml-latest-small": "ml-csv"})

_BUNDLED = Path(__file__).parent / "data"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_META = "meta.json"


def check_name(name: str) -> None:
    """Raises ``UsageError`` for what cannot be a dataset's name: it is a folder's and a link's too."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} cannot be a dataset's name",
            expected="1 to 64 of a-z, 0-9, '.', '_' and '-', a letter or digit first",
        )


def known_names(root: Path) -> list[str]:
    """The datasets that ship and those that are prepared in ``root``: the former first, then by name."""
    there = {path.parent.name for path in root.glob(f"*/{_META}") if _NAME.fullmatch(path.parent.name)}
    return [*DATASETS, *sorted(there - DATASETS.keys())]


def require_known(name: str, root: Path) -> None:
    """Raises ``UnknownNameError``, listing the known names, for a dataset that neither ships nor is prepared."""
    if name not in DATASETS and not (_NAME.fullmatch(name) and (root / name / _META).is_file()):
        raise UnknownNameError(
            "dataset", name, known_names(root), fix="import it: rallrec data import PATH --name NAME --format FORMAT"
        )


def command_for(name: str) -> str:
    """The command that prepares a dataset, or prepares it anew."""
    return f"rallrec prepare --dataset {name}" if name in DATASETS else f"rallrec data import PATH --name {name}"


def reader(format_name: str) -> Reader:
    """The adapter of a format. Raises ``UnknownNameError``."""
    if format_name not in FORMATS:
        raise UnknownNameError("format", format_name, FORMATS)
    module, _, function = FORMATS[format_name].partition(":")
    return cast("Reader", getattr(import_module(module), function))


def bundled_source(name: str) -> Path | None:
    """The raw data that is shipped with the package; None for a dataset that does not ship."""
    path = _BUNDLED / f"{name}.zip"
    return path if name in DATASETS and path.is_file() else None
