"""Arrays and texts in files, each of which is there as a whole or not at all."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file in place of what ``path`` was. Raises ``OSError``."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def save_text(path: Path, text: str) -> None:
    """Write a text, as UTF-8. Raises ``OSError``."""
    save_bytes(path, text.encode())


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one array, which is never in memory twice. Raises ``OSError``."""
    unfinished = path.with_name(f"{path.name}.new")
    with unfinished.open("wb") as file:
        np.save(file, array)
    unfinished.replace(path)


def keep_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Keep what can be computed again. A folder that cannot be written is no error: the next run takes longer."""
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_bytes(path, packed.getvalue())
    except OSError:
        return


def kept_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]] | None:
    """The arrays with these names; None where the file is not there, is damaged or lacks one."""
    try:
        with np.load(path) as stored:
            return {name: stored[name] for name in names}
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return None
