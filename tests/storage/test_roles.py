"""Who plays which role under the settings, and what the roles of one workspace share."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from backend.datasets import Dataset
from backend.engines import SCRIPTED
from backend.engines.chat import READING
from backend.engines.config import ServerConfig, VllmConfig
from backend.engines.scripted import ScriptedEngine
from backend.errors import SettingsError
from backend.settings import Settings
from backend.training.lora import ADAPTER_FILE
from backend.types import Message, ModelRef
from storage import roles
from storage import workspace as workspace_module
from storage.precompute.artifacts import Artifact
from storage.results.cached_engine import CachedEngine
from storage.results.keys import is_known, unknown_of
from storage.roles import BaseWeights, Role, base_of, encoder_of, options_of, role_of
from storage.workspace import Workspace

LLAMA, R1 = "meta-llama/Llama-3.1-8B-Instruct", "deepseek-ai/DeepSeek-R1-Distill-Llama-8B"
SMALL = "smollm2-135m-instruct"
# The default profile's roles are tuned.
UNTUNED = {"tuned_adapter": "", "reasoning_adapter": ""}


class MadeEngine(ScriptedEngine):
    """Stands in for any engine; ``made`` counts base weights, which those adapted from it share."""

    made: ClassVar[list[tuple[str, dict[str, Any]]]] = []

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(options["model"])
        self.name = name
        self.weights = object()
        self.folder: str | None = None
        MadeEngine.made.append((name, options))

    def adapted(self, adapter: str | None, folder: str | None = None) -> MadeEngine:
        adapted = copy.copy(self)
        adapted.model, adapted.folder = replace(self.model, adapter=adapter), folder
        return adapted


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """Every engine and encoder that a workspace makes from now on: its name and what it is made with."""
    MadeEngine.made = []
    for function in ("create_engine", "create_encoder"):
        monkeypatch.setattr(workspace_module, function, MadeEngine)
    return MadeEngine.made


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
    workspace = opened(**UNTUNED)
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
    bare = opened(**UNTUNED | {"tuned_adapter": "one"})
    assert bare.cached_engine("reasoning").model.adapter is None
    assert bare.cached_engine("tuned").model.adapter == "one"
    assert len(made) == 2


def test_roles_that_differ_in_anything_but_the_adapter_have_an_engine_each(
    opened: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = opened(engine="openai", tuned_url="http://one/v1/", reasoning_url="http://two/v1", tuned_model=LLAMA,
                       reasoning_model=LLAMA, describer=LLAMA, server_url="http://one/v1", **UNTUNED)  # fmt: skip
    assert workspace.cached_engine("tuned") is not workspace.cached_engine("reasoning")
    assert workspace.engine("describer") is workspace.engine("tuned"), "the same server, however its address ends"
    assert [(name, options["url"]) for name, options in made] == [
        ("openai", "http://one/v1"),
        ("openai", "http://two/v1"),
    ]
    assert made[0][1].keys() == {"model", "url", "config", "on_contact"}
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
    assert replace(made[1][1]["model"], precision=None, reading=None) == ModelRef(SMALL, workspace.encoder.revision)
    answering = workspace.model("tuned")
    assert (answering.quantized, answering.context) == (None if engine == "openai" else "8bit", 512)
    plan = {item.node.stage.kind: item for item in workspace.precompute().plan("align")}
    assert {item.state for item in plan.values()} == {"shipped"}, "what ships is right, whoever runs the models"


def test_who_plays_what() -> None:
    settings = Settings(engine="vllm", tuned_model=LLAMA, reasoning_model=R1, reasoning_adapter="r", quantized="fp8")
    model = ModelRef(R1, quantized="fp8", precision="float32", reading=READING)
    assert role_of(settings, "reasoning") == Role(BaseWeights("vllm", model), "r")
    assert role_of(settings, "reasoning").model == replace(model, adapter="r")
    describer = role_of(settings, "describer")
    assert (describer.base.engine, describer.model.name, describer.model.quantized) == ("vllm", SMALL, None)
    assert encoder_of(Settings(engine="vllm", encoder="e", encoder_kind="sentence")) == BaseWeights(
        "sentence", ModelRef("e")
    )
    scripted = Settings(engine="scripted", tuned_adapter="a", quantized="8bit", context=9)
    assert role_of(scripted, "tuned").model == replace(SCRIPTED, adapter="a")
    assert role_of(scripted, "describer").base.engine == "transformers", "descriptions are never made up unasked"
    assert role_of(Settings(describer="scripted"), "describer").base.engine == "scripted"
    assert role_of(Settings(reasoning_engine="scripted"), "reasoning").model == SCRIPTED
    assert role_of(Settings(reasoning_engine="scripted"), "tuned").model.name == SMALL


@pytest.mark.parametrize(
    ("gpu", "settings", "precision"),
    [
        (False, {}, "float32"),
        (False, {"dtype": "auto"}, "float32"),
        (True, {}, "float32"),  # the default profile says so
        (True, {"dtype": "auto"}, "bfloat16"),
        (True, {"dtype": "auto", "device": "cpu"}, "float32"),
        (False, {"dtype": "auto", "device": "cuda"}, "bfloat16"),
        (False, {"dtype": "float16"}, "float16"),
        (False, {"engine": "vllm"}, "float32"),
        (True, {"engine": "vllm", "device": "cpu"}, "bfloat16"),  # the setting device is not vllm's
        (True, {"engine": "vllm", "vllm": {"dtype": "float16"}}, "float16"),
        (True, {"engine": "openai"}, None),
        (True, {"engine": "scripted"}, None),
    ],
)
def test_the_precision_is_known_before_anything_is_loaded(
    gpu: bool, settings: dict[str, Any], precision: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roles, "has_gpu", lambda: gpu)
    for role in ("tuned", "reasoning"):
        model = role_of(Settings(**settings), role).model
        assert model.precision == precision
        assert is_known(model)
        assert model.reading == (None if settings.get("engine") == "scripted" else READING)
    base = base_of(Settings(**settings), "tuned")
    assert (base.precision, base.reading, base.server) == (None, None, None), "adapters do not depend on it"


def test_item_vectors_are_made_of_weights_as_they_are_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    for gpu, precision in ((False, "float32"), (True, None)):
        monkeypatch.setattr(roles, "has_gpu", lambda gpu=gpu: gpu)
        settings = Settings(dtype="bfloat16")
        assert encoder_of(settings).model.precision == role_of(settings, "describer").model.precision == precision


@pytest.mark.parametrize(
    ("settings", "server", "revision"),
    [
        ({"server_url": "http://gpu1:8000/v1"}, "gpu1:8000", "main"),
        ({"server_url": "http://GPU1:8000/v1/"}, "gpu1:8000", "main"),
        ({"server_url": "http://user:word@gpu1/v1"}, "gpu1:80", "main"),
        ({"server_url": "https://host/team-a/v1"}, "host:443/team-a", "main"),
        ({"server_url": "http://one/v1", "tuned_url": "http://two/v1"}, "two:80", "main"),
        ({"server_url": "http://one/v1", "server": {"identity": "our cluster"}}, "our cluster", "main"),
        ({"server_url": "http://one/v1", "server": {"revision": "2026-03"}}, "one:80", "2026-03"),
    ],
)
def test_a_model_of_a_server_is_known_by_where_it_is_or_by_the_name_that_is_given(
    settings: dict[str, Any], server: str, revision: str
) -> None:
    model = role_of(Settings(engine="openai", tuned_model=LLAMA, **settings), "tuned").model
    assert (model.server, model.revision) == (server, revision)
    assert unknown_of(model) == ModelRef(LLAMA, adapter=model.adapter), "as its results were filed before"


def _finish(workspace: Workspace, recipe: str, weights: bytes, name: str | None = None) -> Artifact:
    """An adapter as tuning leaves it, of these bytes."""
    planned = workspace.precompute(name).nodes[recipe].recipe
    part = workspace.artifacts.part(recipe, planned)
    part.mkdir(parents=True)
    (part / ADAPTER_FILE).write_bytes(weights)
    return workspace.artifacts.finish(recipe, planned)


@pytest.fixture
def tuned(tmp_path: Path, small: Dataset, made: list[tuple[str, dict[str, Any]]]) -> Iterator[Any]:
    """tuned(engine="vllm"): a workspace of the small dataset and of one of another name, with no bundle."""
    workspaces: list[Workspace] = []

    def of(**settings: Any) -> Workspace:
        workspace = Workspace(Settings(home=tmp_path / "home", **settings), bundle=tmp_path / "no bundle")
        other_data = replace(small, meta=small.meta.model_copy(update={"name": "other", "data_hash": "0" * 64}))
        workspace._opened.datasets |= {"ml-latest-small": small, "other": other_data}
        workspaces.append(workspace)
        return workspace

    yield of
    for workspace in workspaces:
        workspace.close()


@pytest.mark.parametrize("engine", ["transformers", "vllm"])
def test_a_recipes_name_becomes_the_adapter_that_was_tuned(
    engine: str, tuned: Any, made: list[tuple[str, dict[str, Any]]]
) -> None:
    workspace = tuned(engine=engine, tuned_adapter="rella", reasoning_adapter="reasoner")
    artifact = _finish(workspace, "rella", b"learned")
    name = f"rella-{hashlib.sha256(b'learned').hexdigest()[:12]}"
    role = workspace.role("tuned")
    assert (role.adapter, role.folder) == (name, str(artifact.folder))
    assert workspace.model("tuned") == role.model == replace(role.base.model, adapter=name)
    player = workspace.engine("tuned")
    assert (player.model, player.folder) == (role.model, role.folder)
    cached = workspace.cached_engine("tuned")
    assert (cached.model, cached.inner.folder) == (role.model, role.folder)
    # None was tuned to reason: the base does, and its weights are loaded once.
    assert workspace.role("reasoning") == Role(role.base)
    assert workspace.cached_engine("reasoning").model.adapter is None
    assert workspace.cached_engine("reasoning").inner.weights is cached.inner.weights
    assert len(made) == 1
    _finish(workspace, "reasoner", b"to reason")
    again = tuned(engine=engine, tuned_adapter="rella", reasoning_adapter="reasoner")
    assert str(again.model("reasoning").adapter).startswith("reasoner-")


def test_an_adapter_is_asked_in_the_layout_that_it_was_tuned_on_unless_told(tuned: Any) -> None:
    learned = {"tuned_adapter": "rallrec", "tune": {"template": "answered"}}
    workspace = tuned(**learned, template="evidence")
    assert workspace.recipe().prompting.template == "evidence", "nothing is tuned yet"
    _finish(workspace, "rallrec", b"learned")
    with pytest.raises(SettingsError, match=r"'rallrec' was tuned in the layout 'answered'.*'evidence'"):
        tuned(**learned, template="evidence").recipe()
    assert tuned(**learned, template="answered").recipe().prompting.template == "answered"
    assert tuned(**learned, template="evidence", other_layout=True).recipe().prompting.template == "evidence"
    assert tuned(**learned, template="evidence").recipe(template="paper").prompting.template == "paper", "it was told"


def test_an_adapter_tuned_anew_is_another_in_results(tuned: Any) -> None:
    def with_weights(weights: bytes) -> CachedEngine:
        workspace = tuned(tuned_adapter="rallrec")
        _finish(workspace, "rallrec", weights)
        engine: CachedEngine = workspace.cached_engine("tuned")
        return engine

    first, prompt = with_weights(b"first"), (Message("user", "Will they?"),)
    first.answer([prompt])
    second = with_weights(b"second")
    assert first.model.adapter != second.model.adapter
    assert second.peek_answers([prompt]) == [None]
    # The same weights again are the same name, and what they said is known.
    assert with_weights(b"first").peek_answers([prompt]) != [None]


def test_each_dataset_has_its_own_adapter(tuned: Any) -> None:
    before, workspace = tuned(tuned_adapter="rallrec"), tuned(tuned_adapter="rallrec")
    small = _finish(workspace, "rallrec", b"of small")
    assert before.role("tuned").adapter
    assert before.role("tuned", "other").adapter is None, "another dataset's is not taken"
    others_adapter = _finish(workspace, "rallrec", b"of other", "other")
    roles = {name: workspace.role("tuned", name) for name in (None, "ml-latest-small", "other")}
    assert roles[None] == roles["ml-latest-small"]
    assert [roles[name].folder for name in (None, "other")] == [str(small.folder), str(others_adapter.folder)]
    assert roles[None].adapter != roles["other"].adapter
    engines = [workspace.engine("tuned", name) for name in (None, "other")]
    assert engines[0].weights is engines[1].weights
    assert engines[0].folder != engines[1].folder


def test_other_settings_of_the_tuning_are_another_adapter(tuned: Any) -> None:
    _finish(tuned(tuned_adapter="rallrec"), "rallrec", b"as it was")
    assert tuned(tuned_adapter="rallrec").role("tuned").adapter
    assert tuned(tuned_adapter="rallrec", tune={"rank": 3}).role("tuned").adapter is None
    assert tuned(tuned_adapter="rallrec", tuned_model=LLAMA).role("tuned").adapter is None, "not of this base"
    # How the base is held, or how much it may read, is no other adapter.
    changed = tuned(tuned_adapter="rallrec", context=512, dtype="bfloat16").role("tuned")
    assert (changed.model.context, changed.model.precision) == (512, "bfloat16")
    assert str(changed.adapter).startswith("rallrec-")


def test_servers_and_the_scripted_engine_have_no_adapter_of_a_recipe_but_one_of_their_own(tuned: Any) -> None:
    served = tuned(engine="openai", tuned_adapter="rallrec", reasoning_adapter="theirs")
    _finish(served, "rallrec", b"here")
    assert (served.role("tuned").adapter, served.role("tuned").folder) == (None, None)
    assert served.model("reasoning").adapter == "theirs"
    scripted = tuned(engine="scripted", tuned_adapter="rallrec", reasoning_adapter="mine")
    assert scripted.role("tuned") == Role(BaseWeights("scripted", SCRIPTED))
    assert scripted.model("reasoning") == replace(SCRIPTED, adapter="mine")


def test_an_adapter_that_is_no_recipe_is_taken_as_it_is(tuned: Any) -> None:
    workspace = tuned(tuned_adapter="/somewhere/adapter")
    assert (workspace.role("tuned").adapter, workspace.role("tuned").folder) == ("/somewhere/adapter", None)
    assert workspace.engine("tuned").folder is None


def test_an_engines_table_becomes_its_configuration() -> None:
    settings = Settings(vllm={"gpu_memory": 0.42}, server={"timeout": 7}, scripted_delay=0)
    assert options_of(settings, "vllm")["config"] == VllmConfig(gpu_memory=0.42)
    assert options_of(settings, "openai") == {"config": ServerConfig(timeout=7)}
    assert options_of(settings, "scripted") == {"delay": 0}
    with pytest.raises(SettingsError, match=r"vllm\.gpu_memory is 2.*tensor_parallel"):
        options_of(Settings(vllm={"gpu_memory": 2}), "vllm")
    with pytest.raises(SettingsError, match=r"server\.wait"):
        options_of(Settings(server={"wait": 2}), "openai")
