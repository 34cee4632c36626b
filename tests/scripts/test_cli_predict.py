"""``rallrec predict`` on the shipped dataset, with the scripted engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backend.engines.scripted import ScriptedEngine
from backend.pipeline import Pipeline
from backend.settings import Settings
from backend.types import Answer, Trace
from storage import CachedEngine
from storage.workspace import Workspace
from tests.scripts.cli_process import Rallrec, as_json, one_line_error

ASK = ("predict", "--user", "15", "--item", "1", "--engine", "scripted", "--json")
FAST: dict[str, Any] = {"RALLREC_SCRIPTED_DELAY": 0}


def test_asked_twice_the_second_answer_is_the_same_and_from_the_cache(rallrec: Rallrec) -> None:
    first, second = (as_json(rallrec(*ASK, "--seed", 77, **FAST)) for _ in range(2))
    assert first.pop("cached") is False
    assert second.pop("cached") is True
    assert first == second
    assert (first["dataset"], first["user"], first["item"], first["title"]) == (
        "ml-latest-small", "15", "1", "Toy Story (1995)",
    )  # fmt: skip
    assert len(first["traces"]) == 6
    assert len(first["history"]) == first["k"] == 10
    assert min(first["p_g"], first["p_r"]) <= first["p_final"] <= max(first["p_g"], first["p_r"])


def test_the_same_seed_gives_the_same_numbers_in_another_home_and_another_seed_others(
    rallrec: Rallrec, tmp_path: Any
) -> None:
    timing = ("cached", "seconds")

    def ask(seed: int, **environment: Any) -> dict[str, Any]:
        record = as_json(rallrec(*ASK, "--seed", seed, **FAST, **environment))
        record["traces"] = [{k: v for k, v in trace.items() if k not in timing} for trace in record["traces"]]
        return {name: value for name, value in record.items() if name not in timing}

    one, elsewhere, other_seed = ask(5), ask(5, RALLREC_HOME=tmp_path / "other"), ask(6)
    assert one == elsewhere
    assert one["p_r"] != other_seed["p_r"]
    assert (one["p_g"], one["history"]) == (other_seed["p_g"], other_seed["history"])


def test_merging_options_need_no_model(rallrec: Rallrec) -> None:
    as_json(rallrec(*ASK, **FAST))
    moved = as_json(rallrec(*ASK, "--alpha", 3, "--epsilon", 0.5, **FAST))
    assert moved["cached"] is True
    assert (moved["alpha"], moved["epsilon"]) == (3.0, 0.5)


def test_options_win_over_the_environment_and_reach_the_record(rallrec: Rallrec) -> None:
    options = ("--gamma", 1, "--beta", 0.5, "--k", 4, "--traces", 2, "--knowledge", "none", "--max-tokens", 8)
    record = as_json(rallrec(*ASK, *options, RALLREC_K=7, RALLREC_GAMMA=0, **FAST))
    assert (record["gamma"], record["beta"], record["k"]) == (1.0, 0.5, 4)
    assert [row["relevance_rank"] for row in record["history"]] == [1, 2, 3, 4]
    assert [trace["tokens"] for trace in record["traces"]] == [8, 8]
    assert "Another one think" not in record["prompt"]


def test_a_what_if_is_predicted_from_its_edits_as_json_or_a_file(rallrec: Rallrec, tmp_path: Path) -> None:
    plain = as_json(rallrec(*ASK, "--k", 5, **FAST))
    first = plain["history"][0]["item"]
    edits = f'{{"removed": ["{first}"], "hint": "none", "settings": {{"k": 4}}}}'
    (tmp_path / "edits.json").write_text(edits)
    changed, again = (as_json(rallrec(*ASK, "--k", 5, "--edits", given, **FAST)) for given in (edits, "edits.json"))
    assert (changed.pop("cached"), again.pop("cached")) == (False, True)
    assert changed == again
    assert first not in [row["item"] for row in changed["history"]]
    assert (len(changed["history"]), changed["k"]) == (4, 4)
    assert changed["edits"]["removed"] == [first]
    assert "Another one think" in plain["prompt"]
    assert "Another one think" not in changed["prompt"]


def test_the_report_for_people_shows_history_chains_and_the_five_numbers(rallrec: Rallrec) -> None:
    done = rallrec(*ASK[:-1], **FAST)
    assert done.returncode == 0
    for shown in ("Toy Story (1995)", "Chain 6:", "P_G =", "sigma_R^2 =", "P_final ="):
        assert shown in done.stdout


class Dropping(ScriptedEngine):
    """Says of every result that two lines were left out, of every second chain three."""

    def answer(self, prompts: Any, **more: Any) -> list[Answer]:
        more.pop("on_answer")
        return [replace(answer, dropped=2) for answer in super().answer(prompts, **more)]

    def reason(self, *arguments: Any, **more: Any) -> list[list[Trace]]:
        more.pop("on_trace")
        return [[replace(t, dropped=2 + t.index % 2) for t in row] for row in super().reason(*arguments, **more)]


def test_past_items_that_were_left_out_are_counted_and_said(rallrec: Rallrec, home: Path) -> None:
    choices = ("--k", 9, "--traces", 2, "--seed", 4711)
    workspace = Workspace(Settings(home=home, engine="scripted"))
    ready, recipe = workspace.pipeline(), workspace.recipe(k=9, traces=2, seed=4711)
    engine = CachedEngine(Dropping(workspace.model("tuned")), workspace.database)
    question = ready.question(ready.dataset.user_code("15"), ready.dataset.item_code("1"), recipe)
    Pipeline(ready.dataset, ready.retriever.space, engine, engine).predict(question, recipe)
    workspace.close()
    record = as_json(rallrec(*ASK, *choices, **FAST))
    assert record["cached"] is True
    assert [(answer["order"], answer["dropped"]) for answer in record["answers"]] == [
        ("rank", 2), ("chronological", 2), ("relevance", 2),
    ]  # fmt: skip
    assert record["answers"][0]["p_yes"] == record["p_g"]
    assert [trace["dropped"] for trace in record["traces"]] == [2, 3]
    said = " ".join(rallrec(*ASK[:-1], *choices, **FAST).stdout.split())
    cut = "The prompt was longer than the model's context: the"
    assert f"Tuned model: {cut} 2 oldest past items were left out." in said
    assert f"Reasoning model: {cut} 3 oldest past items were left out." in said
    assert cut not in " ".join(rallrec(*ASK[:-1], **FAST).stdout.split())


@pytest.mark.parametrize(
    ("change", "given", "code", "said"),
    [
        (("--user", "nobody"), {}, 2, "No user 'nobody'"),
        (("--item", "0"), {}, 2, "No item '0'"),
        (("--gamma", "1.5"), {}, 2, "gamma is 1.5"),
        (("--k", "0"), {}, 2, "k is 0"),
        (("--knowledge", "loud"), {}, 2, "knowledge is 'loud'"),
        (("--dataset", "ml-1g"), {}, 2, "'ml-1g'"),
        (("--engine", "vlm"), {}, 2, "Unknown engine 'vlm'"),
        (("--edits", '{"removed": 1}'), {}, 2, "The edits cannot be read"),
        (("--edits", "nowhere.json"), {}, 2, "nowhere.json"),
        ((), {"RALLREC_ENCODER": "scripted"}, 1, "rallrec precompute"),
        ((), {"RALLREC_DATABASE_URL": "sqlite:///broken.db"}, 1, "broken.db"),
    ],
)
def test_what_cannot_be_asked_is_one_clear_line(
    rallrec: Rallrec, tmp_path: Path, change: tuple[str, ...], given: dict[str, str], code: int, said: str
) -> None:
    (tmp_path / "broken.db").write_text("no database", "utf-8")
    assert said in one_line_error(rallrec(*ASK, *change, **FAST, **given), code)


def test_another_item_of_the_same_user_can_be_asked_about(rallrec: Rallrec) -> None:
    assert as_json(rallrec(*ASK, "--item", "2", **FAST))["title"] == "Jumanji (1995)"
