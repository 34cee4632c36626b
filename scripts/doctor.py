"""``rallrec doctor``: what this machine has and what is missing. Looks only; changes nothing, imports no torch."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from backend import datasets
from backend.engines import ENGINES, models
from backend.errors import RallrecError
from backend.settings import Settings, load_settings
from scripts.console import out, print_json

_MARKS = {"ok": "ok     ", "missing": "missing", "optional": "-      "}


@dataclass(frozen=True)
class Finding:
    """``state``: ok, missing (something will not work) or optional; ``fix`` says what to run."""

    name: str
    state: str
    detail: str
    fix: str = ""


def run(*, as_json: bool) -> None:
    """Print all findings; exit code 1 where something is missing."""
    settings = load_settings()
    findings = [*_machine(), *_packages(), *_models(settings), _data(settings), _vectors(settings), _database(settings)]
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            fix = f"  ->  {finding.fix}" if finding.fix else ""
            out.print(f"{_MARKS[finding.state]} {finding.name}: {finding.detail}{fix}", markup=False)
    if any(finding.state == "missing" for finding in findings):
        raise SystemExit(1)


def _machine() -> list[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = shutil.disk_usage(".").free / 2**30
    gpu = shutil.which("nvidia-smi")
    return [
        Finding("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("processor", "ok", f"{cores} cores"),
        Finding("disk", "ok" if free > 2 else "missing", f"{free:.0f} GiB free", "" if free > 2 else "free 2 GiB"),
        Finding("gpu", "ok" if gpu else "optional", "NVIDIA driver found" if gpu else "none: models run on the CPU"),
    ]


def _packages() -> list[Finding]:
    findings = []
    for name, needed in (
        ("torch", True),
        ("transformers", True),
        ("torch-geometric", True),
        ("faiss-cpu", True),
        ("gradio", True),
        ("vllm", False),
    ):
        try:
            findings.append(Finding(name, "ok", version(name)))
        except PackageNotFoundError:
            fix = "make setup" if needed else "pip install 'rallrec-plus[gpu]' on a GPU host"
            findings.append(Finding(name, "missing" if needed else "optional", "not installed", fix))
    return findings


def _models(settings: Settings) -> list[Finding]:
    if settings.engine not in ENGINES:
        return [Finding("engine", "missing", f"unknown: {settings.engine}", f"set it to {' or '.join(ENGINES)}")]
    if settings.engine == "scripted":
        return [Finding("models", "ok", "scripted: no model, made-up answers")]
    findings = []
    for role in ("tuned_model", "reasoning_model"):
        ref = models.resolve(getattr(settings, role))
        if models.is_fetched(ref, settings.home / "models"):
            findings.append(Finding(role, "ok", models.display_name(ref)))
        elif ref.name in models.EMBEDDED:
            findings.append(Finding(role, "optional", f"{ref.name}, fetched at first use", "rallrec prepare --model"))
        else:
            findings.append(Finding(role, "optional", f"{ref.name}, asked of the hub at first use"))
    return findings


def _data(settings: Settings) -> Finding:
    try:
        data = datasets.load(settings.dataset, settings.home / "datasets")
    except RallrecError as error:
        shipped = settings.dataset in datasets.DATASETS and datasets.bundled_source(settings.dataset) is not None
        fix = f"rallrec prepare --dataset {settings.dataset}"
        return Finding("dataset", "optional" if shipped else "missing", error.problem, fix)
    detail = f"{data.meta.title}: {data.n_users:,} users, {data.n_items:,} items, {data.n_interactions:,} ratings"
    return Finding("dataset", "ok", detail)


def _vectors(settings: Settings) -> Finding:
    from storage.workspace import Workspace

    if not datasets.is_prepared(settings.dataset, settings.home / "datasets"):
        return Finding("vectors", "optional", "known once the dataset is prepared")
    try:
        plan = Workspace(settings).precompute().plan("align")
    except RallrecError as error:
        return Finding("vectors", "missing", error.problem, error.fix or "")
    lacking = [item.node.stage.kind for item in plan if item.will_run]
    if lacking:
        fix = f"rallrec precompute --dataset {settings.dataset}"
        return Finding("vectors", "missing", f"not made under these settings: {', '.join(lacking)}", fix)
    return Finding("vectors", "ok", f"all {len(plan)} artifacts are there")


def _database(settings: Settings) -> Finding:
    from storage import open_database
    from storage.inventory import database_file

    file = database_file(settings.url)
    if file is not None and not file.exists():
        return Finding("database", "optional", f"{file} is made at first use")
    try:
        database = open_database(settings.url)
    except RallrecError as error:
        return Finding("database", "missing", error.problem, error.fix or "")
    detail = f"{database.url}, revision {database.revision}"
    database.close()
    return Finding("database", "ok", detail)
