"""What ``rallrec evaluate`` prints for people: its tables, out of the object that ``--json`` gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from scripts.console import out, print_table

_METRICS = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "accuracy": "accuracy", "ece": "ECE"}
# The paper's level.
_SIGNIFICANT = 0.01


def show(report: dict[str, Any]) -> None:
    own = report["samples"]
    parts = ", ".join(f"{count:,} {name}" for name, count in own["parts"].items())
    models = report["models"]
    gamma = report["gamma"]
    _print(
        f"{own['count']:,} samples ({parts}) of {own['users']:,} users, {own['liked']:,} liked; "
        f"gamma {gamma['value']:.4g}. In brackets: 95 % intervals over users."
    )
    _print(f"M_G: {_model(models['tuned'])}. M_R: {_model(models['reasoning'])}.")
    learned = own["parts"].get("train", 0)
    if learned:
        _print(f"{learned:,} of the samples are of the training part: what was tuned may know them.")
    print_table(_systems("system", report["systems"]))
    print_table(_systems("compared with", report["variants"]))
    if len(gamma["tried"]) > 1:
        tried = ", ".join(f"{one['gamma']:.4g}: {one['log_loss']:.4f}" for one in gamma["tried"])
        _print(f"gamma {gamma['value']:.4g} has M_G's lowest log loss on the validation samples ({tried}).")
    for wording, weights in report["weights"].items():
        best, usual = weights["chosen"], weights["paper"]
        _print(
            f"Knowledge {wording}: alpha {best['alpha']:g} and epsilon {best['epsilon']:g} chosen on "
            f"{report['validation']['count']:,} validation samples (log loss {best['loss']:.4f}; with the paper's "
            f"{usual['alpha']:g} and {usual['epsilon']:g}: {usual['loss']:.4f})."
        )
    for wording, why in report["not_chosen"].items():
        _print(f"Knowledge {wording}: alpha and epsilon {why}.")
    if report["tests"]:
        print_table(_tests(report))
    print_table(_chains(report))
    _print_missing(report["missing"])


def _systems(title: str, systems: Mapping[str, Any]) -> Table:
    table = Table(title, box=None, pad_edge=False)
    for name in _METRICS.values():
        table.add_column(name, no_wrap=True)
    for name, system in systems.items():
        if system["missing"] is None:
            table.add_row(name, *(_interval(system[metric], system["intervals"][metric]) for metric in _METRICS))
        else:
            table.add_row(name, system["missing"])
    return table


def _tests(report: dict[str, Any]) -> Table:
    table = Table("difference", "metric", "first minus second", "p", "", box=None, pad_edge=False)
    for own in report["tests"]:
        if own["metric"] == "auc" and own["method"] != "DeLong":
            continue
        p = "not defined" if own["p"] is None else f"{_p(own['p'])} ({own['method']})"
        sure = own["p"] is not None and own["p"] < _SIGNIFICANT
        what = f"{own['first']} minus {own['second']}"
        value = _interval(own["value"], [own["low"], own["high"]], "+")
        table.add_row(what, _METRICS[own["metric"]], value, p, "p < 0.01" if sure else "")
    return table


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _chains(report: dict[str, Any]) -> Table:
    table = Table("chains", box=None, pad_edge=False)
    for name in ("cached", "readable verdict", "titles cited", "in the prompt", "ratings right", "tokens each"):
        table.add_column(name, justify="right")
    for own in report["chains"]:
        tokens = "-" if own["mean_tokens"] is None else f"{own['mean_tokens']:.1f}"
        table.add_row(
            f"knowledge {own['knowledge']}",
            f"{own['chains']:,} of {own['wanted']:,}",
            _share(own["readable_share"]),
            f"{own['cited']:,}",
            _share(own["in_prompt_share"]),
            f"{_share(own['rated_right_share'])} of {own['rated']:,}",
            tokens,
        )
    return table


def _print_missing(missing: Mapping[str, Any]) -> None:
    """Each command once, with whom it makes."""
    by_command: dict[str, list[str]] = {}
    for name, own in missing.items():
        by_command.setdefault(own["run"], []).append(name)
    for command, names in by_command.items():
        if command:
            _print(f"For {', '.join(names)}: {command}")


def _interval(value: float | None, bounds: list[float | None], sign: str = "") -> str:
    if value is None:
        return "not defined"
    low, high = bounds
    said = "-" if low is None or high is None else f"{low:{sign}.3f}, {high:{sign}.3f}"
    return f"{value:{sign}.3f} [{said}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _model(own: dict[str, Any]) -> str:
    return own["name"] + (f" with {own['adapter']}" if own["adapter"] else ", untuned")


def _print(text: str) -> None:
    out.print(text, markup=False)
