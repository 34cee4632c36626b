"""Who plays which role under the settings, and what the roles of one workspace share."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from backend.engines.config import ServerConfig, VllmConfig
from backend.engines.scripted import ScriptedEngine
from backend.errors import SettingsError
from backend.settings import Settings
from backend.types import Message, ModelRef
from storage import workspace as workspace_module
from storage.roles import Base, Role, encoder_of, options_of, role_of
from storage.workspace import SCRIPTED, Workspace

LLAMA, R1 = "meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
SMALL = "smollm2-135m-instruct"


class Counting(ScriptedEngine):
    """Stands in for any engine; ``made`` counts base weights, which those adapted from it share."""

    made: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(options["model"])
        self.name = name
        self.weights = object()
        Counting.made.append((name, options))

    def adapted(self, adapter: str | None) -> Counting:
        other = copy.copy(self)
        other.model = replace(self.model, adapter=adapter)
        return other


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every engine and encoder that a workspace makes from now on: its name and what it is made with."""
    Counting.made = []
    for function in ("create_engine", "create_encoder"):
        monkeypatch.setattr(workspace_module, function, Counting)
    return Counting.made


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Any]:
    workspaces: list[Workspace] = []

    def of(**settings: Any) -> Workspace:
        workspaces.append(Workspace(Settings(home=tmp_path / "home", **settings)))
        return workspaces[-1]

    yield of
    for workspace in workspaces:
        workspace.close()


def test_the_default_roles_are_one_small_model_that_encodes_too(
    opened: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = opened()
    assert workspace.cached_engine("tuned") is workspace.cached_engine("reasoning")
    assert workspace.engine("describer") is workspace.engine("tuned") is workspace.item_encoder()
    [(name, options)] = made
    assert name == "transformers"
    assert options == {"model": workspace.model("tuned"), "models_dir": workspace.settings.home / "models",
                       "device": "auto"}  # fmt: skip
    assert (options["model"].name, options["model"].adapter) == (SMALL, None)


def test_two_adapters_of_one_base_load_it_once_and_are_kept_apart(
    opened: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = opened(tuned_adapter="one", reasoning_adapter="two", context=512)
    tuned, reasoning = workspace.cached_engine("tuned"), workspace.cached_engine("reasoning")
    assert len(made) == 1
    assert tuned.inner.weights is reasoning.inner.weights
    assert (tuned.model.adapter, reasoning.model.adapter) == ("one", "two")
    assert tuned.model == workspace.model("tuned") == workspace.engine("tuned").model
    assert tuned.model.context == 512
    assert tuned is workspace.cached_engine("tuned")
    prompt = (Message("user", "Will they like it?"),)
    [answer] = tuned.answer([prompt])
    assert tuned.peek_answers([prompt]) == [answer]
    assert reasoning.peek_answers([prompt]) == [None], "another adapter's answer is not this one's"
    assert tuned._inner_is_busy is reasoning._inner_is_busy, "one device: they take turns"
    bare = opened(tuned_adapter="one")
    assert bare.cached_engine("reasoning").model.adapter is None
    assert bare.cached_engine("tuned").model.adapter == "one"
    assert len(made) == 2


def test_roles_that_differ_in_anything_but_the_adapter_have_an_engine_each(
    opened: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = opened(engine="openai", tuned_url="http://one/v1/", reasoning_url="http://two/v1", tuned_model=LLAMA,
                       reasoning_model=LLAMA, describer=LLAMA, server_url="http://one/v1")  # fmt: skip
    assert workspace.cached_engine("tuned") is not workspace.cached_engine("reasoning")
    assert workspace.engine("describer") is workspace.engine("tuned"), "the same server, however its address ends"
    assert [(name, options["url"]) for name, options in made] == [
        ("openai", "http://one/v1"),
        ("openai", "http://two/v1"),
    ]
    assert made[0][1].keys() == {"model", "url", "config"}
    mixed = opened(engine="vllm", tuned_engine="transformers", tuned_model=LLAMA, reasoning_model=LLAMA)
    mixed.engine("tuned"), mixed.engine("reasoning")
    assert [name for name, _ in made[2:]] == ["transformers", "vllm"]
    assert made[-1][1].keys() == {"model", "models_dir", "config"}


@pytest.mark.parametrize("engine", ["transformers", "vllm", "openai"])
def test_the_encoder_is_never_quantized_and_runs_in_this_process(
    engine: str, opened: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = opened(engine=engine, quantized="8bit", context=512)
    workspace.cached_engine("tuned")
    workspace.item_encoder()
    assert [name for name, _ in made] == [engine, "transformers"]
    assert made[1][1]["model"] == ModelRef(SMALL, workspace.encoder.revision), "neither rounded nor cut"
    answering = workspace.model("tuned")
    assert (answering.quantized, answering.context) == (None if engine == "openai" else "8bit", 512)
    plan = {item.node.stage.kind: item for item in workspace.precompute().plan("align")}
    assert {item.state for item in plan.values()} == {"shipped"}, "what ships is right, whoever runs the models"


def test_who_plays_what() -> None:
    settings = Settings(engine="vllm", tuned_model=LLAMA, reasoning_model=R1, reasoning_adapter="r", quantized="fp8")
    assert role_of(settings, "reasoning") == Role(Base("vllm", ModelRef(R1, quantized="fp8")), "r")
    assert role_of(settings, "reasoning").model == ModelRef(R1, adapter="r", quantized="fp8")
    describer = role_of(settings, "describer")
    assert (describer.base.engine, describer.model.name, describer.model.quantized) == ("vllm", SMALL, None)
    assert encoder_of(Settings(engine="vllm", encoder="e", encoder_kind="sentence")) == Base("sentence", ModelRef("e"))
    scripted = Settings(engine="scripted", tuned_adapter="a", quantized="8bit", context=9)
    assert role_of(scripted, "tuned").model == replace(SCRIPTED, adapter="a")
    assert role_of(scripted, "describer").base.engine == "transformers", "descriptions are never made up unasked"
    assert role_of(Settings(describer="scripted"), "describer").base.engine == "scripted"
    assert role_of(Settings(reasoning_engine="scripted"), "reasoning").model == SCRIPTED
    assert role_of(Settings(reasoning_engine="scripted"), "tuned").model.name == SMALL


def test_an_engines_table_becomes_its_configuration() -> None:
    settings = Settings(vllm={"gpu_memory": 0.42}, server={"timeout": 7}, scripted_delay=0)
    assert options_of(settings, "vllm")["config"] == VllmConfig(gpu_memory=0.42)
    assert options_of(settings, "openai") == {"config": ServerConfig(timeout=7)}
    assert options_of(settings, "scripted") == {"delay": 0}
    with pytest.raises(SettingsError, match=r"vllm\.gpu_memory is 2.*tensor_parallel"):
        options_of(Settings(vllm={"gpu_memory": 2}), "vllm")
    with pytest.raises(SettingsError, match=r"server\.wait"):
        options_of(Settings(server={"wait": 2}), "openai")
