"""Raw bytes of named files, from a folder or a zip, and JSON lines as a stream. What they mean is left to the adapters.

A stream yields (line, object) pairs from a plain or gzipped file in the memory of one line; its bytes are hashed as
they pass, so that no file is read twice.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

import orjson

from backend.datasets.tables import RowProblems
from backend.errors import DataError
from backend.seeding import digest
from backend.types import Progress

_REPORT_EVERY = 20_000  # lines


def read_files(source: Path, names: Sequence[str]) -> dict[str, bytes]:
    """The bytes of each of ``names``, from the folder ``source`` itself or from any folder inside the zip ``source``.

    Raises ``DataError`` for a missing or unreadable source, for a missing file and for a corrupt zip.
    """
    if not source.exists():
        raise DataError(f"There is no {source}", expected=_expected(names), fix="check the path given as the source")
    try:
        if source.is_dir():
            return {name: _from_folder(source, name, names) for name in names}
        with zipfile.ZipFile(source) as archive:
            return {name: archive.read(_member(archive, source, name, names)) for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{source} cannot be read as a zip ({error})",
            expected=_expected(names),
            fix="download it again, it may be cut short; or unpack it and give the folder as the source",
        ) from error
    except OSError as error:
        raise DataError(f"{source} cannot be read ({error})", fix="check its permissions") from error


def hash_files(files: Mapping[str, bytes]) -> str:
    """SHA-256 over names and bytes; the same whether the files came from a zip or a folder."""
    return digest({name: hashlib.sha256(data).hexdigest() for name, data in files.items()})


class JsonLines:
    """The lines of ``name`` in ``source`` (a folder, or a zip); after they were read, ``sha256`` is that of the file.

    A line that is no JSON object is a bad row. Raises ``DataError`` for a file that cannot be read to its end.
    """

    def __init__(self, source: Path, name: str) -> None:
        self._source, self.name = source, name
        self.sha256 = ""

    def read(self, problems: RowProblems, progress: Progress, start: float, end: float) -> Iterator[tuple[int, Any]]:
        """Progress goes from ``start`` to ``end`` with the bytes of the file."""
        file = Path(self.name).name
        try:
            with _opened(self._source, self.name) as (raw, size):
                passed = _Hashed(raw)
                text = gzip.GzipFile(fileobj=passed) if self.name.endswith(".gz") else passed
                for line, row in enumerate(io.BufferedReader(text, 1 << 20), 1):
                    if line % _REPORT_EVERY == 0:
                        progress(f"reading {file}", start + (end - start) * min(1.0, passed.count / max(size, 1)))
                    parsed = _parsed(row)
                    if parsed is not None:
                        yield line, parsed
                    elif row.strip():
                        problems.add(file, line, "no JSON object", f"{_short(row)} is no JSON object", '{"...": ...}')
                while passed.read(1 << 20):  # what is behind the end of the text is hashed too
                    pass
                self.sha256 = passed.sha.hexdigest()
        except (EOFError, zlib.error, OSError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{file} cannot be read to its end ({error})",
                expected="JSON lines, plain or gzipped",
                fix="get the file again, it may be cut short",
            ) from error


def file_names(source: Path) -> list[str]:
    """Names of the files of a folder, or in a zip. Raises ``DataError``."""
    try:
        if source.is_dir():
            return sorted(path.name for path in source.iterdir() if path.is_file())
        with zipfile.ZipFile(source) as archive:
            return sorted(name for name in archive.namelist() if not name.startswith("__MACOSX/"))
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"{source} cannot be read as a folder or zip ({error})", fix="check the path") from error


@contextmanager
def _opened(source: Path, name: str) -> Iterator[tuple[IO[bytes], int]]:
    """The file and its size in bytes."""
    if source.is_dir():
        with (source / name).open("rb") as file:
            yield file, (source / name).stat().st_size
    else:
        with zipfile.ZipFile(source) as archive, archive.open(name) as file:
            yield file, archive.getinfo(name).file_size


class _Hashed(io.RawIOBase):
    """Bytes of ``raw``, hashed and counted as they pass."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw, self.sha, self.count = raw, hashlib.sha256(), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._raw.read(len(buffer))
        buffer[: len(data)] = data
        self.sha.update(data)
        self.count += len(data)
        return len(data)


def _parsed(row: bytes) -> dict[str, Any] | None:
    try:
        parsed = orjson.loads(row)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _short(row: bytes) -> str:
    text = row[:60].decode("utf-8", "replace").strip()
    return repr(text if len(row) <= 60 else text + "...")


def _from_folder(folder: Path, name: str, names: Sequence[str]) -> bytes:
    path = folder / name
    if not path.is_file():
        raise _missing(folder, name, names)
    return path.read_bytes()


def _member(archive: zipfile.ZipFile, source: Path, name: str, names: Sequence[str]) -> zipfile.ZipInfo:
    # macOS adds shadow copies of every file under __MACOSX
    hits = [
        info
        for info in archive.infolist()
        if PurePosixPath(info.filename).name == name and not info.filename.startswith("__MACOSX/")
    ]
    if not hits:
        raise _missing(source, name, names)
    if len(hits) > 1:
        where = ", ".join(info.filename for info in hits)
        raise DataError(f"{source} holds {name} more than once ({where})", expected="one", fix="remove the others")
    return hits[0]


def _missing(source: Path, name: str, names: Sequence[str]) -> DataError:
    return DataError(
        f"There is no {name} in {source}",
        expected=_expected(names),
        fix="give the folder or zip of the complete dataset as the source",
    )


def _expected(names: Sequence[str]) -> str:
    return f"a folder or a zip that holds {' and '.join(names)}"
