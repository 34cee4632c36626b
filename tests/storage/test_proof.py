"""What ships is what its models say: drawn answers, and the P(yes) of drawn chains, are computed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backend.engines import SCRIPTED
from backend.engines.scripted import ScriptedEngine
from backend.errors import NotPreparedError, Stopped, UsageError
from backend.settings import Settings
from backend.types import Message, ModelRef, Sampling
from storage import CachedEngine, Database
from storage.precompute.artifacts import BUNDLE
from storage.proof import TOLERANCE, BundleEngines, recompute
from storage.results.transfer import Rows, export_results, read_results
from storage.shipped import RESULTS

PROMPTS = [(Message("user", f"Will they like film {number}?"),) for number in range(30)]


@pytest.fixture
def results(database: Database, tmp_path: Path) -> Rows:
    """30 answers and 60 chains of the engine without a model, drawn in two ways."""
    engine = CachedEngine(ScriptedEngine(), database)
    engine.answer(PROMPTS)
    for seed in (1, 2):
        engine.reason(PROMPTS[:15], 2, Sampling(seed=seed))
    return read_results(export_results(database, tmp_path / "x.gz").path)[1]


def proved(results: Rows, count: int, seed: int = 0, **more: Any) -> Any:
    engine = ScriptedEngine()
    arguments = {"progress": lambda _what, _fraction: None, "stop": lambda: False} | more
    return recompute(results, lambda _model: engine, count, seed, **arguments)


def test_what_was_not_changed_agrees_to_the_last_digit(results: Rows) -> None:
    proof = proved(results, 1000)
    assert (proof.answers.count, proof.answers.of, proof.answers.largest) == (30, 30, 0)
    assert (proof.chains.count, proof.chains.of, proof.chains.largest) == (60, 60, 0)
    assert (proof.retokenized, proof.agrees) == (0, True)


@pytest.mark.parametrize("kind", ["answers", "chains"])
@pytest.mark.parametrize(("by", "agrees"), [(TOLERANCE / 2, True), (TOLERANCE * 2, False)])
def test_the_largest_difference_is_told_and_decides(results: Rows, kind: str, by: float, agrees: bool) -> None:
    rows = results.answers if kind == "answers" else results.traces
    for row, change in ((rows[3], by / 2), (rows[7], by)):
        row["p_yes"] += change if row["p_yes"] < 0.5 else -change
    proof = proved(results, 1000)
    compared = getattr(proof, kind)
    assert (compared.largest, compared.key) == (pytest.approx(by), rows[7]["key"])
    assert proof.agrees is agrees


def test_the_seed_says_which_are_drawn(results: Rows) -> None:
    for row in results.answers:
        row["p_yes"] = 0.5
    keys = {seed: proved(results, 3, seed).answers for seed in (0, 0, 1, 2, 3)}
    assert all(compared.count == 3 for compared in keys.values())
    assert len({compared.key for compared in keys.values()}) > 1
    assert proved(results, 3, 1).answers == keys[1]


def test_chains_that_are_read_as_other_tokens_are_counted_apart_and_others_drawn(results: Rows) -> None:
    for row in results.traces[:40]:
        row["tokens"], row["p_yes"] = row["tokens"] + 1, 0.5
    proof = proved(results, 10)
    assert (proof.chains.count, proof.chains.largest) == (10, 0)
    assert proof.retokenized > 0
    assert (proved(results, 1000).chains.count, proved(results, 1000).retokenized) == (20, 40)


def test_prompts_that_were_cut_cannot_be_asked_again(results: Rows) -> None:
    for row in results.answers[:10]:
        row["dropped"] = 2
    assert proved(results, 1000).answers.of == 20


def test_it_tells_how_far_it_is_and_can_be_stopped(results: Rows) -> None:
    told: list[float | None] = []
    proved(results, 1000, progress=lambda _what, fraction: told.append(fraction))
    assert told == sorted(told, key=float)  # type: ignore[arg-type]
    assert len(told) > 3
    with pytest.raises(Stopped):
        proved(results, 1000, stop=lambda: True)


def test_each_model_is_run_with_its_own_adapter_out_of_the_bundle() -> None:
    engines = BundleEngines(Settings(), BUNDLE)
    assert engines(SCRIPTED).model == SCRIPTED
    with pytest.raises(NotPreparedError, match="rallrec-000000000000 is not in the bundle"):
        engines(ModelRef("smollm2-135m-instruct", adapter="rallrec-000000000000"))
    with pytest.raises(UsageError, match="ran on gpu1:8000"):
        engines(ModelRef("llama", server="gpu1:8000"))


@pytest.mark.model
def test_a_dozen_of_what_ships_is_what_the_models_say(models_dir: Path, tmp_path: Path) -> None:
    _, shipped = read_results(BUNDLE / RESULTS)
    if not any('"precision"' in row["options"] for row in shipped.answers):
        pytest.skip("What ships was made before precisions were written down")
    # Short prompts: a minute on one core.
    short = {row["hash"] for row in sorted(shipped.prompts, key=lambda row: len(row["messages"]))[:400]}
    some = Rows(shipped.prompts, *([row for row in rows if row["prompt_hash"] in short] for rows in
                                   (shipped.answers, shipped.traces)))  # fmt: skip
    settings = Settings(home=tmp_path)
    (tmp_path / "models").symlink_to(models_dir)
    proof = recompute(some, BundleEngines(settings, BUNDLE), 12, 0, lambda _what, _fraction: None, lambda: False)
    assert (proof.answers.count, proof.chains.count) == (12, 12)
    assert proof.agrees, proof
