"""Every check of the machine, the models and what is kept. Looks only; changes nothing, imports no torch."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import closing

from backend import datasets
from backend.commands import command_line
from backend.engines import ENGINES
from backend.errors import RallrecError, UnknownNameError
from backend.settings import Settings
from storage.doctor.findings import Finding, Gpu, gpus, installed
from storage.doctor.profiles import profile_findings

# Package -> what installs it where it can be done without; empty: nothing works without it.
_PACKAGES = dict.fromkeys(("gradio", "faiss-cpu", "torch-geometric"), "") | {
    package.name: package.install for record in ENGINES.values() for package in record.packages
}


def check(settings: Settings) -> list[Finding]:
    """Returns all findings under these settings, in the order in which they are told. May wait for model servers."""
    gpus_found = gpus()
    findings = [*_machine(gpus_found), *_packages(), *profile_findings(settings, gpus_found)]
    return [*findings, _data(settings), _vectors(settings), *_database(settings)]


def _machine(gpus_found: list[Gpu]) -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = shutil.disk_usage(".").free / 2**30
    shown = "; ".join(map(str, gpus_found)) or "none: models run on the CPU"
    return [
        Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("processor", "ok", f"{cores} cores"),
        Finding("disk", "ok" if free > 2 else "missing", f"{free:.0f} GiB free", "" if free > 2 else "free 2 GiB"),
        Finding("gpu", "ok" if gpus_found else "optional", shown),
    ]


def _packages() -> list[Finding]:
    findings = []
    for name, install in _PACKAGES.items():
        version = installed(name)
        if version:
            findings.append(Finding(name, "ok", version))
        else:
            state = "optional" if install else "missing"
            findings.append(Finding(name, state, "not installed", install or "make setup"))
    return findings


def _data(settings: Settings) -> Finding:
    try:
        data = datasets.load(settings.dataset, settings.home / "datasets")
    except RallrecError as error:
        shipped = settings.dataset in datasets.DATASETS and datasets.bundled_source(settings.dataset) is not None
        fix = datasets.command_for(settings.dataset)
        return Finding("dataset", "optional" if shipped else "missing", error.problem, fix)
    detail = f"{data.meta.title}: {data.n_users:,} users, {data.n_items:,} items, {data.n_interactions:,} ratings"
    return Finding("dataset", "ok", detail)


def _vectors(settings: Settings) -> Finding:
    from storage.workspace import Workspace

    unknown = Finding("vectors", "optional", "known once the dataset is prepared")
    try:
        if not datasets.is_prepared(settings.dataset, settings.home / "datasets"):
            return unknown
        plan = Workspace(settings).precompute().plan("align")
    except UnknownNameError:  # said by the finding before
        return unknown
    except RallrecError as error:
        return Finding("vectors", "missing", error.problem, error.fix or "")
    lacking = [item.node.stage.kind for item in plan if item.will_run]
    if lacking:
        fix = command_line(settings, "precompute")
        return Finding("vectors", "missing", f"not made under these settings: {', '.join(lacking)}", fix)
    return Finding("vectors", "ok", f"all {len(plan)} artifacts are there")


def _database(settings: Settings) -> Iterator[Finding]:
    from storage import open_database
    from storage.inventory import database_file
    from storage.results.unknown import again_command, count_unknown

    file = database_file(settings.url)
    if file is not None and not file.exists():
        yield Finding("database", "optional", f"{file} is made at first use")
        return
    try:
        with closing(open_database(settings.url)) as database:
            yield Finding("database", "ok", f"{database.url}, revision {database.revision}")
            unknown = count_unknown(settings, database)
    except RallrecError as error:
        yield Finding("database", "missing", error.problem, error.fix or "")
        return
    if unknown:
        detail = f"{unknown:,} answers and chains of the models in use are of unknown precision"
        yield Finding("results", "optional", detail, again_command(settings))
