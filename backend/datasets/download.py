"""The public datasets: where they are published, under which licence, with which hashes; and getting their files.

A file is fetched once, checked by its hash, going on where an earlier try was cut off. pooch checks and keeps the
files; the bytes come through a downloader that continues a part. Where the network cannot be reached, the error says
which file to put where.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from backend.datasets.movielens import LICENCE as GROUPLENS
from backend.errors import DataError
from backend.types import Progress

_PIECE = 1 << 20
_TIMEOUT = 30  # seconds without a byte


@dataclass(frozen=True)
class Source:
    """One file. ``hash``: pooch's spelling (``sha256:...``); empty where its publisher names none."""

    url: str
    hash: str = ""

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Published:
    """A dataset with its files, the format that reads them, and what its makers ask for (on ``page``)."""

    title: str
    format: str
    sources: tuple[Source, ...]
    licence: str
    page: str


_ML = "https://files.grouplens.org/datasets/movielens"
_AMAZON_2018 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_v2"
_AMAZON_2023 = "https://mcauleylab.ucsd.edu/public_datasets/data/amazon_2023/raw"
_UCSD = "For research, with citation of the paper that its page names; no warranty"

CATALOGUE: Mapping[str, Published] = MappingProxyType(
    {
        "ml-1m": Published(
            "MovieLens 1M", "ml-1m",
            (Source(f"{_ML}/ml-1m.zip", "sha256:a6898adb50b9ca05aa231689da44c217cb524e7ebd39d264c56e2832f2c54e20"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/1m/",
        ),
        "ml-100k": Published(
            "MovieLens 100K", "ml-100k", (Source(f"{_ML}/ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/100k/",
        ),
        "ml-25m": Published(
            "MovieLens 25M", "ml-csv", (Source(f"{_ML}/ml-25m.zip", "md5:6b51fb2759a8657d3bfcbfc42b592ada"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/25m/",
        ),
        "ml-32m": Published(
            "MovieLens 32M", "ml-csv",
            (Source(f"{_ML}/ml-32m.zip", "sha256:e4a68655d7386b8f95f2f2424b2ff975dfdd15ffd59e0d864a14dca43e99d6ee"),),
            GROUPLENS, "https://grouplens.org/datasets/movielens/32m/",
        ),
        "bookcrossing": Published(
            "BookCrossing", "bookcrossing",
            (Source("http://www2.informatik.uni-freiburg.de/~cziegler/BX/BX-CSV-Dump.zip"),),
            "Free for research, with acknowledgement of its makers (Ziegler et al., WWW 2005)",
            "http://www2.informatik.uni-freiburg.de/~cziegler/BX/",
        ),
        "amazon-2018": Published(
            "Amazon Movies & TV 2018", "amazon-2018",
            (
                Source(f"{_AMAZON_2018}/categoryFiles/Movies_and_TV.json.gz"),
                Source(f"{_AMAZON_2018}/metaFiles2/meta_Movies_and_TV.json.gz"),
            ),
            _UCSD, "https://nijianmo.github.io/amazon/",
        ),
        "amazon-2023": Published(
            "Amazon Movies & TV 2023", "amazon-2023",
            (
                Source(f"{_AMAZON_2023}/review_categories/Movies_and_TV.jsonl.gz"),
                Source(f"{_AMAZON_2023}/meta_categories/meta_Movies_and_TV.jsonl.gz"),
            ),
            _UCSD, "https://amazon-reviews-2023.github.io/",
        ),
    }
)  # fmt: skip


def fetch(published: Published, folder: Path, progress: Progress) -> list[Path]:
    """The dataset's files in ``folder``, fetched where they are missing; a file there with another hash is an error.

    A file whose publisher names no hash is held to the one that it had when it was fetched. Raises ``DataError``.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder} cannot be written ({error})", fix="set RALLREC_HOME to another folder") from error
    return [_fetch_one(source, published, folder, progress) for source in published.sources]


def _fetch_one(source: Source, published: Published, folder: Path, progress: Progress) -> Path:
    import pooch
    import requests

    noted = folder / f"{source.file}.sha256"
    known = source.hash or (f"sha256:{noted.read_text('utf-8').strip()}" if noted.is_file() else None)
    there = folder / source.file
    if there.is_file() and known and not pooch.hashes.hash_matches(str(there), known):
        raise DataError(
            f"{there} is not the file that is published: its hash is another", expected=known, fix=f"delete {there}"
        )
    try:
        path = Path(
            pooch.retrieve(source.url, known, fname=source.file, path=folder, downloader=Continuing(folder, progress))
        )
    except (requests.RequestException, OSError) as error:
        raise DataError(
            f"{source.url} cannot be fetched ({_reason(error)})",
            expected=f"{source.file} in {folder}",
            fix=f"try again (it goes on where it was), or get {source.file} elsewhere ({published.page}), put it at "
            f"{there} and run the same command",
        ) from error
    except ValueError as error:  # pooch: the hash of what came is another
        (folder / f"{source.file}.part").unlink(missing_ok=True)
        raise DataError(
            f"What came from {source.url} is not the published file", expected=known, fix="try again"
        ) from error
    if not source.hash:
        noted.write_text(pooch.file_hash(str(path), alg="sha256") + "\n", "utf-8")
    return path


def _reason(error: Exception) -> str:
    """The last cause in a few words: requests' own messages hold the whole history of a call."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    return type(error).__name__


class Continuing:
    """A downloader for pooch: bytes go to ``<folder>/<file>.part``, and a part that is there is continued."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._folder, self._progress = folder, progress

    def __call__(self, url: str, output_file: str | IO[bytes], _pooch: Any, check_only: bool = False) -> None:  # noqa: ARG002
        import requests

        name = url.rpartition("/")[2]
        part = self._folder / f"{name}.part"
        start = part.stat().st_size if part.is_file() else 0
        # The file is to come as it is on the server: a .gz that is sent as an encoding would arrive unpacked.
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            if start and response.status_code == 416:  # nothing is behind what is there: it was whole
                start = -1
            else:
                response.raise_for_status()
                start = start if response.status_code == 206 else 0
                self._write(response, part, start, name)
        if isinstance(output_file, str):
            shutil.copyfile(part, output_file)
        else:
            with part.open("rb") as whole:
                shutil.copyfileobj(whole, output_file)
        part.unlink()

    def _write(self, response: Any, part: Path, start: int, name: str) -> None:
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        done = start
        with part.open("ab" if start else "wb") as file:
            for piece in response.iter_content(_PIECE):
                file.write(piece)
                done += len(piece)
                self._progress(f"fetching {name}", done / total if total else None)
        if total is not None and done < total:
            raise OSError(f"{done} of {total} bytes came")
