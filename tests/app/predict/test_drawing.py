"""What the panels say and draw: unknown numbers, extreme ones, verdicts, symbols."""

from __future__ import annotations

import itertools
import math
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import app.shared
from app.predict import curves
from app.predict.drawing import ask_panel, merge_panel, reason_panel, rerank_panel, run_status, target_card
from app.shared.glossary import explained, explanation
from app.shared.templating import probability, significant, symbol
from backend.commands import command_line
from backend.datasets import Dataset
from backend.merging import merge_weights
from backend.pipeline import Prediction
from backend.retrieval import GammaStretch
from backend.settings import Settings
from backend.types import Answer, ModelRef, Trace
from scripts.cli import app as commands
from tests.app.views import ParsedHtml, dataset_of, every_panel, every_view, prediction_of, view_of

TEMPLATES = list(Path(app.shared.__file__).parents[1].glob("*/templates/*"))
NAN = float("nan")


@pytest.fixture(scope="module")
def done(small: Dataset) -> Prediction:
    return prediction_of(small, "text")


def saying(done: Prediction, answers: list[float], chains: list[float], alpha: float, epsilon: float) -> Prediction:
    """The prediction with these probabilities."""
    merging = done.recipe.merging.model_copy(update={"alpha": alpha, "epsilon": epsilon})
    return replace(
        done,
        recipe=done.recipe.model_copy(update={"merging": merging}),
        answers=tuple(Answer(p, 9, 0.0) for p in answers),
        traces=tuple(Trace(n, "x</think>Yes", p, 9, 0.1, "stop") for n, p in enumerate(chains)),
    )


def text_of(html: str) -> str:
    return " ".join(" ".join(ParsedHtml(html).words).split())


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "–"), (NAN, "–"), (0, "0.00"), (1, "1.00"), (0.005, "0.01"), (0.6666, "0.67")]
)
def test_a_probability_has_two_decimals_or_a_dash(value: float | None, shown: str) -> None:
    assert probability(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (NAN, "–"), (0, "0"), (1, "1"), (0.1, "0.1"), (0.12345, "0.123"), (0.001, "0.001"),
     (0.00099, "9.9×10⁻⁴"), (1e-6, "1×10⁻⁶"), (-2.5e-5, "-2.5×10⁻⁵"), (123.4, "123"), (999, "999"),
     (1000, "1×10³"), (1e6, "1×10⁶"), (123_456, "1.23×10⁵"), (999.9, "1×10³"), (1e-10, "1×10⁻¹⁰"),
     (0.0009999, "1×10⁻³"), (math.inf, "inf")],
)  # fmt: skip
def test_a_number_has_three_digits_and_no_programmers_exponent(value: float | None, shown: str) -> None:
    assert significant(value) == shown
    assert not re.search(r"e[+-]?\d", shown)


def test_what_is_not_known_is_a_dash_and_never_a_nan(small: Dataset) -> None:
    for state, view in every_view(small, "text").items():
        for name, html in every_panel(view).items():
            assert not re.search(r"\b(nan|None|inf|NaN|undefined)\b", html), f"{name} of {state}"
    nothing = every_view(small, "text")["nothing"]
    assert "P G –" in text_of(ask_panel(nothing))
    assert "Nothing to merge yet" in merge_panel(nothing)
    half = every_view(small, "text")["half"]
    assert text_of(ask_panel(half)).count("not asked") == 2
    assert "P R –" in text_of(reason_panel(half))
    assert "1 of 4 chains finished" in reason_panel(half)


@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("epsilon", [1e-12, 1e-6, 1e-3, 0.1, 1.0])
def test_drawings_are_finite_and_inside_for_extreme_numbers(
    small: Dataset, done: Prediction, alpha: float, epsilon: float
) -> None:
    for answers, chains in itertools.product(([0, 0, 0], [1, 1, 1], [0, 1, 0.5]), ([0] * 4, [1] * 4, [0, 1, 0, 1])):
        p = saying(done, answers, chains, alpha, epsilon)
        svgs = [curves.axis(p.p_g, p.p_r, p.p_final), curves.over_alpha(p), curves.over_epsilon(p)]
        svgs.append(curves.dots(chains, p.p_r))
        for svg in svgs:
            assert not re.search(r"nan|inf|e[+-]\d", svg, re.IGNORECASE)
            width, height = map(float, re.findall(r'viewBox="0 0 (\d+) (\d+)"', svg)[0])
            for name, value in re.findall(r'\b(x|y|cx|cy|x1|y1|x2|y2)="([^"]*)"', svg):
                assert 0 <= float(value) <= (width if "x" in name else height)
            for x, y in re.findall(r"(?<=[ \"])(-?[\d.]+),(-?[\d.]+)", svg):
                assert 0 <= float(x) <= width
                assert 0 <= float(y) <= height
        html = merge_panel(view_of(p, small, "text"))
        assert not re.search(r"\b(nan|inf)\b", html)
        assert ParsedHtml(html).odd == []


def test_a_prediction_without_chains_has_nothing_to_merge_and_draws_no_nan(small: Dataset, done: Prediction) -> None:
    p = saying(done, [0.2, 0.3, 0.4], [], 0.1, 1e-3)
    assert p.complete
    for name, html in every_panel(view_of(p, small, "text")).items():
        assert not re.search(r"\bnan\b", html), name


def test_the_curves_pass_through_the_present_setting(done: Prediction) -> None:
    for alpha, exponent in ((0.0, -6.0), (0.5, -3.5), (1.0, -1.0)):
        p = saying(done, [0.2, 0.4, 0.3], [0.9, 0.8, 1.0, 0.7], alpha, 10**exponent)
        for svg, place in ((curves.over_alpha(p), alpha), (curves.over_epsilon(p), (exponent + 6) / 5)):
            [points] = re.findall(r'points="([^"]*)"', svg)
            line = [tuple(map(float, point.split(","))) for point in points.split()]
            [mark] = re.findall(r'<path d="M([\d.]+) ([\d.]+)l', svg)
            x, y = line[round(place * (len(line) - 1))]
            assert float(mark[0]) == pytest.approx(x, abs=0.11)
            assert float(mark[1]) + 7 == pytest.approx(y, abs=0.11)


def test_the_formula_shows_the_numbers_it_was_made_of(small: Dataset, done: Prediction) -> None:
    p = saying(done, [0.25, 0.35, 0.45], [0.9, 0.5, 0.7, 0.7], 0.4, 0.01)
    text = text_of(merge_panel(view_of(p, small, "text")))
    weights = merge_weights(p.var_r, p.var_g, 0.4, 0.01)
    assert f"= {p.p_final:.4f}" in text
    assert f"0.4 · {p.p_r:.4f} / (0.02 + 0.01) + {p.p_g:.4f} / (0.00667 + 0.01)" in text
    assert f"= {float(weights.raw_reasoning):.3g} ({100 * float(weights.share_reasoning):.1f} %)" in text
    filled = (0.4 * 0.7 / 0.03 + 0.25 / (2 / 300 + 0.01)) / (0.4 / 0.03 + 1 / (2 / 300 + 0.01))
    assert p.p_final == pytest.approx(filled)


@pytest.mark.parametrize(("label", "said"), [(True, "Truth: Yes"), (False, "Truth: No"), (None, "there is no truth")])
def test_the_truth_is_told_only_on_request(small: Dataset, done: Prediction, label: Any, said: str) -> None:
    p = replace(done, question=replace(done.question, label=label))
    revealed = text_of(merge_panel(view_of(p, small, "text", truth=True)))
    assert said in revealed
    if label is not None:
        assert ("is right" in revealed) == ((p.p_final > 0.5) == label)
    assert "ruth" not in text_of(merge_panel(view_of(p, small, "text", truth=False)))


def test_a_chain_without_a_verdict_says_so_and_why(small: Dataset, done: Prediction) -> None:
    html = reason_panel(view_of(done, small, "text"))
    chains = [text_of(part) for part in html.split("<article")[1:]]
    assert ["✓ Yes" in chains[0], "✗ No" in chains[1]] == [True, True]
    assert "? no readable verdict" in chains[2]
    assert "nothing after </think> says yes or no" in chains[2]
    assert "the reasoning was not closed with </think>" in chains[3]
    assert "2 without a readable verdict" in text_of(html)
    assert [f"P(yes) {n / 3:.2f}" in chain for n, chain in enumerate(chains)] == [True] * 4


def test_stale_answers_are_marked_with_the_setting_they_are_of(small: Dataset, done: Prediction) -> None:
    now = replace(done, answers=(None,) * 3, reason_prompt=None, traces=(None,) * 4)
    view = view_of(now, small, "text", stale=done)
    for panel in (ask_panel, reason_panel, merge_panel):
        assert "of another setting (variant concat+ssl, strategy rerank, gamma 0.667, beta 1, K 10" in text_of(
            panel(view)
        )
        assert any("stale" in (dict(a).get("class") or "").split() for _, a in ParsedHtml(panel(view)).elements)
        assert "another setting" not in panel(replace(view, prediction=done))


def test_the_rerank_table_fills_in_eq_8(small: Dataset, done: Prediction) -> None:
    for gamma, combine in ((2 / 3, "max"), (0.25, "sum")):
        p = prediction_of(small, "text", retrieval={"gamma": gamma, "combine": combine, "k": 6, "beta": 0.5})
        html = rerank_panel(view_of(p, small, "text"))
        scores = [
            tuple(map(float, pair)) for pair in re.findall(r"rank\^β = ([\d.]+)\".*?= ([\d.]+)\"", html, re.DOTALL)
        ]
        assert len(scores) == len(p.question.chosen) == 6
        for row, pair in zip(p.question.chosen, scores, strict=True):
            assert row.score == pytest.approx(max(pair) if combine == "max" else sum(pair), abs=0.0011)


@pytest.mark.parametrize("kind", ["answers", "traces"])
def test_numbers_of_unknown_precision_have_a_badge_and_what_made_them_is_told(small: Dataset, kind: str) -> None:
    data = dataset_of(small, "x")
    known = prediction_of(data, "x")
    results = tuple(replace(one, unknown=True) for one in getattr(known, kind) if one)
    model = ModelRef("llama", precision="bfloat16", reading=1, server="gpu1:8000")
    players = {"tuned": model, "reasoning": model}
    views = [
        replace(view_of(prediction, data, "x"), players=players)
        for prediction in (known, replace(known, **{kind: results}))
    ]
    panel = {"answers": ask_panel, "traces": reason_panel}[kind]
    assert ["precision unknown" in panel(view) for view in views] == [False, True]
    assert ["of unknown precision" in run_status(view) for view in views] == [False, True]
    told = [target_card(view) for view in views]
    assert [page.count("precision bfloat16, reading 1, server gpu1:8000") for page in told] == [2, 1]
    assert [page.count("precision unknown") for page in told] == [0, 1]


def test_the_command_line_is_safe_to_paste_and_asks_for_the_same(small: Dataset) -> None:
    data = dataset_of(small, "a b'; echo $HOME")
    view = view_of(prediction_of(data, "text"), data, "x; rm -rf ~ `id` $(id)")
    request = view.request.choosing(gamma=2 / 3, epsilon=0.00501187234, alpha=0.1234567, knowledge="none", seed=3)
    command = request.command(command_line(Settings(dataset=data.meta.name), "predict"))
    shown = target_card(replace(view, request=request, command=command))
    [command] = re.findall(r"<code[^>]*>(.*?)</code>", shown, re.DOTALL)
    words = shlex.split(ParsedHtml(command).words[0])
    given = dict(zip(words[2:-1:2], words[3:-1:2], strict=True))
    assert words[:2] == ["rallrec", "predict"]
    assert (given["--variant"], given["--strategy"]) == ("concat+ssl", "rerank")
    assert words[-1] == "--json"
    assert given["--user"] == given["--item"] == request.user
    assert given["--dataset"] == data.meta.name
    for name in ("gamma", "beta", "alpha", "epsilon"):
        assert float(given[f"--{name}"]) == pytest.approx(request.choices[name], rel=1e-11)
    assert int(given["--seed"]) == 3
    [predict] = [c.callback for c in commands.registered_commands if c.callback and c.callback.__name__ == "predict"]
    assert {name[2:].replace("-", "_") for name in given} <= set(predict.__annotations__)


def test_every_symbol_that_a_template_names_explains_itself() -> None:
    used = {name for path in TEMPLATES for name in re.findall(r'sym\("(\w+)"\)', path.read_text("utf-8"))}
    named = sum(path.read_text("utf-8").count("sym(") for path in TEMPLATES)
    assert named == sum(len(re.findall(r'sym\("\w+"\)', p.read_text("utf-8"))) for p in TEMPLATES)
    assert used
    assert used <= set(explained())
    for name in explained():
        [(tag, attributes)] = ParsedHtml(str(symbol(name))).elements[:1]
        assert (tag, dict(attributes)["tabindex"]) == ("abbr", "0")
        assert explanation(name).text in ParsedHtml(str(symbol(name))).words


def test_the_gamma_strip_covers_the_whole_axis(small: Dataset, done: Prediction) -> None:
    for gamma in (0.0, 0.5, 1.0):
        stretches = view_of(done, small, "text").stretches
        strip = curves.gamma_strip(stretches, gamma)
        parts = [tuple(map(float, p)) for p in re.findall(r'x="([\d.]+)" y="0" width="([\d.]+)"', strip)]
        assert len(parts) == len(stretches)
        assert np.isclose(sum(width for _, width in parts), 1000)
        assert all(width > 0 for _, width in parts)
        [mark] = re.findall(r'x="(-?[\d.]+)" y="-4"', strip)
        assert float(mark) == pytest.approx(gamma * 1000 - 3)


def test_the_gamma_strip_draws_stronger_what_a_gamma_at_a_border_belongs_to() -> None:
    sets = [
        GammaStretch(0.0, frozenset("a")),
        GammaStretch(0.25, frozenset("b")),
        GammaStretch(0.25 + 1e-9, frozenset("c")),
    ]
    for gamma, place in ((0.2, 0), (0.25, 1), (0.251, 2)):
        strip = str(curves.gamma_strip(sets, gamma))
        assert [bool(now) for now in re.findall(r'class="stretch\d( now)?"', strip)] == [n == place for n in range(3)]
        assert f"changes 2 times as gamma goes from 0 to 1; at present it is set {place + 1} of 3" in strip
        assert min(float(width) for width in re.findall(r'y="0" width="([\d.]+)"', strip)) >= 1
