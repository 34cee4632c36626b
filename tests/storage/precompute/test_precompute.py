"""The graph of stages: what runs, why, what it leaves behind, and how it goes on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backend.datasets import Dataset
from backend.engines.scripted import ScriptedEngine
from backend.errors import (
    CorruptCacheError,
    DataError,
    NotPreparedError,
    SettingsError,
    Stopped,
    StorageError,
    UnknownNameError,
)
from backend.representation import PARTS, mix, title_texts
from backend.training.config import RECIPES
from storage.precompute.artifacts import ArtifactStore
from storage.precompute.describe import load_descriptions
from storage.precompute.embed import load_text_vectors
from storage.precompute.graph import STAGE_NAMES, STAGES, kinds_until
from storage.precompute.job import load_array
from storage.precompute.mix import load_space
from storage.precompute.plan import Precompute

Make = Callable[..., Precompute]
ALL = [stage.kind for stage in STAGES if not stage.extra]


def _states(work: Precompute, until: str | None = None) -> dict[str, str]:
    return {item.node.stage.kind: item.state for item in work.plan(until)}


def _why(work: Precompute, kind: str) -> str:
    [why] = [item.why for item in work.plan() if item.node.stage.kind == kind]
    return why


def test_every_stage_comes_after_its_inputs() -> None:
    kinds = [stage.kind for stage in STAGES]
    for place, stage in enumerate(STAGES):
        assert set(stage.inputs) <= set(kinds[:place])
    assert kinds_until(None) == ALL
    assert kinds_until("describe") == ["descriptions"]
    assert kinds_until("embed") == ["descriptions", "title-vectors", "description-vectors"]
    assert kinds_until("collaborative") == ["collaborative"]
    assert set(kinds_until("index")) == set(ALL) - set(ALL[ALL.index("index") + 1 :])
    with pytest.raises(UnknownNameError, match=r"describe.*index"):
        kinds_until("indexes")


def test_planning_makes_nothing_and_needs_nothing(precompute: Make, store: ArtifactStore, tmp_path: Path) -> None:
    assert set(_states(precompute()).values()) == {"missing"}
    assert _why(precompute(), "space") == "never made"
    assert store.all() == []
    assert not (tmp_path / "home").exists()


def test_a_run_makes_all_and_a_second_one_nothing(precompute: Make) -> None:
    made: list[str] = []
    artifacts = precompute().run(on_done=lambda artifact: made.append(artifact.meta["kind"]))
    assert made == ALL
    assert [artifact.meta["kind"] for artifact in artifacts] == ALL
    assert set(_states(precompute()).values()) == {"ready"}
    again = precompute().run(on_done=lambda artifact: made.append("again"))
    assert [artifact.folder for artifact in again] == [artifact.folder for artifact in artifacts]
    assert made == ALL


def test_an_artifact_says_what_made_it(precompute: Make, tmp_path: Path) -> None:
    artifacts = {artifact.meta["kind"]: artifact for artifact in precompute().run()}
    for kind, artifact in artifacts.items():
        meta = json.loads((artifact.folder / "meta.json").read_text("utf-8"))
        assert meta["recipe"]["data"]["name"] == "ml-latest-small"
        assert meta["recipe"]["code"] >= 1
        assert set(meta["inputs"]) == set(meta["recipe"]["inputs"])
        assert all(artifacts[input_kind].folder.name == folder for input_kind, folder in meta["inputs"].items())
        assert {"made", "version", "seconds", "rows"} <= meta.keys()
        assert set(meta["files"]) == {path.name for path in artifact.folder.iterdir()} - {"meta.json"}, kind
        assert artifact.damage() == []
    assert artifacts["descriptions"].meta["recipe"]["seed"] == 0
    assert artifacts["collaborative"].meta["recipe"]["split"] == "chronological"
    assert artifacts["title-vectors"].meta["recipe"]["model"]["name"] == "scripted"
    (artifacts["space"].folder / "widths.json").write_text("{}")
    assert artifacts["space"].damage() == ["widths.json"]


def test_only_what_depends_on_a_change_runs_again_and_says_why(precompute: Make) -> None:
    precompute().run()
    changed = precompute(align={"max_epochs": 5})
    assert _states(changed) == dict.fromkeys(ALL, "ready") | dict.fromkeys(ALL[ALL.index("aligned") :], "missing")
    assert _why(changed, "aligned") == "changed since the last one: config.max_epochs: 4 -> 5"
    assert _why(changed, "space") == "changed since the last one: inputs.aligned"
    made: list[str] = []
    changed.run(on_done=lambda artifact: made.append(artifact.meta["kind"]))
    assert made == ALL[ALL.index("aligned") :]
    # Going back finds what was made before.
    assert set(_states(precompute()).values()) == {"ready"}
    assert _why(precompute(seed=1), "descriptions") == "changed since the last one: seed: 0 -> 1"
    assert _states(precompute(seed=1))["title-vectors"] == "ready"


def test_a_stage_can_be_made_anew_and_comes_out_the_same(precompute: Make) -> None:
    before = {artifact.meta["kind"]: artifact for artifact in precompute().run()}
    made: list[str] = []
    after = precompute().run(fresh=["align"], on_done=lambda artifact: made.append(artifact.meta["kind"]))
    assert made == ["aligned"]
    for artifact in after:
        assert artifact.meta["files"] == before[artifact.meta["kind"]].meta["files"]


def test_the_space_is_the_mixture_of_its_parts(precompute: Make) -> None:
    artifacts = {artifact.meta["kind"]: artifact for artifact in precompute().run()}
    titles, texts = (load_text_vectors(artifacts[kind]) for kind in ("title-vectors", "description-vectors"))
    taste, aligned = (load_array(artifacts[kind], "vectors.npy") for kind in ("collaborative", "aligned"))
    space = load_space(artifacts["space"])
    assert isinstance(space.rows, np.memmap)
    expected = mix([np.concatenate([titles, texts], axis=1), taste, aligned])
    np.testing.assert_allclose(space.rows, expected, atol=1e-6)
    assert list(space.widths) == list(PARTS)
    unseen = np.flatnonzero(~np.any(taste, axis=1))
    assert len(unseen) >= 2
    assert not space.variant("id")[unseen].any()
    assert space.variant("text")[unseen].any(axis=1).all()


def test_text_vectors_are_those_of_the_encoder_in_a_byte_per_number(precompute: Make, small: Dataset) -> None:
    artifacts = {artifact.meta["kind"]: artifact for artifact in precompute().run("embed")}
    labels = [small.item_label(code) for code in range(small.n_items)]
    texts = {
        "title-vectors": title_texts(small.meta, labels, small.categories),
        "description-vectors": [row.text for row in load_descriptions(artifacts["descriptions"])],
    }
    for kind, kind_texts in texts.items():
        codes, columns = (load_array(artifacts[kind], name) for name in ("vectors.npy", "columns.npy"))
        assert (codes.dtype, columns.dtype, columns.shape) == (np.int8, np.float32, (2, codes.shape[1]))
        made = ScriptedEngine().embed(kind_texts)
        assert codes.shape == made.shape
        assert (np.abs(load_text_vectors(artifacts[kind]) - made) <= columns[1] / 2 + 1e-3 * np.abs(made).max()).all()


def test_text_vectors_that_are_not_finite_are_refused_before_they_are_kept(
    precompute: Make, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = precompute()
    work.run("describe")
    embed = ScriptedEngine.embed
    with monkeypatch.context() as broken:
        broken.setattr(ScriptedEngine, "embed", lambda *given, **named: embed(*given, **named) * np.float32(np.nan))
        with pytest.raises(DataError, match=r"not finite.*titles 0 to 32"):
            work.run("embed")
    assert not list(store.part("title-vectors", work.nodes["title-vectors"].recipe).rglob("rows-*.npy"))
    work.run("embed")


def test_text_can_be_reduced_first(precompute: Make) -> None:
    work = precompute(mix={"text_dimensions": 5})
    artifacts = work.run("mix")
    space = load_space(artifacts[-1])
    assert space.widths["text"] == 5
    assert 0 < artifacts[-1].meta["variance_kept"] <= 1


def test_the_maps_keep_neighbours_near(precompute: Make) -> None:
    artifact = precompute().run("map")[-1]
    flat = load_array(artifact, "text.npy")
    assert flat.shape[1] == 2
    assert np.abs(flat).max() == pytest.approx(1.0)
    assert len(np.unique(flat, axis=0)) > len(flat) / 2


def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(
    precompute: Make, store: ArtifactStore, tmp_path: Path
) -> None:
    expected = {artifact.meta["kind"]: artifact.meta["files"] for artifact in precompute().run()}
    for artifact in store.all():
        for path in artifact.folder.iterdir():
            path.unlink()
        artifact.folder.rmdir()
    stops = 0
    while True:
        looks = 0

        def soon() -> bool:
            nonlocal looks
            looks += 1
            return looks > 7 + stops % 9  # noqa: B023

        try:
            done = precompute().run(stop=soon)
        except Stopped:
            stops += 1
            assert stops < 500, "it does not get on"
            assert "begun" in _states(precompute()).values()
            continue
        break
    assert stops > 3
    assert {artifact.meta["kind"]: artifact.meta["files"] for artifact in done} == expected
    assert not list((tmp_path / "home" / "artifacts").glob(".*.part"))


def test_a_run_killed_between_its_last_file_and_its_name_is_completed(precompute: Make, store: ArtifactStore) -> None:
    work = precompute()
    [artifact] = work.run("describe")
    recipe = work.nodes["descriptions"].recipe
    part = store.part("descriptions", recipe)
    artifact.folder.rename(part)
    (part / "scratch").mkdir()
    assert _states(work)["descriptions"] == "begun"
    made = work.run("describe", progress=lambda what, _fraction: pytest.fail(f"{what} ran again"))
    assert made == [artifact]
    assert not (artifact.folder / "scratch").exists()


def test_two_runs_do_not_make_the_same_artifact(precompute: Make, store: ArtifactStore) -> None:
    work = precompute()
    with store.making("descriptions", work.nodes["descriptions"].recipe):
        with pytest.raises(StorageError, match="Another run"):
            work.run("describe")
        work.run("collaborative")
    work.run("describe")


def test_what_another_run_finished_meanwhile_is_not_made_again(precompute: Make) -> None:
    heard: list[str] = []

    def others_turn(artifact: Any) -> None:
        if artifact.meta["kind"] == "descriptions":
            precompute().run("embed")

    precompute().run("embed", progress=lambda what, _fraction: heard.append(what), on_done=others_turn)
    assert any("describing" in what for what in heard)
    assert not any("embedding" in what for what in heard)


def test_what_takes_seconds_is_made_when_it_is_needed_and_the_rest_names_its_command(precompute: Make) -> None:
    work = precompute()
    with pytest.raises(NotPreparedError, match="--until mix"):
        work.artifact("space")
    work.run("align")
    assert work.artifact("index").meta["kind"] == "index"
    assert _states(work)["space"] == "ready"
    with pytest.raises(NotPreparedError, match="--until map"):
        work.artifact("map")


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"align": {"epochs": 3}}, "align.epochs"), ({"describe": {"items": "many"}}, "describe.items is 'many'")],
)
def test_a_wrong_setting_of_a_stage_is_named(precompute: Make, settings: Any, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        precompute(**settings)


def test_damaged_files_are_said_to_be(precompute: Make) -> None:
    artifacts = {artifact.meta["kind"]: artifact for artifact in precompute().run("mix")}
    (artifacts["space"].folder / "rows.npy").write_bytes(b"half a file")
    with pytest.raises(CorruptCacheError, match=r"rows\.npy is damaged"):
        load_space(artifacts["space"])
    columns = artifacts["title-vectors"].folder / "columns.npy"
    for content in (np.zeros((2, 1), np.float32), np.zeros((3, 4), np.float32), np.float32(1)):
        np.save(columns, content)
        with pytest.raises(CorruptCacheError, match=r"title-vectors.*is damaged"):
            load_text_vectors(artifacts["title-vectors"])
    (artifacts["descriptions"].folder / "descriptions.jsonl").write_text('{"item": "1"}\n')
    work = precompute(embed={"pooling": "last"})
    with pytest.raises(CorruptCacheError, match="descriptions"):
        work.run("embed")


@pytest.mark.parametrize("content", ["{", "[]", '{"recipe": {}}'])
def test_an_artifact_whose_meta_is_damaged_is_made_anew(precompute: Make, content: str) -> None:
    work = precompute()
    [artifact] = work.run("describe")
    (artifact.folder / "meta.json").write_text(content)
    assert _states(work, "describe") == {"descriptions": "damaged"}
    assert work.run("describe")[0].meta["files"] == artifact.meta["files"]
    assert _states(work, "describe") == {"descriptions": "ready"}


def test_the_commands_are_the_stages() -> None:
    from scripts.precompute import STAGES as COMMANDS

    assert (*COMMANDS, *(f"tune-{recipe}" for recipe in RECIPES)) == STAGE_NAMES
