"""The Library page's service: what is there, what is not, and what is damaged, each in its place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.library import service as module
from app.library.service import DoctorService, LibraryService
from app.library.view import ArtifactEntry
from backend import datasets
from backend.settings import Settings
from storage import inventory
from storage.doctor.checks import check
from storage.doctor.findings import Finding
from storage.precompute.artifacts import Artifact
from storage.precompute.describe import load_descriptions
from storage.precompute.graph import STAGES
from storage.workspace import Workspace
from tests.app.conftest import settings_of

KINDS = [stage.kind for stage in STAGES]
EXTRA = {stage.kind: stage.name for stage in STAGES if stage.extra}
Open = Callable[..., Workspace]


def entry(workspace: Workspace, kind: str) -> ArtifactEntry:
    [matching] = [one for one in LibraryService(workspace).shelf().own if one.key == kind]
    return matching


def artifact(workspace: Workspace, kind: str) -> Artifact:
    return workspace.precompute().artifact(kind)


def test_everything_made_is_ready_in_the_plans_order(workspace: Workspace) -> None:
    shelf = LibraryService(workspace).shelf()
    assert [one.kind for one in shelf.own] == KINDS
    assert {one.kind: one.state for one in shelf.own} == {
        kind: "missing" if kind in EXTRA else "ready" for kind in KINDS
    }
    assert [one.error for one in shelf.own] == [""] * len(KINDS)
    assert not shelf.problem
    for one in shelf.own:
        if one.kind in EXTRA:
            assert one.command == f"RALLREC_ENGINE=scripted rallrec precompute --until {EXTRA[one.kind]}"
            assert "only when asked for" in one.why
            continue
        made = artifact(workspace, one.kind)
        assert (one.folder, one.bytes, one.made) == (made.folder.name, made.bytes, made.meta["made"])
        assert {file.name: (file.bytes, file.sha256) for file in one.files} == {
            name: (facts["bytes"], facts["sha256"]) for name, facts in made.meta["files"].items()
        }


def test_inputs_lead_to_the_artifacts_they_name(workspace: Workspace) -> None:
    assert [part.key for part in entry(workspace, "aligned").inputs] == [
        "title-vectors", "description-vectors", "collaborative",
    ]  # fmt: skip


def test_descriptions_tell_how_many_and_what_share_of_interactions(workspace: Workspace) -> None:
    facts = entry(workspace, "descriptions").facts
    assert facts is not None
    told, data = facts.descriptions, workspace.dataset()
    assert told is not None
    rows = load_descriptions(artifact(workspace, "descriptions"))
    described = {code for code, row in enumerate(rows) if row.source == "generated"}
    covered = sum(int(item) in described for item in data.item_index) / data.n_interactions
    assert told.covered == pytest.approx(covered)
    assert sum(told.counts.values()) == told.items == data.n_items
    assert told.counts["fixed"] == data.n_items - 20
    counts = np.bincount(data.item_index, minlength=data.n_items)
    assert [sample.interactions for sample in told.samples] == sorted(counts.tolist(), reverse=True)[:6]
    assert told.writer_kind == "scripted"


def test_training_tells_its_curve_and_the_space_its_widths(workspace: Workspace) -> None:
    learnt = entry(workspace, "collaborative").facts
    assert learnt is not None
    assert [curve.name for curve in learnt.curves] == ["loss", "recall"]
    kept = json.loads((artifact(workspace, "collaborative").folder / "curve.json").read_text())
    assert [list(curve.values) for curve in learnt.curves] == [[p[n] for p in kept] for n in ("loss", "recall")]
    assert learnt.best_epoch == artifact(workspace, "collaborative").meta["best_epoch"]
    aligned = entry(workspace, "aligned").facts
    assert aligned is not None
    assert set(aligned.numbers) == {"rows", "held_out_pairs", "held_out_random"}
    space = entry(workspace, "space")
    assert space.facts is not None
    assert space.facts.table is not None
    assert sum(row["dimensions"] for row in space.facts.table.rows) == space.dimensions
    index = entry(workspace, "index").facts
    assert index is not None
    assert index.table is not None
    assert [row["variant"] for row in index.table.rows] == ["text", "id", "concat", "concat+ssl"]


def test_what_other_settings_need_is_missing_with_its_reason_and_its_command(open_workspace: Open) -> None:
    workspace = open_workspace(collaborative={"dimensions": 9})
    shelf = LibraryService(workspace).shelf()
    states = {one.kind: one.state for one in shelf.own}
    assert (states["descriptions"], states["collaborative"], states["space"]) == ("ready", "missing", "missing")
    learnt = entry(workspace, "collaborative")
    assert "config.dimensions: 8 -> 9" in learnt.why
    assert learnt.command == "RALLREC_ENGINE=scripted rallrec precompute --until collaborative"
    assert {one.state for one in shelf.others} == {"ready", "shipped"}, "what ships is of other models"
    others = {one.kind: one for one in shelf.others if one.state == "ready"}
    assert {"collaborative", "aligned", "space", "index", "map"} <= set(others)
    assert all(one.key == one.folder for one in others.values())
    parts = {part.kind: part.key for part in others["aligned"].inputs}
    assert parts["title-vectors"] == "title-vectors"
    assert parts["collaborative"] == others["collaborative"].key


def test_unfinished_work_is_being_made_while_it_is_written_to_and_interrupted_after(open_workspace: Open) -> None:
    workspace = open_workspace(describe={"items": 7})
    node = workspace.precompute().nodes["descriptions"]
    part = workspace.artifacts.part("descriptions", node.recipe)
    (part / "scratch").mkdir(parents=True)
    (part / "scratch" / "seconds.json").write_text("75.0")
    now = entry(workspace, "descriptions")
    assert (now.state, now.seconds, now.command) == ("making", 75.0, "")
    os.utime(part / "scratch" / "seconds.json", (time.time() - 3600,) * 2)
    later = entry(workspace, "descriptions")
    assert (later.state, later.seconds) == ("interrupted", 75.0)
    assert later.command == "RALLREC_ENGINE=scripted rallrec precompute --until describe"


@pytest.mark.parametrize(
    ("kind", "name", "text", "said"),
    [
        ("collaborative", "meta.json", "{", "cannot be read"),
        ("collaborative", "meta.json", '{"recipe": 1}', "does not match"),
        ("map", "text.npy", None, "is missing"),
        ("space", "rows.npy", "short", "5 bytes and should have"),
    ],
)
def test_a_damaged_artifact_says_so_and_the_others_are_as_they_were(
    workspace: Workspace, kind: str, name: str, text: str | None, said: str
) -> None:
    path = artifact(workspace, kind).folder / name
    path.unlink() if text is None else path.write_text(text)
    shelf = LibraryService(workspace).shelf()
    assert [one.kind for one in shelf.own] == KINDS
    broken = {one.kind: one for one in shelf.own if one.state != "ready" and one.kind not in EXTRA}
    assert list(broken) == [kind]
    assert broken[kind].state == "damaged"
    assert said in broken[kind].why
    assert "delete" in broken[kind].why or "anew" in broken[kind].why


@pytest.mark.parametrize(
    ("kind", "name", "of"),
    [("collaborative", "curve.json", "x"), ("descriptions", "descriptions.jsonl", "{"), ("aligned", "curve.json", "7")],
)
def test_facts_that_cannot_be_read_are_an_error_of_their_own_fold(
    workspace: Workspace, kind: str, name: str, of: str
) -> None:
    path = artifact(workspace, kind).folder / name
    path.write_bytes((of * path.stat().st_size)[: path.stat().st_size].encode())  # of the same size
    broken = entry(workspace, kind)
    assert (broken.state, broken.facts) == ("ready", None)
    assert broken.error
    assert [one.error for one in LibraryService(workspace).shelf().own if one.kind != kind] == [""] * (len(KINDS) - 1)


def test_a_meta_of_another_version_is_listed_as_damaged(workspace: Workspace) -> None:
    folder = workspace.settings.home / "artifacts" / "old-0123456789abcdef"
    folder.mkdir()
    (folder / "meta.json").write_text('{"kind": "old", "recipe": {}, "made": "2025-01-01T00:00:00Z"}')
    entries = {one.key: one for one in LibraryService(workspace).shelf().others}
    assert entries[folder.name].state == "damaged"
    assert "lacks 'files'" in entries[folder.name].why


def test_a_table_of_any_stage_is_taken_over(workspace: Workspace) -> None:
    folder = artifact(workspace, "map").folder
    meta = json.loads((folder / "meta.json").read_text())
    meta["table"] = [{"strategy": "rerank", "auc": 0.5}, {"strategy": "recent", "auc": None, "samples": 3}]
    (folder / "meta.json").write_text(json.dumps(meta))
    facts = entry(workspace, "map").facts
    assert facts is not None
    assert facts.table is not None
    assert facts.table.columns == ("strategy", "auc", "samples")


def test_datasets_are_prepared_shipped_or_damaged(workspace: Workspace, tmp_path: Path) -> None:
    [current] = [one for one in LibraryService(workspace).datasets() if one.current]
    data = workspace.dataset()
    assert (current.state, current.users, current.items) == ("prepared", data.n_users, data.n_items)
    assert current.licence
    elsewhere = Workspace(settings_of(tmp_path / "elsewhere"))
    [shipped] = [one for one in LibraryService(elsewhere).datasets() if one.current]
    assert (shipped.state, shipped.command) == ("shipped", "rallrec prepare --dataset ml-latest-small")
    (workspace.settings.home / "datasets" / "ml-latest-small" / "meta.json").write_text("{")
    [damaged] = [one for one in LibraryService(workspace).datasets() if one.current]
    assert damaged.state == "damaged"
    assert "rallrec prepare" in damaged.why


def test_a_dataset_that_cannot_be_read_leaves_no_plan_and_lists_the_artifacts(workspace: Workspace) -> None:
    (workspace.settings.home / "datasets" / "ml-latest-small" / "meta.json").write_text("{")
    shelf = LibraryService(workspace).shelf()
    assert shelf.own == ()
    assert "damaged" in shelf.problem
    assert {one.kind for one in shelf.others} >= set(KINDS) - set(EXTRA)


def test_models_tell_where_their_weights_are(open_workspace: Open, home: Path) -> None:
    (home / "a-model").mkdir()
    (home / "a-model" / "weights").write_bytes(b"x" * 10)
    workspace = open_workspace(
        engine="transformers", tuned_model=str(home / "a-model"), reasoning_model="org/model",
        encoder="smollm2-135m-instruct", describer="scripted",
    )  # fmt: skip
    models = {one.role: one for one in LibraryService(workspace).models()}
    assert {role: one.state for role, one in models.items()} == {
        "tuned": "disk", "reasoning": "hub", "encoder": "fetched", "describer": "scripted",
    }  # fmt: skip
    assert models["tuned"].bytes == 10
    assert models["encoder"].command == "rallrec prepare --model"
    served = open_workspace(engine="openai", reasoning_engine="scripted", tuned_model="org/model", tuned_adapter="lora")
    models = {one.role: one for one in LibraryService(served).models()}
    assert (models["tuned"].name, models["tuned"].state) == ("org/model + lora", "server")
    assert (models["reasoning"].state, models["encoder"].state) == ("scripted", "scripted")


def test_looking_at_the_cache_makes_no_database(workspace: Workspace) -> None:
    service = LibraryService(workspace)
    assert service.cache().exists is False
    assert not (workspace.settings.home / "rallrec.db").exists()
    workspace.cached_engine("tuned")
    there = service.cache()
    assert (there.exists, there.models) == (True, ())
    assert (there.bytes or 0) > 0


def test_the_home_is_measured_and_what_links_lead_to_counts_once(workspace: Workspace, home: Path) -> None:
    before = LibraryService(workspace).space()
    (home / "hub").mkdir()
    (home / "hub" / "blob").write_bytes(b"x" * 100_000)
    (home / "hub" / "link").symlink_to(home / "hub" / "blob")
    (home / "hub" / "gone").symlink_to(home / "nowhere")
    after = LibraryService(workspace).space()
    assert 100_000 <= after.bytes - before.bytes < 101_000
    assert after.free > 0
    assert inventory.home_space(home / "not" / "yet").bytes == 0


def test_the_doctor_finds_what_the_command_finds_and_each_dataset_its_own(workspace: Workspace) -> None:
    findings = {one.name: one for one in DoctorService(workspace).findings()}
    assert {"python", "disk", "torch", "dataset", "vectors", "database"} <= set(findings)
    assert f"{workspace.dataset().n_items:,} items" in findings["dataset"].detail
    assert list(findings) == [one.name for one in check(workspace.settings)]
    findings_elsewhere = {one.name: one for one in DoctorService(workspace.over("elsewhere")).findings()}
    assert (findings_elsewhere["dataset"].state, findings_elsewhere["dataset"].fix) == (
        "missing",
        datasets.command_for("elsewhere"),
    )


def test_those_who_ask_the_doctor_while_he_looks_share_his_next_look(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, looks = threading.Event(), []

    def slow(settings: Settings) -> list[Finding]:
        looks.append(settings.dataset)
        assert gate.wait(30)
        return [Finding("look", "ok", str(len(looks)))]

    monkeypatch.setattr(module, "check", slow)
    service, told = DoctorService(workspace), []
    asking = [threading.Thread(target=lambda: told.append(service.findings()[0].detail)) for _ in range(6)]
    asking[0].start()
    while not looks:
        time.sleep(0.01)
    for thread in asking[1:]:
        thread.start()
    time.sleep(0.3)  # all of them wait now
    gate.set()
    for thread in asking:
        thread.join(30)
    assert sorted(told) == ["1", "2", "2", "2", "2", "2"]


def test_looking_loads_no_model_library(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from app.library.service import LibraryService;"
        "from storage.workspace import Workspace; from tests.app.conftest import settings_of;"
        "before = set(sys.modules);"
        "s = LibraryService(Workspace(settings_of(Path(sys.argv[1]))));"
        "assert all(e.state in ('ready', 'missing') for e in s.shelf().own); s.datasets(), s.models(), s.cache();"
        "from app.library.service import DoctorService; DoctorService(s._workspace).findings();"
        "print(*[n for n in ('torch', 'transformers', 'faiss', 'sklearn') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []
