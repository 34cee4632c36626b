"""Raw bytes of named files, from a folder or a zip. What the bytes mean is left to ``tables`` and the adapters."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from backend.errors import DataError
from backend.seeding import digest


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
