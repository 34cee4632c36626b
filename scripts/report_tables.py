"""What ``rallrec report`` prints for people: its tables, out of the object that ``--json`` gives."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from scripts.console import out, print_table

_METRICS = {"auc": "AUC", "gauc": "GAUC", "log_loss": "log loss", "accuracy": "accuracy"}


def show(report: dict[str, Any]) -> None:
    own = report["samples"]
    parts = ", ".join(f"{count:,} {name}" for name, count in own["parts"].items())
    models = report["models"]
    _print(
        f"{own['count']:,} samples ({parts}) of {own['users']:,} users, {own['liked']:,} liked; "
        f"gamma {report['gamma']:.4g}. In brackets: 95 % intervals over users."
    )
    _print(f"M_G: {_model(models['tuned'])}. M_R: {_model(models['reasoning'])}.")
    learned = own["parts"].get("train", 0)
    if learned:
        _print(f"{learned:,} of the samples are of the training part: what was tuned may know them.")
    print_table(_systems(report))
    for wording, weights in report["weights"].items():
        best, usual = weights["chosen"], weights["paper"]
        _print(
            f"Knowledge {wording}: alpha {best['alpha']:g} and epsilon {best['epsilon']:g} chosen on "
            f"{report['validation']['count']:,} validation samples (log loss {best['loss']:.4f}; with the paper's "
            f"{usual['alpha']:g} and {usual['epsilon']:g}: {usual['loss']:.4f})."
        )
    if report["differences"]:
        print_table(_differences(report))
    print_table(_chains(report))


def _systems(report: dict[str, Any]) -> Table:
    table = Table("system", box=None, pad_edge=False)
    for name in _METRICS.values():
        table.add_column(name, no_wrap=True)
    for system in report["systems"]:
        if system["metrics"] is None:
            table.add_row(system["name"], system["missing"])
        else:
            table.add_row(system["name"], *(_interval(system["metrics"][metric]) for metric in _METRICS))
    return table


def _differences(report: dict[str, Any]) -> Table:
    names = {system["key"]: system["name"] for system in report["systems"]}
    table = Table("difference", "metric", "first minus second", box=None, pad_edge=False)
    for own in report["differences"]:
        what = f"{names[own['first']]} minus {names[own['second']]}"
        table.add_row(what, _METRICS[own["metric"]], _interval(own, "+"))
    return table


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


def _interval(own: dict[str, Any], sign: str = "") -> str:
    if own["value"] is None:
        return "not defined"
    bounds = "-" if own["low"] is None else f"{own['low']:{sign}.3f}, {own['high']:{sign}.3f}"
    return f"{own['value']:{sign}.3f} [{bounds}]"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _model(own: dict[str, Any]) -> str:
    return own["name"] + (f" with {own['adapter']}" if own["adapter"] else ", untuned")


def _print(text: str) -> None:
    out.print(text, markup=False)
