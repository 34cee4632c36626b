"""Small raw folders to break, and the shipped dataset, prepared once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from backend.datasets import Dataset, prepare

MOVIES = 'movieId,title,genres\n10,Heat (1995),Action|Crime\n9,Babylon 5,(no genres listed)\n2,"A, B (2001)",Drama\n'
RATINGS = "userId,movieId,rating,timestamp\n2,10,3.5,50\n10,9,3,40\n2,9,1,20\n2,2,4,50\n"

RawFolder = Callable[..., Path]


@pytest.fixture
def raw(tmp_path: Path) -> RawFolder:
    """raw(movies=..., ratings=...) writes a raw folder; None leaves the file out."""

    def write(movies: str | bytes | None = MOVIES, ratings: str | bytes | None = RATINGS) -> Path:
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name, content in (("movies.csv", movies), ("ratings.csv", ratings)):
            if content is not None:
                (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


@pytest.fixture(scope="session")
def real_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("datasets")
    prepare("ml-latest-small", root)
    return root


@pytest.fixture(scope="session")
def real(real_root: Path) -> Dataset:
    from backend.datasets import load

    return load("ml-latest-small", real_root)
