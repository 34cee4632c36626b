"""From a slider's or a choice's move to the drawn page, in Chromium on localhost; prints one JSON object.

    python -m tests.bench.sliders [--moves 60]

Each move sets the slider's value as a drag does, then waits until the panel it belongs to has changed and the next
frame is due. ``variant`` and ``strategy`` are radios: each move checks the next choice, with the fold of the item map
closed, and (``.._with_map``) open. The naive peer, in the same run, is ``default_page``: the same panel through
Gradio's defaults.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from tests.browser.serving import SCRIPTED, browser, precompute, server

PANEL = {"gamma": "rerank", "beta": "rerank", "k": "rerank", "alpha": "merge", "epsilon": "merge"}
RADIOS = {"variant": "retrieve", "strategy": "retrieve"}
_MOVE = """
async ([name, panel, value]) => {
  const radio = document.querySelector(`#${name} input[type=radio][value="${value}"]`);
  const input = radio ?? document.querySelector(`#${name} input[type=range]`);
  const target = document.querySelector(`#${panel}`);
  const drawn = () => target.querySelector(".html-container").innerHTML;  // the progress overlay lies beside it
  const before = drawn();
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  return await new Promise((resolve, reject) => {
    const limit = setTimeout(() => reject(new Error(`${name}=${value} drew nothing`)), 5000);
    const observer = new MutationObserver(() => {
      if (drawn() === before) return;
      observer.disconnect();
      clearTimeout(limit);
      requestAnimationFrame(() => resolve(performance.now() - start));
    });
    observer.observe(target, {childList: true, subtree: true, characterData: true});
    const start = performance.now();
    if (radio) return radio.click();
    set.call(input, value);
    input.dispatchEvent(new Event("input", {bubbles: true}));
  });
}
"""


# From 0.51 to 0.9 in a second; the first item's score of eq. 8 is gamma itself as long as gamma is above a half.
_DRAG = """
async () => {
  const input = document.querySelector("#gamma input[type=range]");
  const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
  const start = performance.now();
  for (let move = 0; move < 60; move++) {
    set.call(input, String((0.51 + 0.39 * move / 59).toFixed(3)));
    input.dispatchEvent(new Event("input", {bubbles: true}));
    const rest = start + (move + 1) * 1000 / 60 - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, rest)));
  }
  const shown = () => Number(document.querySelector("#rerank tbody td.n:nth-child(4)").textContent);
  while (Math.abs(shown() - 0.9) > 5e-4) {
    if (performance.now() - start > 10000) throw new Error(`the drag ended on ${shown()}`);
    await new Promise(requestAnimationFrame);
  }
  return [performance.now() - start, shown()];
}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=60)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        home = Path(folder)
        precompute(home)
        with server(home, **SCRIPTED, scripted_delay=0) as url:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/?user=15&item=1")
            page.wait_for_selector("#target .lead")
            page.click("#ask")
            page.wait_for_selector("#p-final")
            report: dict[str, Any] = {name: _measure(page, name, arguments.moves) for name in PANEL}
            report["drag"] = [_drag(page) for _ in range(5)]  # while the strategy is still rerank
            report |= {name: _measure_radio(page, name, arguments.moves) for name in RADIOS}
            page.click("#near-fold > button")
            page.wait_for_selector("#nearest table")
            report |= {f"{name}_with_map": _measure_radio(page, name, arguments.moves) for name in RADIOS}
            page.close()
        with server(home, "tests.bench.default_page", **SCRIPTED) as url:
            page = chromium.new_page(viewport={"width": 1280, "height": 900})
            page.goto(url)
            page.wait_for_selector("#gamma input[type=range]")
            report["naive_gamma"] = _measure(page, "gamma", arguments.moves)
    report["naive_over_ours"] = round(report["naive_gamma"]["median_ms"] / report["gamma"]["median_ms"], 2)
    print(json.dumps(report, indent=2))


def _measure(page: Any, name: str, moves: int) -> dict[str, float]:
    low, high, step = page.evaluate(
        "name => { const i = document.querySelector(`#${name} input[type=range]`);"
        " return [Number(i.min), Number(i.max), Number(i.step)]; }",
        name,
    )
    times: list[float] = []
    last = float(page.input_value(f"#{name} input[type=range]"))
    for move in itertools.count():
        # To and fro in steps of a fortieth, as a drag goes; a slider of fewer steps stays where it is at some of them.
        position = abs((move + 13) % 80 - 40) / 40
        value = round(low + round((high - low) * position / step) * step, 6)
        if value == last:
            continue
        times.append(page.evaluate(_MOVE, [name, PANEL[name], str(value)]))
        if len(times) == moves + 5:
            break
        last = value
        page.wait_for_timeout(30)
    return summary(times[5:])


def _measure_radio(page: Any, name: str, moves: int) -> dict[str, float]:
    values = page.evaluate(
        "name => [...document.querySelectorAll(`#${name} input[type=radio]`)].map(input => input.value)", name
    )
    # From whatever is chosen, so that every move changes something.
    start = values.index(page.input_value(f"#{name} input[type=radio]:checked")) + 1
    times = []
    for move in range(start, start + moves + 5):
        times.append(page.evaluate(_MOVE, [name, RADIOS[name], values[move % len(values)]]))
        page.wait_for_timeout(60)
    return summary(times[5:])


def _drag(page: Any) -> dict[str, float]:
    """One second of 60 moves of gamma: when the last one is drawn, after the first was made."""
    page.wait_for_timeout(300)
    ended, shown = page.evaluate(_DRAG)
    return {"drawn_after_ms": round(ended, 1), "gamma_shown": shown}


def summary(times: list[float]) -> dict[str, float]:
    times = sorted(times)
    return {
        "median_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(0.95 * (len(times) - 1))], 1),
        "max_ms": round(times[-1], 1),
        "moves": len(times),
    }


if __name__ == "__main__":
    main()
