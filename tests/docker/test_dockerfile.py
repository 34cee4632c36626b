"""What the Dockerfile promises, read from its text: no engine, no network, no root."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from backend.settings import PREFIX, Settings, load_settings
from tests.docker.recipe import ROOT, Ignored, Stage, Step, UnknownStepError, assignments, expand, read

TARGETS = ("cpu", "gpu")
STAGES = read()
ALL_STEPS = [(stage.name, step) for stage in STAGES.values() for step in stage.steps]
FILES = (
    "Dockerfile",
    ".dockerignore",
    "docker/docker-entrypoint.sh",
    "docker/healthcheck.py",
    "docker/requirements.py",
)
# The only hosts that the texts may name: PyTorch's public index, and the machine itself.
HOSTS = {"download.pytorch.org"}
IMAGES = {"python:3.11-slim-bookworm", "nvidia/cuda:13.0.3-base-ubuntu24.04"}


def line_of(stage: str) -> list[Stage]:
    """A stage and those that it stands on, the lowest first."""
    found = STAGES[stage]
    return [*(line_of(found.base) if found.base in STAGES else []), found]


def last(stage: str, name: str) -> Step:
    """The step with this instruction that holds in the end."""
    return [step for part in line_of(stage) for step in part.all(name)][-1]


def environment(stage: str) -> dict[str, str]:
    known = {"PATH": "/usr/bin"}
    for part in line_of(stage):
        for step in part.all("ENV"):
            known |= {name: expand(value or "", known) for name, value in assignments(step).items()}
    return known


def copied(source_of: Step) -> tuple[str, ...]:
    return source_of.words[:-1]


def test_both_targets_are_there_and_cpu_is_what_is_built_unless_told() -> None:
    assert set(TARGETS) <= set(STAGES)
    assert list(STAGES)[-1] == "cpu"


def test_the_images_that_it_stands_on_are_pinned() -> None:
    assert {stage.base for stage in STAGES.values() if stage.base not in STAGES} == IMAGES


@pytest.mark.parametrize("target", TARGETS)
class TestTarget:
    def test_runs_as_a_number_that_is_not_root(self, target: str) -> None:
        user, group = last(target, "USER").words[0].split(":")
        assert int(user) > 0
        assert int(group) > 0
        made = next(step.words[0] for step in STAGES[target].all("RUN") if "useradd" in step.words[0])
        assert f"--uid {user} " in made
        assert f"--gid {group} " in made

    def test_no_step_that_changes_files_follows_the_user(self, target: str) -> None:
        names = [step.name for step in STAGES[target].steps]
        assert not {"RUN", "COPY"} & set(names[names.index("USER") :])

    def test_one_volume_that_is_the_home(self, target: str) -> None:
        assert last(target, "VOLUME").words == ("/data",)
        assert environment(target)["RALLREC_HOME"] == "/data"
        assert len(STAGES[target].all("VOLUME")) == 1

    def test_whatever_writes_to_a_home_or_a_cache_writes_into_the_volume(self, target: str) -> None:
        known = environment(target)
        assert known["HOME"] == "/data"
        assert PurePosixPath(known["HF_HOME"]).is_relative_to("/data")
        assert known["USER"], "a user without a name, as with --user, has none to look up"

    def test_listens_where_the_port_is_exposed(self, target: str) -> None:
        assert last(target, "EXPOSE").words == (str(Settings.model_fields["port"].default),)
        assert environment(target)["RALLREC_HOST"] == "0.0.0.0"

    def test_starts_through_the_entrypoint_in_exec_form(self, target: str) -> None:
        assert last(target, "ENTRYPOINT").words == ("tini", "--", "sh", "/usr/local/lib/rallrec/docker-entrypoint.sh")
        assert any(" tini " in step.words[0] for step in STAGES[target].all("RUN"))
        assert last(target, "CMD").words == ("rallrec", "serve")

    def test_health_check_is_the_script_that_the_image_has(self, target: str) -> None:
        check = last(target, "HEALTHCHECK")
        assert check.words == ("CMD", "python3", "/usr/local/lib/rallrec/healthcheck.py")
        assert {"interval", "timeout", "start-period", "retries"} == set(check.flags)
        assert any("docker/healthcheck.py" in copied(step) for step in STAGES[target].all("COPY"))

    def test_every_setting_in_it_is_known_and_valid(self, target: str, monkeypatch: pytest.MonkeyPatch) -> None:
        given = {name: value for name, value in environment(target).items() if name.startswith(PREFIX)}
        assert {name.removeprefix(PREFIX).lower() for name in given} <= set(Settings.model_fields)
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        assert str(load_settings().home) == "/data"

    def test_keeps_the_licences(self, target: str) -> None:
        kept = {name for step in STAGES[target].all("COPY") for name in copied(step) if "/doc/" in step.words[-1]}
        assert kept == {"LICENSE", "NOTICE", "backend/datasets/data/README.md"}

    def test_brings_no_pip_cache(self, target: str) -> None:
        for part in line_of(target):
            assert not [step.line for step in part.all("RUN") if "pip " in step.words[0]]


def test_both_targets_run_alike() -> None:
    alike = ("VOLUME", "EXPOSE", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD", "WORKDIR")
    assert [last("cpu", name).text for name in alike] == [last("gpu", name).text for name in alike]
    cpu, gpu = environment("cpu"), environment("gpu")
    assert cpu.items() <= gpu.items()
    assert set(gpu) - set(cpu) == {"RALLREC_PROFILE", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"}


def test_only_the_target_gpu_has_compilers() -> None:
    installs = {name: " ".join(step.words[0] for part in line_of(name) for step in part.all("RUN")) for name in TARGETS}
    assert not {"gcc", "g++", "build-essential", "python3-dev"} & set(installs["cpu"].split())
    assert {"gcc", "g++", "python3-dev"} <= set(installs["gpu"].split())


@pytest.mark.parametrize("stage", ["cpu-packages", "gpu-packages"])
def test_torch_is_installed_first_and_from_the_projects_own_pin(stage: str) -> None:
    first, second = [step.words[0] for step in STAGES[stage].all("RUN") if "pip install" in step.words[0]]
    found = re.search(r"\$\((grep .+ constraints\.txt)\)", first)
    assert found
    pin = subprocess.run(found[1], shell=True, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+", pin)
    assert "--constraint" in second


def test_the_cpu_build_of_torch_comes_from_an_index_that_can_be_changed() -> None:
    install = STAGES["cpu-packages"].all("RUN")[1].words[0]
    assert '--extra-index-url "$TORCH_INDEX"' in install
    given = {name: value for step in STAGES["cpu-packages"].all("ARG") for name, value in assignments(step).items()}
    assert given["TORCH_INDEX"] == "https://download.pytorch.org/whl/cpu"


def test_what_is_copied_is_there_and_is_sent_and_nothing_else_is() -> None:
    sent = set(Ignored.read().sent())
    wanted = {
        name for _, step in ALL_STEPS if step.name == "COPY" and "from" not in step.flags for name in copied(step)
    }
    for name in wanted:
        assert (ROOT / name).exists(), name
        assert any(path == Path(name) or Path(name) in path.parents for path in sent), f"{name} is ignored"
    assert {path.parts[0] for path in sent} == {Path(name).parts[0] for name in wanted}


@pytest.mark.parametrize("stage", list(STAGES))
def test_what_is_copied_from_a_stage_comes_from_an_earlier_one(stage: str) -> None:
    before = list(STAGES)[: list(STAGES).index(stage)]
    assert {step.flags["from"] for step in STAGES[stage].all("COPY") if "from" in step.flags} <= set(before)


def test_what_a_working_tree_gathers_is_not_sent() -> None:
    ignored = Ignored.read()
    for name in ("var/rallrec.db", ".git/config", ".venv/bin/python", ".venv-dev/x", "tests/conftest.py", "docs/a.png"):
        assert ignored(PurePosixPath(name)), name
    for name in ("app/__pycache__/server.cpython-311.pyc", "rallrec.toml", ".env", ".pytest_cache/x"):
        assert ignored(PurePosixPath(name)), name
    assert not ignored(PurePosixPath("backend/datasets/data/ml-latest-small.zip"))


@pytest.mark.parametrize("name", FILES)
def test_names_no_secret_and_no_host_of_somebody(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert set(re.findall(r"https?://([^/\s\"']+)", text)) <= HOSTS
    assert not re.search(r"(token|passw|secret|api_?key|credential)", text, re.IGNORECASE)
    assert not set(re.findall(r"\b\d+\.\d+\.\d+\.\d+\b", text)) - {"0.0.0.0", "127.0.0.1"}


@pytest.mark.parametrize(
    "line",
    ["ADD x y", "COPY --link x y", "CMD rallrec serve", "RUN --mount=type=cache,target=/x true", 'SHELL ["sh"]'],
)
def test_the_runner_refuses_what_it_does_not_know(line: str, tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text(f"FROM a:1 AS b\n{line}\n")
    with pytest.raises(UnknownStepError, match="line 2"):
        read(path)


def requirements(extras: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "docker/requirements.py", extras]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_requirements_are_the_projects_and_the_extras_own() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert requirements("").stdout.splitlines() == project["dependencies"]
    both = requirements("gpu, postgres").stdout.splitlines()
    assert both == [*project["dependencies"], *extras["gpu"], *extras["postgres"]]


def test_an_unknown_extra_is_refused_by_name() -> None:
    done = requirements("gpus")
    assert done.returncode == 1
    assert "EXTRAS names gpus" in done.stderr


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
    beside = {path for path in Ignored.read().sent() if path.parts[0] in packages and path.suffix != ".py"}
    assert sorted(map(str, beside - packaged)) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such mode")
def test_every_file_of_the_image_can_be_read_by_its_user() -> None:
    unreadable = [str(path) for path in Ignored.read().sent() if not (ROOT / path).stat().st_mode & 0o004]
    assert not unreadable, unreadable
