"""What ``rallrec doctor`` says of the model profiles: on this machine, with a pretended GPU, and of a real server."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from storage.doctor import servers
from storage.doctor.servers import ask_server, is_local
from tests.backend.engines_openai.badserver import BadReply, BadServer, as_json, serving
from tests.scripts.cli_process import Rallrec

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
R1 = "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def doctor(rallrec: Rallrec, tmp_path: Path) -> Doctor:
    """doctor("--profile", "paper", RALLREC_...=...): the exit code, and the findings by name. The hub is unknown."""
    return _asking(rallrec, tmp_path)


@pytest.fixture
def fresh_doctor(process: Rallrec, tmp_path: Path) -> Doctor:
    """As ``doctor``, in a process of its own: the hub's library reads where its cache is when it is imported."""
    return _asking(process, tmp_path)


def _asking(rallrec: Rallrec, tmp_path: Path) -> Doctor:
    def ask(*arguments: Any, **environment: Any) -> tuple[int, dict[str, dict[str, Any]]]:
        given = {"HF_HOME": tmp_path / "hub", "HF_TOKEN": "", "HF_HUB_OFFLINE": "0", "OPENAI_API_KEY": ""}
        done = rallrec("doctor", "--json", *arguments, **given | environment)
        findings = json.loads(done.stdout)["findings"]
        assert len({finding["name"] for finding in findings}) == len(findings)
        return done.returncode, {finding["name"]: finding for finding in findings}

    return ask


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """gpu("NVIDIA H100, 81559, 81000") puts a driver first on the path that tells of this GPU."""

    def pretend(line: str) -> None:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho '{line}'\n", "utf-8")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")

    return pretend


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    folder = tmp_path / "my-adapter"
    folder.mkdir()
    (folder / "adapter_config.json").write_text("{}", "utf-8")
    return folder


@pytest.mark.skipif(shutil.which("nvidia-smi") is not None, reason="this machine has a GPU")
def test_without_a_gpu_every_profile_is_told_and_the_paper_lacks_one(doctor: Doctor) -> None:
    _, findings = doctor()
    assert findings["profile cpu-default"]["state"] == "ok"
    assert "can run here" in findings["profile cpu-default"]["detail"]
    assert "(chosen)" in findings["profile cpu-default"]["detail"]
    paper = findings["profile paper"]
    assert (paper["state"], paper["profile"]) == ("optional", "paper")
    assert "gpu" in paper["detail"]
    assert "lacks" in paper["detail"]
    assert findings["paper: gpu"]["state"] == "optional"
    assert "76 GiB" in findings["paper: gpu"]["detail"]
    assert LLAMA in findings["paper: tuned_model"]["detail"]
    assert "licence" in findings["paper: tuned_model"]["detail"]
    assert "paper: reasoning_model" not in findings, "it is open, and fetched at first use"


def test_what_the_chosen_profile_lacks_is_missing(doctor: Doctor, gpu: Callable[[str], None]) -> None:
    gpu("NVIDIA L4, 23034, 22500")
    code, findings = doctor("--profile", "paper")
    assert code == 1
    assert findings["profile paper"]["state"] == "missing"
    assert findings["paper: gpu"]["state"] == "missing"
    assert "L4, 22 GiB" in findings["paper: gpu"]["detail"]
    assert findings["paper: reasoning_model"]["state"] == "optional"
    assert "not tuned" in findings["paper: tuned_adapter"]["detail"]
    assert findings["profile cpu-default"]["state"] == "ok"
    assert [name for name in findings if name.startswith("cpu-default: ")] == []


def test_a_large_gpu_a_token_and_an_adapter_are_seen(doctor: Doctor, gpu: Callable[[str], None], adapter: Path) -> None:
    gpu("NVIDIA H100 80GB HBM3, 81559, 81000")
    _, findings = doctor("--profile", "paper", HF_TOKEN="hf_secret", RALLREC_TUNED_ADAPTER=adapter)
    assert (
        findings["gpu"]["detail"]
        == findings["paper: gpu"]["detail"]
        == "NVIDIA H100 80GB HBM3, 80 GiB, 79 GiB of it free"
    )
    assert findings["paper: gpu"]["state"] == "ok"
    assert (findings["paper: tuned_model"]["state"], findings["paper: tuned_adapter"]["state"]) == ("optional", "ok")
    assert "token is there" in findings["paper: tuned_model"]["detail"]
    assert "hf_secret" not in json.dumps(findings)
    gpu("NVIDIA H100 80GB HBM3, 81559, 2000")
    _, findings = doctor("--profile", "paper", HF_TOKEN="hf_secret", RALLREC_TUNED_ADAPTER="gone")
    assert "in use" in findings["paper: gpu"]["detail"]
    assert findings["paper: tuned_adapter"]["state"] == "missing"
    gpu("NVIDIA GB10, [N/A], [N/A]")
    assert doctor()[1]["gpu"]["state"] == "optional"


def test_a_model_in_the_hubs_cache_or_a_folder_is_on_disk(fresh_doctor: Doctor, tmp_path: Path) -> None:
    snapshot = tmp_path / "hub" / "hub" / f"models--{R1.replace('/', '--')}" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("abc")
    (snapshot / "config.json").write_text("{}")
    given = {"RALLREC_REASONING_MODEL": R1, "HF_HUB_OFFLINE": "1"}
    _, findings = fresh_doctor(**given)
    assert findings["cpu-default: reasoning_model"]["state"] == "missing", "a config is no weights"
    (snapshot / "model.safetensors").write_text("weights")
    assert fresh_doctor(**given)[1]["cpu-default: reasoning_model"]["state"] == "ok"
    code, findings = fresh_doctor(RALLREC_TUNED_MODEL="./no-such-folder")
    assert code == 1
    assert "no such folder" in findings["cpu-default: tuned_model"]["detail"]
    assert fresh_doctor(RALLREC_TUNED_MODEL=tmp_path)[1]["cpu-default: tuned_model"]["state"] == "ok"


def test_with_the_scripted_engine_no_profile_is_said_to_run(doctor: Doctor) -> None:
    code, findings = doctor(RALLREC_ENGINE="scripted")
    assert code == 0
    for name in ("cpu-default", "paper", "server"):
        assert "scripted engine is set instead" in findings[f"profile {name}"]["detail"]
    assert "no model" in findings["cpu-default: models"]["detail"]


def test_own_profiles_are_told_too_and_unknown_engines(doctor: Doctor, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('engine = "llamafile"\n[profile]\nneeds = ["no-such-package"]\n', "utf-8")
    code, findings = doctor("--profile", "mine.toml")
    assert code == 1
    assert "llamafile" in findings["mine.toml: engine"]["detail"]
    assert findings["mine.toml: no-such-package"]["state"] == "missing"
    assert findings["profile cpu-default"]["state"] == "ok"


@pytest.fixture
def serve() -> Iterator[Callable[..., BadServer]]:
    """serve("one", "two") serves a list of these models; what it answers to that can be replaced."""
    with ExitStack() as servers:
        yield lambda *models: servers.enter_context(serving(lambda _request: as_json({}), models))


def _answers(server: BadServer, reply: BadReply) -> None:
    server._reply = lambda _request: reply  # type: ignore[method-assign]


def _heard(server: BadServer) -> list[tuple[str, str | None]]:
    return [(request.path, request.headers.get("authorization")) for request in server.asked]


def test_the_server_profile_is_checked_at_the_servers(doctor: Doctor, serve: Callable[..., BadServer]) -> None:
    both = serve(LLAMA, R1, "tuned")
    at = {"RALLREC_TUNED_URL": f"{both.url}/", "RALLREC_REASONING_URL": both.url}
    _, findings = doctor("--profile", "server", OPENAI_API_KEY="sk-1", **at)
    assert (findings["server: tuned_model"]["state"], findings["server: reasoning_model"]["state"]) == ("ok", "ok")
    assert _heard(both) == [("/v1/models", "Bearer sk-1")], "asked once for both roles"
    assert "sk-1" not in json.dumps(findings)
    _, findings = doctor("--profile", "server", RALLREC_TUNED_ADAPTER="tuned", **at)
    assert findings["server: tuned_adapter"]["detail"] == f"tuned, served at {both.url}"
    code, findings = doctor("--profile", "server", RALLREC_REASONING_MODEL="other", **at)
    assert code == 1
    assert "not other" in findings["server: reasoning_model"]["detail"]
    assert "RALLREC_REASONING_MODEL" in findings["server: reasoning_model"]["fix"]
    _answers(both, as_json({}, 401))
    _, findings = doctor("--profile", "server", **at)
    assert "401" in findings["server: tuned_server"]["detail"]
    assert findings["server: tuned_server"]["fix"] == "set OPENAI_API_KEY"


def test_a_server_that_is_not_there_is_said_at_once(doctor: Doctor) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    code, findings = doctor("--profile", "server", RALLREC_TUNED_URL=url, RALLREC_REASONING_URL=url)
    assert code == 1
    assert findings["server: tuned_server"]["state"] == "missing"
    assert "cannot be reached" in findings["server: tuned_server"]["detail"]
    assert "RALLREC_TUNED_URL" in findings["server: tuned_server"]["fix"]


def test_a_server_that_never_answers_or_only_drop_by_drop_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_TIMEOUT", 0.3)
    monkeypatch.setattr(servers, "_DEADLINE", 0.8)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        started = time.monotonic()
        assert "timed out" in ask_server(url).problem
        dripping = threading.Event()

        def drip() -> None:
            for _ in range(2):  # the request above is still in the queue
                connection, _ = silent.accept()
            while not dripping.wait(0.1):
                try:
                    connection.sendall(b"H")
                except OSError:
                    return

        threading.Thread(target=drip, daemon=True).start()
        reply = ask_server(url)
        dripping.set()
        assert (reply.served, "no answer" in reply.problem) == (None, True)
        assert time.monotonic() - started < 5


def test_a_key_is_not_carried_to_another_address(serve: Callable[..., BadServer]) -> None:
    there, elsewhere = serve("a"), serve("b")
    _answers(there, as_json({}, 302, Location=f"{elsewhere.url}/models"))
    reply = ask_server(there.url, "sk-1")
    assert (reply.served, elsewhere.asked) == (None, [])
    assert "302" in reply.problem


@pytest.mark.parametrize("body", ["", "<html>", "[]", '{"data": 1}', '{"data": [{"name": "a"}]}', "\xff"])
def test_what_is_no_list_of_models_is_said(serve: Callable[..., BadServer], body: str) -> None:
    server = serve()
    _answers(server, BadReply([body.encode("latin-1")]))
    assert "something else" in ask_server(server.url).problem


def test_which_addresses_are_this_machine() -> None:
    assert all(map(is_local, ("http://127.0.0.1:8000/v1", "http://localhost/v1", "http://[::1]:1/v1")))
    assert not any(map(is_local, ("http://10.0.0.1/v1", "https://api.example.com/v1", "http://localhost.example/v1")))


def test_an_adapter_that_is_tuned_here_is_told_by_its_datasets(doctor: Doctor, tmp_path: Path) -> None:
    given = {"RALLREC_PROFILE": "cpu-default", "RALLREC_TUNED_ADAPTER": "rella", "RALLREC_HOME": tmp_path / "home"}
    _, findings = doctor(**given, RALLREC_TUNED_MODEL=str(tmp_path))  # no adapter is of this base
    assert findings["cpu-default: tuned_adapter"]["state"] == "optional"
    assert findings["cpu-default: tuned_adapter"]["fix"] == "rallrec tune --recipe rella"
    folder = tmp_path / "home" / "artifacts" / "rella-0123456789abcdef"
    folder.mkdir(parents=True)
    recipe = {"data": {"name": "my-data"}, "model": {"name": str(tmp_path)}}
    (folder / "meta.json").write_text(json.dumps({"kind": "rella", "recipe": recipe, "files": {}}), "utf-8")
    _, findings = doctor(**given, RALLREC_TUNED_MODEL=str(tmp_path))
    assert findings["cpu-default: tuned_adapter"]["state"] == "ok"
    assert "tuned on my-data" in findings["cpu-default: tuned_adapter"]["detail"]
