"""``rallrec labels backup | restore | audit``."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from backend.settings import load_settings
from scripts.console import checked_out, out, print_json
from storage.database.connection import open_database
from storage.labels import backup as backups
from storage.labels.audit import Change, changes


def backup(*, file: str, as_json: bool) -> None:
    path = checked_out(file)
    with closing(open_database(load_settings().url)) as database:
        _tell(backups.backup(database, path), "Written", as_json)


def restore(*, file: str, as_json: bool) -> None:
    _tell(backups.restore(load_settings().url, Path(file)), "Restored", as_json)


def audit(*, about: str | None, limit: int | None, as_json: bool) -> None:
    with closing(open_database(load_settings().url)) as database:
        found = list(changes(database, about, limit))
    if as_json:
        print_json({"changes": [_plain(change) for change in found]})
        return
    for change in found:
        when = change.at.strftime("%Y-%m-%d %H:%M:%S")
        said = " -> ".join(json.dumps(side, ensure_ascii=False) for side in (change.before, change.after) if side)
        out.print(f"{when}  {change.who}  {change.what}  {change.about}  {said}".rstrip(), markup=False)


def _plain(change: Change) -> dict[str, Any]:
    return change.__dict__ | {"at": change.at.isoformat()}


def _tell(copied: backups.Copied, done: str, as_json: bool) -> None:
    replaced = str(copied.replaced) if copied.replaced else None
    if as_json:
        print_json({"file": str(copied.file), "bytes": copied.bytes, "labels": copied.labels, "replaced": replaced})
        return
    out.print(f"{done}: {copied.file} ({copied.bytes:,} bytes, {copied.labels:,} labels)", markup=False)
    if replaced:
        out.print(f"What was there before: {replaced}", markup=False)
