"""``rallrec evaluate`` on a small home: the scripted engine fills the cache, and is forbidden from then on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from backend import datasets
from backend.datasets import Dataset, build_samples, split
from backend.datasets.statistics import training_rows
from backend.errors import NotPreparedError, UsageError
from backend.evaluation.metrics import METRICS as REGISTERED
from backend.evaluation.metrics import accuracy, auc, gauc, log_loss
from backend.merging import merge
from backend.merging.choose import ALPHAS, EPSILONS
from backend.pipeline import Prediction, Recipe
from backend.prompting import HistoryLine, read_verdict
from backend.settings import load_settings
from backend.types import ModelRef, Trace
from backend.what_if import Edits
from scripts.cli import app
from storage import workspace as workspace_module
from storage.evaluation.looked_up import shown_lines
from storage.evaluation.systems import NAMES
from storage.evaluation.ways import own_adapter, untuned
from storage.results.keys import unknown_of
from storage.workspace import Workspace
from tests.backend.evaluation.test_metrics import BRIER
from tests.storage.evaluation.conftest import Lists, ask
from tests.storage.storage_fakes import CountingEngine

PROFILE = """
encoder = "scripted"
describer = "scripted"
scripted_delay = 0
template = "answered"
tuned_adapter = "mine"
traces = 2
k = 3
describe.items = 20
collaborative = {dimensions = 8, max_epochs = 3}
align.max_epochs = 3
baselines.max_epochs = 1
"""
TOLD = {"none": "not told", "paper": "told P_G"}
METRICS = ("auc", "gauc", "log_loss", "accuracy")


def _systems(evaluation: Any) -> dict[str, Any]:
    return evaluation["systems"] | evaluation["variants"]


def _values(system: Any) -> dict[str, float]:
    return {metric: system[metric] for metric in METRICS}


def test_every_system_is_scored_as_its_predictions_are(
    report: Callable[..., Any], lists: Lists, small: Dataset
) -> None:
    full = ask("mine", lists["test"], ("none", "paper"))
    held_out = ask("mine", lists["validation"], ("none", "paper"))
    plain = ask("", lists["test"], ("none",), template="paper", strategy="recent", traces=0)["none"]
    evaluation = report()
    labels = np.array([float(bool(one.question.label)) for one in plain])
    users = [user for user, _ in lists["test"]]

    def values(scores: Sequence[float]) -> Any:
        expected = {"auc": auc(labels, scores), "gauc": gauc(users, labels, scores)}
        expected |= {"log_loss": log_loss(labels, scores), "accuracy": accuracy(labels, scores)}
        return pytest.approx(expected, abs=1e-9)

    systems = _systems(evaluation)
    assert list(evaluation["systems"]) == list(NAMES)
    networks = {"DeepFM", "xDeepFM", "DCN", "AutoInt", "Boosting"}
    assert {name for name, system in evaluation["systems"].items() if system["missing"]} == networks | {
        "ReLLa",
        "Hybrid-Score",
    }
    assert systems["DeepFM"]["run"] == "RALLREC_ENGINE=scripted rallrec baselines"
    assert _values(systems["LLM"]) == values([one.p_g for one in plain])
    assert _values(systems["RALLRec"]) == values([one.p_g for one in full["none"]])
    assert _values(systems["RALLRec"]) != _values(systems["LLM"])
    for wording in ("none", "paper"):
        here, there, told = full[wording], held_out[wording], TOLD[wording]
        if wording == "none":
            chains = [[trace.p_yes for trace in one.traces if trace] for one in here]
            single = systems["Reasoner, not told, single run"]
            assert (single["runs"], single["intervals"]) == (4, {})
            each = [auc(labels, run) for run in np.array(chains, dtype=float).T]
            assert single["auc"] == pytest.approx(np.mean(each))
            assert single["spreads"]["auc"] == pytest.approx(np.std(each, ddof=1))
        assert _values(systems[f"Reasoner, {told}"]) == values([one.p_r for one in here])
        assert _values(systems[f"Merged, {told}, paper weights"]) == values([one.p_final for one in here])
        plainly = [(0.1 * one.p_r + one.p_g) / 1.1 for one in here]
        assert _values(systems[f"Merged, {told}, without CM, paper weights"]) == values(plainly)
        truth = [float(bool(one.question.label)) for one in there]

        def merged(predictions: list[Prediction], alpha: float, epsilon: float) -> Any:
            return [float(merge(one.p_r, one.var_r, one.p_g, one.var_g, alpha, epsilon)) for one in predictions]

        losses = {(a, e): log_loss(truth, merged(there, a, e)) for a in ALPHAS for e in EPSILONS}
        weights = evaluation["weights"][wording]["chosen"]
        chosen = weights["alpha"], weights["epsilon"]
        assert losses[chosen] == pytest.approx(min(losses.values()), abs=1e-12)
        assert _values(systems[f"Merged, {told}, chosen weights"]) == values(merged(here, *chosen))
    assert _values(systems["RALLRec+"]) == _values(systems["Merged, told P_G, chosen weights"])
    rows = [small.find_row(*pair) for pair in lists["test"]]
    assert None not in rows
    prior = small.labels[training_rows(small, split(build_samples(small), small))].mean()
    past = [small.labels[small.history_before(int(row or 0))] for row in rows]
    assert _values(systems["UserMean"]) == values([(one.sum() + 3 * prior) / (len(one) + 3) for one in past])
    for system in systems.values():
        for metric, (low, high) in system["intervals"].items():
            assert low <= system[metric] <= high
        assert system["n"] == (0 if system["missing"] else 14)
    complete = [name for name in NAMES if name not in networks | {"ReLLa", "Hybrid-Score"}]
    pairs = {(one["first"], one["second"]) for one in evaluation["tests"]}
    others = [name for name in complete if not name.startswith("RALLRec")]
    assert pairs == {("RALLRec+", name) for name in ["RALLRec", *others]} | {("RALLRec", name) for name in others}
    for one in evaluation["tests"]:
        first, second = (systems[one[side]][one["metric"]] for side in ("first", "second"))
        assert one["value"] == pytest.approx(first - second)
        assert 0 < one["p"] <= 1


def test_rella_is_asked_by_the_retrieval_that_its_adapter_was_tuned_with(
    report: Callable[..., Any], lists: Lists
) -> None:
    # The scripted engine knows no recipe's adapter, so the untuned model with these prompts stands for it.
    tuned_k = load_settings().tune["k"]
    choices = {"k": tuned_k, "variant": "text", "strategy": "mix-then-retrieve", "traces": 0}
    predictions = ask("", lists["test"], ("none",), **choices)["none"]
    system = _systems(report())["ReLLa"]
    labels = [float(bool(prediction.question.label)) for prediction in predictions]
    assert system["log_loss"] == pytest.approx(log_loss(labels, [prediction.p_g for prediction in predictions]))


def test_chains_are_counted_by_knowledge(report: Callable[..., Any], lists: Lists) -> None:
    full = ask("mine", lists["test"], ("none", "paper"))
    by_knowledge = {one["knowledge"]: one for one in report()["chains"]}
    for wording, predictions in full.items():
        traces = [trace for one in predictions for trace in one.traces if trace]
        counted = by_knowledge[wording]
        assert (counted["chains"], counted["wanted"]) == (len(traces), 4 * 14) == (56, 56)
        assert counted["readable"] == sum(read_verdict(trace.text).answer != "no_answer" for trace in traces) == 42
        assert counted["readable_share"] == 0.75  # every fourth scripted chain is never closed
        # A scripted chain names one title of its prompt, with its year.
        assert (counted["cited"], counted["in_prompt"], counted["in_prompt_share"]) == (56, 56, 1.0)
        assert (counted["rated"], counted["rated_right_share"]) == (0, None)
        assert counted["mean_tokens"] == pytest.approx(sum(trace.tokens for trace in traces) / 56)


def test_what_is_not_cached_for_all_is_named_and_not_scored(report: Callable[..., Any], lists: Lists) -> None:
    nothing = report()
    trivial = {"UserMean", "ItemMean", "MeanBlend"}
    assert {name for name, system in _systems(nothing).items() if system["auc"] is not None} == trivial
    rallrec = _systems(nothing)["RALLRec"]
    assert (rallrec["missing"], rallrec["n"]) == ("not cached (0 of 14)", 0)
    assert rallrec["run"].startswith("RALLREC_ENGINE=scripted rallrec reason --gamma 0.6666")
    assert "--answers-only" in rallrec["run"]
    assert nothing["missing"]["RALLRec"] == {"why": rallrec["missing"], "run": rallrec["run"]}
    assert (nothing["weights"], nothing["tests"], nothing["bar"]) == ({}, [], "")
    assert [one["chains"] for one in nothing["chains"]] == [0, 0, 0]
    ask("mine", lists["test"][:5], ("none",))
    ask("mine", lists["test"], ("paper",))
    ask("mine", lists["validation"][:9], ("paper",))
    some = report()
    systems = _systems(some)
    assert systems["RALLRec"]["missing"] is None
    assert systems["Reasoner, not told"]["missing"] == "not cached (5 of 14)"
    assert systems["Merged, not told, paper weights"]["missing"] == "not cached (5 of 14)"
    assert systems["Merged, told P_G, paper weights"]["missing"] is None
    chosen = systems["Merged, told P_G, chosen weights"]
    assert chosen["missing"] == "not chosen: 9 of 10 validation samples cached"
    assert "validation.csv" in chosen["run"]
    assert some["not_chosen"]["paper"] == chosen["missing"]
    assert chosen["auc"] is None
    # Without weights of its own, RALLRec+ takes the paper's.
    assert _values(systems["RALLRec+"]) == _values(systems["Merged, told P_G, paper weights"])
    assert [one["chains"] for one in some["chains"]] == [20, 56, 0]
    assert _systems(report("--gamma", "0"))["RALLRec"]["cached"] < 14


def test_gamma_is_chosen_on_validation_samples(report: Callable[..., Any], lists: Lists) -> None:
    losses = {}
    for gamma in (2 / 3, 1 / 2, 4 / 5):
        answered = ask("mine", lists["validation"], ("none",), gamma=gamma, traces=0)["none"]
        truth = [float(bool(prediction.question.label)) for prediction in answered]
        losses[gamma] = log_loss(truth, [prediction.p_g for prediction in answered])
    gamma_choice = report()["gamma"]
    assert {one["gamma"]: one["log_loss"] for one in gamma_choice["tried"]} == pytest.approx(losses)
    assert gamma_choice["value"] == min(losses, key=lambda gamma: losses[gamma])
    given = report("--gamma", "0.8")["gamma"]
    assert (given["value"], given["given"], given["tried"]) == (0.8, True, [])


def test_what_was_looked_up_is_read_once(
    report: Callable[..., Any], lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask("mine", lists["test"], ("none", "paper"))
    first = report()

    def forbidden(*_given: Any) -> Any:
        raise AssertionError("a prompt was written again")

    with monkeypatch.context() as patch:
        patch.setattr("backend.pipeline.Pipeline.question", forbidden)
        again = report()
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


def test_what_ifs_are_in_no_report(report: Callable[..., Any], lists: Lists) -> None:
    """Asked of every sample, before the report's own predictions and beside them."""

    def ask_what_if() -> None:
        workspace = Workspace(load_settings())
        pipeline, recipe = workspace.pipeline(), workspace.recipe(knowledge="paper")
        for sample in lists["test"] + lists["validation"]:
            newest = int(pipeline.question(*sample, recipe).past.items[-1])
            edits = Edits(removed=(pipeline.dataset.item_ids[newest],), hint="own", sentence="They liked it.")
            assert pipeline.predict(pipeline.question(*sample, recipe, edits), recipe).complete
        workspace.close()

    def said() -> Any:
        # An edited history can be the very one that another strategy chooses: then that one's answer is known too.
        return {name: value for name, value in report().items() if name not in ("seconds", "variants", "missing")}

    nothing = said()
    ask_what_if()
    assert said() == nothing
    ask("mine", lists["test"], ("none", "paper"))
    ask("mine", lists["validation"], ("none", "paper"))
    full = said()
    ask_what_if()
    assert said() == full != nothing


def test_the_tables_for_people_list_what_is_registered(
    report: Callable[..., Any], lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTERED, "brier", BRIER)
    ask("mine", lists["test"], ("paper",))
    ask("mine", lists["validation"], ("paper",))
    said = report(as_json=False)
    lines = said.splitlines()
    assert report()["bar"].startswith(lines[0])  # wrapped where the terminal ends
    assert "language model" in lines[0]
    assert any(line.startswith("14 samples (") for line in lines)
    assert any(line.startswith("M_G: scripted with mine. M_R: scripted, untuned.") for line in lines)
    rows = {line.split("  ")[0]: line for line in lines}
    assert "[" in rows["UserMean"]
    assert "not cached (0 of 14)" in rows["Reasoner, not told"]
    assert "not trained" in rows["DeepFM"]
    assert rows["RALLRec+"].count("[") == 6
    assert "Brier score" in rows["system"]
    assert "Brier score" in rows["RALLRec+ minus RALLRec"]
    assert "56 of 56" in rows["knowledge paper"]
    assert "75.0%" in rows["knowledge paper"]
    assert any(line.startswith("Knowledge paper: alpha ") for line in lines)
    assert any(line.startswith("RALLRec+ minus RALLRec ") and "DeLong" in line for line in lines)
    trained = "For DeepFM, xDeepFM, DCN, AutoInt, Boosting: RALLREC_ENGINE=scripted rallrec baselines"
    assert any(line == trained for line in lines)


def test_results_of_unknown_precision_are_scored_alone_or_left_out_and_said(
    report: Callable[..., Any], lists: Lists, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RALLREC_ENGINE", "transformers")
    for role in ("TUNED", "REASONING"):  # no results of it ship
        monkeypatch.setenv(f"RALLREC_{role}_MODEL", "tiny")

    def plays(now: bool) -> None:
        def made(_name: str, model: ModelRef, **_options: Any) -> CountingEngine:
            return CountingEngine(model if now else unknown_of(model))

        monkeypatch.setattr(workspace_module, "create_engine", made)

    plays(now=False)
    then = ask("mine", lists["test"], ("none",))["none"]
    plays(now=True)
    alone = report()
    assert alone["precision"] == {"unknown": True, "left_out": 0, "run": alone["precision"]["run"]}
    assert "All results are of unknown precision. To ask them again:" in report(as_json=False)
    labels = [float(bool(one.question.label)) for one in ask("mine", lists["test"][:1], ("none",))["none"]]
    assert alone["systems"]["RALLRec"]["log_loss"] is not None
    assert len(then) == alone["samples"]["count"] > len(labels)
    mixed = report()
    assert mixed["systems"]["RALLRec"]["missing"] == f"not cached (1 of {len(then)})"
    # One sample was asked again. Of the others, orders of the history that are the same are one prompt.
    prompts = {prompt.messages for one in then[1:] for prompt in one.question.prompts}
    left_out = len(prompts) + sum(len(one.traces) for one in then[1:])
    assert mixed["precision"]["left_out"] == left_out
    assert shlex.split(mixed["precision"]["run"])[-3:] == ["reason", "--again", "unknown"]
    said = report(as_json=False)
    assert f"{left_out} results of unknown precision are left out. To ask them again:" in said


def test_lists_that_cannot_be_scored_are_refused(
    report: Callable[..., Any], lists: Lists, tmp_path: Path, small: Dataset
) -> None:
    kept = (tmp_path / "validation.csv").read_text("utf-8")
    second = (tmp_path / "test.csv").read_text("utf-8").splitlines()[1]
    (tmp_path / "validation.csv").write_text(f"{kept}{second}\n", "utf-8")
    with pytest.raises(UsageError, match=r"1 samples are in both lists; the first is .*test\.csv, line 2"):
        report()
    user = lists["test"][0][0]
    unseen = next(item for item in range(small.n_items) if small.find_row(user, item) is None)
    (tmp_path / "validation.csv").write_text(f"user,item\n{small.user_ids[user]},{small.item_ids[unseen]}\n", "utf-8")
    with pytest.raises(UsageError, match=r"validation\.csv, line 2: user .* never rated Movie"):
        report()
    first = small.user_rows(user).start
    early = f"{small.user_ids[user]},{small.item_ids[small.item_index[first]]}"
    (tmp_path / "validation.csv").write_text(f"user,item\n{early}\n", "utf-8")
    with pytest.raises(UsageError, match=r"validation\.csv, line 2: .*0 ratings before"):
        report()
    (tmp_path / "test.csv").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        report()


def test_an_adapter_that_was_never_tuned_is_no_system(settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RALLREC_ENGINE", "transformers")
    for name in ("rallrec", "rella"):
        workspace = Workspace(load_settings(tuned_adapter=name))
        assert untuned(workspace) == f"rallrec tune --recipe {name}"
        workspace.close()
    for name in ("", "my-adapter"):
        workspace = Workspace(load_settings(tuned_adapter=name))
        assert untuned(workspace) is None
        workspace.close()
    assert [own_adapter(load_settings(tuned_adapter=name)) for name in ("", "rallrec", "rella", "mine")] == [
        "rallrec", "rallrec", "rallrec", "mine",
    ]  # fmt: skip


def test_lines_that_did_not_fit_are_not_in_the_prompt(settings: None, lists: Lists) -> None:
    workspace = Workspace(load_settings())
    question = workspace.pipeline().question(*lists["test"][0], Recipe())
    workspace.close()

    def shown(dropped: int) -> list[HistoryLine]:
        return shown_lines(question, Trace(0, "", 0.5, 1, 0.0, "stop", dropped))

    assert shown(0) == list(question.lines)
    by_time = sorted(question.lines, key=lambda line: line.position or 0)
    assert set(shown(2)) == set(by_time[2:])
    assert shown(99) == []


def test_the_report_is_one_page_that_asks_for_nothing_and_lists_what_is_registered(
    report: Callable[..., Any], lists: Lists, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(REGISTERED, "brier", BRIER)
    predictions = ask("mine", lists["test"], ("none", "paper"))["none"]
    files = ("--samples", str(tmp_path / "test.csv"), "--validation", str(tmp_path / "validation.csv"))
    page = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", *files, "--out", str(page), "--json"])
    assert done.exit_code == 0, done.exception
    said, text = json.loads(done.stdout), page.read_text("utf-8")
    keys = {"table-2", "table-3", "table-4", "table-5", "table-5-chosen", "table-6", "table-7"}
    assert set(said["tables"]) == keys
    figures = {"figure-2", "figure-3", "figure-6", "figure-7", "figure-8", "figure-9"}
    assert set(said["figures"]) == figures | {"calibration", "risk", "slices", "cost"}
    for key in keys | set(said["figures"]):
        assert f'<section id="{key}">' in text
    assert text.count("<svg") >= 15
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text)
    data = json.loads(text.split('<script type="application/json" id="data">')[1].split("</script>")[0])
    evaluation = report()
    assert data["systems"] == evaluation["systems"]
    [auc_cell] = [one for one in data["tables"]["table-4"] if (one["line"], one["column"]) == ("RALLRec+", "auc")]
    assert auc_cell["value"] == evaluation["systems"]["RALLRec+"]["auc"]
    system = evaluation["systems"]["RALLRec"]
    expected = np.mean([(one.p_g - float(bool(one.question.label))) ** 2 for one in predictions])
    assert system["brier"] == pytest.approx(expected)
    assert system["intervals"]["brier"][0] <= expected <= system["intervals"]["brier"][1]
    assert [test["metric"] for test in evaluation["tests"][:7]] == ["auc", *REGISTERED]
    for words in ('The mean squared error.">Brier score', "Brier score by alpha", "Brier score by strategy"):
        assert words in text
    assert "rallrec baselines" in text
    assert f"<p>{evaluation['bar']}</p>" in text.replace("&#39;", "'")
    assert evaluation["systems"]["RALLRec+"]["recipe"] in text
    assert "Llama-3.1-8B-Instruct" in text
    with pytest.raises(UsageError, match="cannot be written"):
        raise CliRunner().invoke(app, ["report", "--out", str(tmp_path / "no" / "r.html")]).exception or AssertionError


def _run(line: str) -> None:
    """Run a printed command as a shell would, in this process."""
    words = shlex.split(line)
    place = words.index("rallrec")
    with pytest.MonkeyPatch.context() as patch:
        for word in words[:place]:
            patch.setenv(*word.split("=", 1))
        done = CliRunner().invoke(app, words[place + 1 :])
    assert done.exit_code == 0, (line, done.exception, done.output)


def test_every_printed_command_fills_its_cell(
    small_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is set but where things are kept: dataset, profile and engine are options, and the profile fills M_G's
    adapter, which the untuned rows must empty.
    """
    home, profile = tmp_path / "home", tmp_path / "my own.toml"
    datasets.import_data(small_source, "other", "ml-csv", home / "datasets")
    profile.write_text(PROFILE, "utf-8")
    monkeypatch.setenv("RALLREC_HOME", str(home))
    told = ("--dataset", "other", "--profile", str(profile), "--engine", "scripted", "--part", "test", "--limit", "5")

    def missing() -> dict[str, Any]:
        done = CliRunner().invoke(app, ["evaluate", *told, "--json"])
        assert done.exit_code == 0, done.exception
        gaps: dict[str, Any] = json.loads(done.stdout)["missing"]
        return gaps

    with pytest.raises(NotPreparedError) as unmade:
        raise CliRunner().invoke(app, ["evaluate", *told]).exception or AssertionError
    assert unmade.value.fix is not None
    _run(unmade.value.fix)
    gaps = missing()
    commands = {gap["run"] for gap in gaps.values()}
    assert {"LLM", "ReLLa", "Hybrid-Score", "RALLRec", "RALLRec+", "DeepFM"} < set(gaps)
    for line in sorted(commands):
        assert "--dataset other" in line
        assert f"RALLREC_PROFILE={shlex.quote(str(profile))}" in line
        assert "RALLREC_ENGINE=scripted" in line
    assert any("RALLREC_TUNED_ADAPTER=''" in line for line in commands)
    for line in sorted(commands):
        _run(line)
    assert missing() == {}
