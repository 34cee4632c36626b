"""Tables: Parquet with flat and nested columns, and a wide CSV for spreadsheets that runs no formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from backend.labelling.judgement import preferred_side
from backend.labelling.record import Label
from backend.labelling.rubric import RUBRICS
from backend.prompting.steps import split_steps

if TYPE_CHECKING:
    import pyarrow as pa

# What makes a spreadsheet take a cell for a formula, full-width forms included (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_BREAKS = ("\t", "\r", "\n")
_ROWS = 1000


def neutral(text: str) -> str:
    """The text as a spreadsheet shows it and never runs it: an apostrophe before what it would take for a formula.

    Space before the sign does not protect: some programs strip it first.
    """
    return f"'{text}" if text.startswith(_BREAKS) or text.lstrip().startswith(_FORMULA) else text


def write_csv(labels: Iterable[Label], out: BinaryIO) -> int:
    """A row per label, of any status; three columns per step, as many as the longest chain has. UTF-8 with a mark.

    Of two chains that are compared both are there, with which one is better (``preferred_side``).
    Texts are neutralised (:func:`neutral`); numbers stay numbers. Returns how many rows.
    """
    rows = [_wide(label) for label in labels]
    longest = max((len(steps) for _, steps in rows), default=0)
    names = [
        *_columns(),
        *(f"step_{n}_{part}" for n in range(1, longest + 1) for part in ("judgement", "tags", "text")),
    ]
    text = io.TextIOWrapper(out, encoding="utf-8-sig", errors="backslashreplace", newline="", write_through=True)
    sheet = csv.writer(text)
    sheet.writerow(names)
    for plain, steps in rows:
        cells = [*plain.values(), *(part for step in steps for part in step)]
        cells += [""] * (len(names) - len(cells))
        sheet.writerow([_cell(value) for value in cells])
    text.detach()
    return len(rows)


def write_parquet(labels: Iterable[Label], out: BinaryIO) -> int:
    """A row per label: flat columns as in the CSV, ``scales`` and ``judged_steps`` nested, ``chains`` as they were.

    Its types do not depend on the rows, so that files of different projects can be read together. Returns how many.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema, count = _schema(), 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        batch: list[dict[str, Any]] = []
        for label in labels:
            batch.append(_nested(label))
            count += 1
            if len(batch) == _ROWS:
                writer.write_table(pa.Table.from_pylist(batch, schema=schema))
                batch = []
        writer.write_table(pa.Table.from_pylist(batch, schema=schema))
    return count


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return neutral(value) if isinstance(value, str) else value


def _scales() -> list[str]:
    return list(dict.fromkeys(scale.name for rubric in RUBRICS.values() for scale in rubric.scales))


def _columns() -> list[str]:
    return list(_FLAT) + [f"scale_{name}" for name in _scales()]


def _wide(label: Label) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    plain = {name: _of(label, name) for name in _FLAT}
    plain |= {f"scale_{name}": label.judgement.scales.get(name) for name in _scales()}
    return plain, [(step["value"] or "", " ".join(step["tags"]), step["text"]) for step in _judged(label)]


def _judged(label: Label) -> list[dict[str, Any]]:
    """The first chain's steps, judged or not."""
    steps = []
    for step in split_steps(label.chains[0].text):
        judged = label.judgement.steps.get(step.id)
        steps.append(
            {
                "id": step.id,
                "text": step.text,
                "value": judged.value if judged else None,
                "tags": list(judged.tags) if judged else [],
            }
        )
    return steps


# Flat columns: the name, the type in Parquet, and where it is found.
_FLAT: dict[str, tuple[str, str]] = {
    "id": ("string", "id"),
    "kind": ("string", "kind"),
    "project": ("string", "project.name"),
    "project_key": ("string", "project_key"),
    "task": ("string", "task"),
    "author": ("string", "author"),
    "status": ("string", "status"),
    "created_at": ("time", "created_at"),
    "updated_at": ("time", "updated_at"),
    "submitted_at": ("time", "submitted_at"),
    "seconds": ("double", "seconds"),
    "blind": ("bool", "blind"),
    "rubric": ("string", "rubric"),
    "gold": ("bool", "gold"),
    "qualification": ("bool", "qualification"),
    "skip_reason": ("string", "skip_reason"),
    "verdict": ("string", "judgement.verdict"),
    "confidence": ("int64", "judgement.confidence"),
    "missing_step": ("bool", "judgement.missing_step"),
    "preferred": ("string", "judgement.preferred"),
    "preferred_side": ("string", "side"),
    "comment": ("string", "judgement.comment"),
    "corrected": ("string", "judgement.corrected"),
    "dataset": ("string", "chain.dataset"),
    "data_hash": ("string", "chain.data_hash"),
    "user": ("string", "chain.user"),
    "item": ("string", "chain.item"),
    "title": ("string", "chain.title"),
    "truth": ("bool", "chain.truth"),
    "chain": ("string", "chain.id"),
    "chain_text": ("string", "chain.text"),
    "chain_verdict": ("string", "chain.verdict"),
    "chain_p_yes": ("double", "chain.p_yes"),
    "chain_tokens": ("int64", "chain.tokens"),
    "second_chain": ("string", "second.id"),
    "second_chain_text": ("string", "second.text"),
    "second_chain_verdict": ("string", "second.verdict"),
    "second_chain_p_yes": ("double", "second.p_yes"),
    "model": ("string", "chain.model"),
    "prompt_hash": ("string", "chain.prompt_hash"),
    "knowledge_sentence": ("string", "chain.knowledge"),
    "recipe": ("string", "setting.recipe"),
    "gamma": ("double", "setting.gamma"),
    "beta": ("double", "setting.beta"),
    "k": ("int64", "setting.k"),
    "alpha": ("double", "setting.alpha"),
    "epsilon": ("double", "setting.epsilon"),
    "traces": ("int64", "setting.traces"),
    "seed": ("int64", "setting.seed"),
    "strategy": ("string", "setting.strategy"),
    "variant": ("string", "setting.variant"),
    "knowledge": ("string", "setting.knowledge"),
    "p_g": ("double", "setting.p_g"),
    "var_g": ("double", "setting.var_g"),
    "p_r": ("double", "setting.p_r"),
    "var_r": ("double", "setting.var_r"),
    "p_final": ("double", "setting.p_final"),
}


# What a path may start with beside a field of the label. Of a label of one chain there is no second.
_PARTS: dict[str, Callable[[Label], Any]] = {
    "chain": lambda label: label.chains[0],
    "second": lambda label: label.chains[1] if len(label.chains) > 1 else None,
    "side": lambda label: preferred_side(label.judgement, [chain.id for chain in label.chains]),
}


def _of(label: Label, column: str) -> Any:
    kind, path = _FLAT[column]
    first, *rest = path.split(".")
    value = _PARTS[first](label) if first in _PARTS else getattr(label, first)
    for part in rest:
        value = None if value is None else getattr(value, part)
    if kind == "string" and isinstance(value, dict):
        return " ".join(f"{name}={part}" for name, part in sorted(value.items()) if part is not None)
    return value.isoformat() if kind == "time" and value is not None else value


def _nested(label: Label) -> dict[str, Any]:
    """A row of the Parquet file. Half surrogates have no bytes there: they become their escape."""
    times = {name: getattr(label, name) for name, (kind, _) in _FLAT.items() if kind == "time"}
    flat = {name: _of(label, name) for name in _FLAT} | times
    nested = {
        "scales": {name: label.judgement.scales.get(name) for name in _scales()},
        "judged_steps": _judged(label),
        "chains": [
            {"id": chain.id, "prompt": chain.prompt, "text": chain.text, "verdict": chain.verdict, "p_yes": chain.p_yes}
            for chain in label.chains
        ],
        "history": [past.model_dump() for past in label.chains[0].history],
    }
    return {name: _encodable(value) for name, value in (flat | nested).items()}


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {name: _encodable(part) for name, part in value.items()}
    return [_encodable(part) for part in value] if isinstance(value, Sequence) else value


def _schema() -> pa.Schema:
    import pyarrow as pa

    text, number = pa.string(), pa.float64()
    kinds = {
        "string": text, "double": number, "int64": pa.int64(), "bool": pa.bool_(), "time": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    step = pa.struct([("id", text), ("text", text), ("value", text), ("tags", pa.list_(text))])
    chain = pa.struct([("id", text), ("prompt", text), ("text", text), ("verdict", text), ("p_yes", number)])
    rank = pa.int64()
    past = pa.struct(
        [("item", text), ("title", text), ("rating", number), ("relevance_rank", rank), ("recency_rank", rank)]
    )
    return pa.schema(
        [
            *((name, kinds[kind]) for name, (kind, _) in _FLAT.items()),
            ("scales", pa.struct([(name, pa.int64()) for name in _scales()])),
            ("judged_steps", pa.list_(step)),
            ("chains", pa.list_(chain)),
            ("history", pa.list_(past)),
        ]
    )
