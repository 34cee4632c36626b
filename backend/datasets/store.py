"""Prepared datasets on disk: ``<root>/<name>/{users,items,interactions}.parquet`` and ``meta.json``.

A dataset is there as a whole or not at all, and what is loaded is checked against the hash of what was written. Where
the root lies is left to the caller.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.datasets.registry import DATASETS, bundled_source, check_name, command_for, reader, require_known
from backend.datasets.schema import SCHEMA_VERSION, Dataset, DatasetMeta
from backend.errors import DataError, NotPreparedError, UnknownNameError, UsageError
from backend.types import Progress

META = "meta.json"
INTERACTIONS = ("user_index", "item_index", "rating", "timestamp")


def prepare(
    name: str,
    root: Path,
    *,
    source: Path | None = None,
    skip_bad_rows: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """:func:`import_data` for a dataset that ships (``source``: other raw files of its format; None: the shipped ones).

    Raises ``UnknownNameError`` for one that does not, ``DataError``.
    """
    if name not in DATASETS:
        raise UnknownNameError(
            "dataset that ships",
            name,
            DATASETS,
            fix="import others: rallrec data import PATH --name NAME --format FORMAT",
        )
    source = source or bundled_source(name)
    if source is None:
        raise UsageError(f"{name} is missing from this installation", expected="its raw files", fix="--source PATH")
    return import_data(source, name, DATASETS[name], root, skip_bad_rows=skip_bad_rows, progress=progress)


def import_data(
    source: Path,
    name: str,
    format_name: str,
    root: Path,
    *,
    mapping: Path | None = None,
    rules: Mapping[str, Any] | None = None,
    skip_bad_rows: bool = False,
    needs_training: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Read the raw files (a folder or archive), check them, write the dataset under ``name``.

    ``mapping``: for the format ``custom``; ``rules``: what is to differ from the format's own
    :class:`~backend.datasets.rules.Rules`; ``needs_training``: whether data without a sample to learn from is refused.
    What was there under this name is replaced at the very end. Raises
    ``UsageError``, ``UnknownNameError``, ``DataError`` (a broken file, with its line; nothing is written then).
    """
    from backend.datasets.reading import Reading
    from backend.datasets.tables import RowProblems

    check_name(name)
    read = reader(format_name)
    if (mapping is not None) != (format_name == "custom"):
        raise UsageError(
            f"The format {format_name} {'takes no' if mapping else 'needs a'} mapping file",
            expected="--mapping with the format custom, and only there",
            fix="make one: rallrec data describe FILE",
        )
    report = progress or (lambda _what, _fraction: None)
    dataset = read(Reading(source, name, RowProblems(skip=skip_bad_rows), report, rules or {}, mapping))
    if needs_training:
        _check_training(dataset)
    report("writing the dataset", 0.9)
    try:
        _write(dataset, root)
    except OSError as error:
        raise DataError(
            f"The dataset cannot be written under {root} ({error})",
            fix="free some space, or set RALLREC_HOME to a folder that can be written",
        ) from error
    report("prepared", 1.0)
    return dataset


def _check_training(dataset: Dataset) -> None:
    """Raise ``DataError`` where the train part has no sample: nothing could be learned or counted."""
    from backend.datasets.samples import build_samples, split

    samples, rules = build_samples(dataset), dataset.meta.rules
    if not len(split(samples, dataset).train):
        raise DataError(
            f"There is no training sample: {dataset.n_interactions:,} ratings of {dataset.n_users:,} users give "
            f"{len(samples):,} samples, of which the split {rules.split} leaves none to learn from",
            expected=f"users with more than {rules.min_history} ratings, and a share of their samples for train",
            fix="give more ratings, or import with a smaller --min-history, another --split or a larger --train",
        )


def is_prepared(name: str, root: Path) -> bool:
    """Whether the dataset can be loaded from ``root``. Raises ``UnknownNameError``."""
    require_known(name, root)
    return (root / name / META).is_file()


def stored_hash(name: str, root: Path) -> str:
    """What is stored under ``name`` by the hash of its content; empty where nothing is, or nothing readable."""
    try:
        stored = json.loads((root / name / META).read_bytes())["data_hash"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return stored if isinstance(stored, str) else ""


def load(name: str, root: Path) -> Dataset:
    """The prepared dataset. Raises ``UnknownNameError``, ``NotPreparedError``, ``DataError`` (damaged files)."""
    again = command_for(name)
    if not is_prepared(name, root):
        raise NotPreparedError(f"The dataset {name} is not prepared in {root}", fix=f"run: {again}")
    folder = root / name
    try:
        meta = DatasetMeta.model_validate_json((folder / META).read_bytes())
        if meta.schema_version != SCHEMA_VERSION or meta.name != name:
            raise ValueError(f"meta.json is of {meta.name}, version {meta.schema_version} of the files")
        dataset = _read(folder, meta)
    # pyarrow raises ValueErrors, OSErrors and KeyErrors; pydantic's error comes first, to shorten its message.
    except ValidationError as error:
        problem = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise DataError(f"{folder / META} is damaged ({problem})", fix=f"run: {again}") from error
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"The dataset in {folder} is damaged ({error})", fix=f"run: {again}") from error
    return dataset


def _read(folder: Path, meta: DatasetMeta) -> Dataset:
    import numpy as np
    import pyarrow.parquet as pq

    from backend.datasets.build import block_starts, content_hash

    users, items, interactions = (
        pq.read_table(folder / f"{table}.parquet") for table in ("users", "items", "interactions")
    )
    user_frame, item_frame = users.to_pandas(), items.to_pandas()
    item_frame["categories"] = [tuple(values) for values in item_frame["categories"]]
    arrays = {column: np.array(interactions[column]) for column in INTERACTIONS}
    if content_hash(meta, user_frame, item_frame, *arrays.values()) != meta.data_hash:
        raise ValueError("the tables, or what they mean, are not those that meta.json was written for")
    user_ptr = block_starts(arrays["user_index"], len(user_frame))
    return Dataset(meta=meta, users=user_frame, items=item_frame, user_ptr=user_ptr, **arrays)


def _write(dataset: Dataset, root: Path) -> None:
    """Write beside the final place, then rename: a killed run leaves at most a hidden folder of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    name = dataset.meta.name
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root, ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch) / "new"
        folder.mkdir()
        tables = {
            "users": pa.Table.from_pandas(dataset.users, preserve_index=False),
            "items": pa.Table.from_pandas(dataset.items, preserve_index=False),
            "interactions": pa.table({column: getattr(dataset, column) for column in INTERACTIONS}),
        }
        for table, content in tables.items():
            pq.write_table(content, folder / f"{table}.parquet")
        (folder / META).write_text(dataset.meta.model_dump_json(indent=2) + "\n", encoding="utf-8")
        _put_in_place(folder, root / name, Path(scratch))


def _put_in_place(new: Path, final: Path, scratch: Path) -> None:
    """Rename ``new`` to ``final``; what is there moves into ``scratch`` first, also if another run puts it there."""
    for attempt in range(10):
        try:
            os.rename(new, final)
            return
        except OSError:  # most likely it is there already
            if attempt == 9:
                raise
        with suppress(FileNotFoundError):  # another run took it away in between
            os.rename(final, scratch / f"old-{attempt}")
