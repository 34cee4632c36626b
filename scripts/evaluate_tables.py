"""What ``rallrec evaluate`` prints for people: its tables, out of the object that ``--json`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from backend.evaluation.metrics import METRICS
from scripts.console import print_table, say


def show(report: dict[str, Any]) -> None:
    if report["bar"]:
        say(report["bar"])
    samples = report["samples"]
    parts = ", ".join(f"{count:,} {name}" for name, count in samples["parts"].items())
    models = report["models"]
    gamma = report["gamma"]
    say(
        f"{samples['count']:,} samples ({parts}) of {samples['users']:,} users, {samples['liked']:,} liked; "
        f"gamma {gamma['value']:.4g}. In brackets: 95 % intervals over users; ±: the "
        "standard deviation of single runs, of which the paper's Tables 2 and 3 are means."
    )
    say(f"M_G: {_model(models['tuned'])}. M_R: {_model(models['reasoning'])}.")
    if warning := report["interval"]["warning"]:
        say(warning)
    precision = report["precision"]
    if precision["unknown"]:
        say(f"All results are of unknown precision. To ask them again: {precision['run']}")
    elif precision["left_out"]:
        count = f"{precision['left_out']:,} results of unknown precision are left out"
        say(f"{count}. To ask them again: {precision['run']}")
    learned = samples["parts"].get("train", 0)
    if learned:
        say(f"{learned:,} of the samples are of the training part: what was tuned may know them.")
    print_table(_systems("system", report["systems"]))
    print_table(_systems("compared with", report["variants"]))
    if len(gamma["tried"]) > 1:
        tried = ", ".join(f"{one['gamma']:.4g}: {one['log_loss']:.4f}" for one in gamma["tried"])
        say(f"gamma {gamma['value']:.4g} has M_G's lowest log loss on the validation samples ({tried}).")
    for wording, weights in report["weights"].items():
        best, usual = weights["chosen"], weights["paper"]
        say(
            f"Knowledge {wording}: alpha {best['alpha']:g} and epsilon {best['epsilon']:g} chosen on "
            f"{report['validation']['count']:,} validation samples (log loss {best['loss']:.4f}; with the paper's "
            f"{usual['alpha']:g} and {usual['epsilon']:g}: {usual['loss']:.4f})."
        )
    for wording, why in report["not_chosen"].items():
        say(f"Knowledge {wording}: alpha and epsilon {why}.")
    if report["tests"]:
        print_table(_tests(report))
    print_table(_chains(report))
    _say_missing(report["missing"])


def _systems(title: str, systems: Mapping[str, Any]) -> Table:
    table = Table(title, box=None, pad_edge=False)
    for metric in METRICS.values():
        table.add_column(metric.name, no_wrap=True)
    for name, system in systems.items():
        if system["missing"] is None:
            table.add_row(name, *(_measured(system, key) for key in METRICS))
        else:
            table.add_row(name, system["missing"])
    return table


def _measured(system: Mapping[str, Any], metric: str) -> str:
    """A metric with its interval, or with its spread where it is the mean of single runs."""
    if "runs" not in system or system[metric] is None:
        return _interval(metric, system[metric], system["intervals"].get(metric, [None, None]))
    form, spread = f".{METRICS[metric].digits}f", system["spreads"][metric]
    return f"{system[metric]:{form}}" + ("" if spread is None else f" ± {spread:{form}}")


def _tests(report: dict[str, Any]) -> Table:
    table = Table("difference", "metric", "first minus second", "p", "", box=None, pad_edge=False)
    for test in report["tests"]:
        if test["metric"] == "auc" and test["method"] != "DeLong":
            continue
        p = "not defined" if test["p"] is None else f"{_p(test['p'])} ({test['method']})"
        what = f"{test['first']} minus {test['second']}"
        value = _interval(test["metric"], test["value"], [test["low"], test["high"]], "+")
        table.add_row(what, METRICS[test["metric"]].name, value, p, "p < 0.01" if test["significant"] else "")
    return table


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _chains(report: dict[str, Any]) -> Table:
    table = Table("chains", box=None, pad_edge=False)
    for name in ("cached", "readable verdict", "titles cited", "in the prompt", "ratings right", "tokens each"):
        table.add_column(name, justify="right")
    for chains in report["chains"]:
        tokens = "-" if chains["mean_tokens"] is None else f"{chains['mean_tokens']:.1f}"
        table.add_row(
            f"knowledge {chains['knowledge']}",
            f"{chains['chains']:,} of {chains['wanted']:,}",
            _share(chains["readable_share"]),
            f"{chains['cited']:,}",
            _share(chains["in_prompt_share"]),
            f"{_share(chains['rated_right_share'])} of {chains['rated']:,}",
            tokens,
        )
    return table


def _say_missing(missing: Mapping[str, Any]) -> None:
    """Print each command once, with the systems that it completes."""
    by_command: dict[str, list[str]] = {}
    for name, system in missing.items():
        by_command.setdefault(system["run"], []).append(name)
    for command, names in by_command.items():
        if command:
            say(f"For {', '.join(names)}: {command}")


def _interval(metric: str, value: float | None, bounds: list[float | None], sign: str = "") -> str:
    if value is None:
        return "not defined"
    low, high = bounds
    form = f"{sign}.{METRICS[metric].digits}f"
    shown = "-" if low is None or high is None else f"{low:{form}}, {high:{form}}"
    return f"{value:{form}} [{shown}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _model(ref: dict[str, Any]) -> str:
    return ref["name"] + (f" with {ref['adapter']}" if ref["adapter"] else ", untuned")
