"""Getting published files: once, checked by their hash, going on where an earlier try was cut off.

pooch checks and keeps the files; the bytes come through a downloader that continues a part. Where the network cannot
be reached, the error says which file to put where.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import IO, Any

from backend.datasets.catalogue import Published, Source
from backend.errors import DataError
from backend.types import Progress

_PIECE = 1 << 20
_TIMEOUT = 30  # seconds without a byte


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
        # As it is on the server: a .gz that is sent as an encoding would arrive unpacked.
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
