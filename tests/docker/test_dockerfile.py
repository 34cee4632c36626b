"""What the Dockerfile promises, read from its text: both targets run alike, not as root, and are sent no secret.

The text itself is checked by hadolint (``make lint``); that it builds is for ``docker build`` to show.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

import dockerfile
import pytest

from backend.settings import PREFIX, Settings
from tests.conftest import ROOT

TARGETS = ("cpu", "gpu")
FILES = ("Dockerfile", ".dockerignore", *(f"docker/{path.name}" for path in sorted((ROOT / "docker").iterdir())))
# The only hosts that the texts may name: PyTorch's public index, and the machine itself.
HOSTS = {"download.pytorch.org"}
IMAGES = {"python:3.11-slim-bookworm", "nvidia/cuda:13.0.3-base-ubuntu24.04"}


def read_stages() -> tuple[dict[str, str], dict[str, list[Any]]]:
    """What each stage stands on, and its instructions, those of the stage below first."""
    bases: dict[str, str] = {}
    steps: dict[str, list[Any]] = {}
    for command in dockerfile.parse_file(str(ROOT / "Dockerfile")):
        if command.cmd == "FROM":
            base, _, name = command.value
            bases[name], steps[name] = base, list(steps.get(base, []))
        else:
            steps[name].append(command)
    return bases, steps


BASES, STEPS = read_stages()


def of_kind(stage: str, kind: str) -> list[Any]:
    return [step for step in STEPS[stage] if step.cmd == kind]


def environment(stage: str) -> dict[str, str]:
    return {
        name: value.strip('"')
        for step in of_kind(stage, "ENV")
        for name, value in zip(step.value[::2], step.value[1::2], strict=True)
    }


def copied_from_the_tree(stage: str) -> list[str]:
    copies = [step for step in of_kind(stage, "COPY") if not any(flag.startswith("--from") for flag in step.flags)]
    return [name for step in copies for name in step.value[:-1]]


def test_both_targets_stand_on_pinned_images_and_cpu_is_what_is_built_unless_told() -> None:
    assert set(TARGETS) <= set(BASES)
    assert list(BASES)[-1] == "cpu"
    assert {base for base in BASES.values() if base not in BASES} == IMAGES


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_keeps_all_in_its_volume_and_runs_as_nobody(target: str) -> None:
    known = environment(target)
    [user], [volume], [port] = (of_kind(target, kind)[-1].value for kind in ("USER", "VOLUME", "EXPOSE"))
    uid, gid = user.split(":")
    assert min(int(uid), int(gid)) > 0
    [made] = [step.value[0] for step in of_kind(target, "RUN") if "useradd" in step.value[0]]
    assert f"--uid {uid} --gid {gid} " in made
    assert (volume, known["RALLREC_HOME"], known["HOME"], known["RALLREC_HOST"]) == (
        "/data",
        "/data",
        "/data",
        "0.0.0.0",
    )
    assert PurePosixPath(known["HF_HOME"]).is_relative_to("/data")
    assert port == str(Settings.model_fields["port"].default)
    given = {name.removeprefix(PREFIX).lower(): value for name, value in known.items() if name.startswith(PREFIX)}
    assert Settings.model_validate(given).home == Path("/data")
    after = [step.cmd for step in STEPS[target]]
    assert not {"RUN", "COPY"} & set(after[after.index("USER") :]), "what changes files comes before"


@pytest.mark.parametrize("target", TARGETS)
def test_a_target_starts_by_the_entrypoint_is_watched_and_brings_the_licences(target: str) -> None:
    place = "/usr/local/lib/rallrec"
    assert of_kind(target, "ENTRYPOINT")[-1].value == ("tini", "--", "sh", f"{place}/docker-entrypoint.sh")
    assert of_kind(target, "CMD")[-1].value == ("rallrec", "serve")
    assert of_kind(target, "HEALTHCHECK")[-1].value == ("CMD", "python3", f"{place}/healthcheck.py")
    places = {name: step.value[-1] for step in of_kind(target, "COPY") for name in step.value[:-1]}
    assert places["docker/docker-entrypoint.sh"] == places["docker/healthcheck.py"] == f"{place}/"
    assert {name for name, where in places.items() if "/doc/" in where} == {
        "LICENSE", "NOTICE", "backend/datasets/data/README.md"
    }  # fmt: skip


def test_both_targets_run_alike() -> None:
    alike = ("VOLUME", "EXPOSE", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "WORKDIR")
    cpu, gpu = ([of_kind(target, kind)[-1].original for kind in alike] for target in TARGETS)
    assert cpu == gpu
    more = environment("gpu").items() - environment("cpu").items()
    assert {name for name, _ in more} == {"RALLREC_PROFILE", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


@pytest.mark.parametrize("stage", ["cpu-packages", "gpu-packages"])
def test_torch_is_installed_first_and_from_the_projects_own_pin(stage: str) -> None:
    first, second = [step.value[0] for step in of_kind(stage, "RUN") if "pip install" in step.value[0]]
    pinned = re.search(r"\$\((grep .+ constraints\.txt)\)", first)
    assert pinned
    line = subprocess.run(pinned[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+", line)
    assert "--constraint" in second


def ignored(path: PurePosixPath) -> bool:
    """Whether ``.dockerignore`` keeps a path back: the last pattern that fits decides. Knows NAME, !NAME, **/NAME."""
    kept_back = False
    for pattern in (ROOT / ".dockerignore").read_text("utf-8").splitlines():
        plain = pattern.removeprefix("!").removeprefix("**/")
        if not plain or plain.startswith("#"):
            continue
        assert "/" not in plain, f"this test does not know {pattern}"
        if any(fnmatchcase(part, plain) for part in (path.parts if "**/" in pattern else path.parts[:1])):
            kept_back = not pattern.startswith("!")
    return kept_back


def sent() -> Iterator[Path]:
    """The files that are sent to the builder, relative to the project."""
    for top in ROOT.iterdir():
        if not ignored(PurePosixPath(top.name)):
            for path in [top] if top.is_file() else top.rglob("*"):
                if path.is_file() and not ignored(PurePosixPath(path.relative_to(ROOT))):
                    yield path.relative_to(ROOT)


def test_what_is_copied_is_there_and_is_sent_and_nothing_else_is() -> None:
    files = set(sent())
    copied = {name for stage in BASES for name in copied_from_the_tree(stage)}
    for name in copied:
        assert any(path == Path(name) or Path(name) in path.parents for path in files), f"{name} is missing or ignored"
    assert {path.parts[0] for path in files} == {Path(name).parts[0] for name in copied}
    if os.name != "nt":
        assert [str(path) for path in files if not (ROOT / path).stat().st_mode & 0o004] == [], "its user cannot read"


@pytest.mark.parametrize(
    "name",
    ["var/rallrec.db", ".git/config", ".venv/bin/python", "tests/conftest.py", "docs/a.png", "rallrec.toml", ".env",
     "app/__pycache__/server.cpython-311.pyc", ".pytest_cache/x"],
)  # fmt: skip
def test_what_a_working_tree_gathers_is_not_sent(name: str) -> None:
    assert ignored(PurePosixPath(name))
    assert not ignored(PurePosixPath("backend/datasets/data/ml-latest-small.zip"))


@pytest.mark.parametrize("name", FILES)
def test_names_no_secret_and_no_host_of_somebody(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert set(re.findall(r"https?://([^/\s\"']+)", text)) <= HOSTS
    assert not re.search(r"(token|passw|secret|api_?key|credential)", text, re.IGNORECASE)
    assert not set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)) - {"0.0.0.0", "127.0.0.1"}


def requirements(extras: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "docker/requirements.py", extras]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_requirements_are_the_projects_and_the_extras_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert requirements("").stdout.splitlines() == project["dependencies"]
    both = requirements("gpu, postgres").stdout.splitlines()
    assert both == [*project["dependencies"], *extras["gpu"], *extras["postgres"]]
    unknown = requirements("gpus")
    assert unknown.returncode == 1
    assert "EXTRAS names gpus" in unknown.stderr


def test_every_file_beside_the_code_is_installed_with_it() -> None:
    """The image installs the project; a file that package-data leaves out is there only for who works in the tree."""
    data = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["package-data"]
    packaged = {
        path.relative_to(ROOT)
        for package, patterns in data.items()
        for pattern in patterns
        for path in (ROOT / package.replace(".", "/")).glob(pattern)
    }
    packages = {"app", "backend", "scripts", "storage"}
    beside = {path for path in sent() if path.parts[0] in packages and path.suffix != ".py"}
    assert sorted(map(str, beside - packaged)) == []
