"""What models did not see or could not do is said in words: dropped history, answers that the model would hardly have
given, texts that are no chains, and prompts of a run that failed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from typing import Any

import pytest

from app.predict.drawing import ask_panel, merge_panel, reason_panel, run_status
from app.predict.service import PredictService
from app.predict.view import PredictSession
from backend.datasets import Dataset
from backend.engines import OnAnswer
from backend.engines.scripted import ScriptedEngine
from backend.errors import PartialError
from backend.pipeline import Prediction
from backend.types import Answer, Messages, Trace
from storage.workspace import Workspace
from tests.app.views import ParsedHtml, prediction_of, view_of

NOTE = "The prompt was longer than the model's context:"


def text_of(html: str) -> str:
    return " ".join(" ".join(ParsedHtml(html).words).split())


@pytest.fixture(scope="module")
def done(small: Dataset) -> Prediction:
    return prediction_of(small, "text")


def dropping(done: Prediction, answers: int, chains: int) -> Prediction:
    """The prediction after so many lines were dropped from the last prompt of each kind."""
    *first, last = (answer for answer in done.answers if answer)
    *begun, final = (trace for trace in done.traces if trace)
    return replace(
        done,
        answers=(*first, replace(last, dropped=answers)),
        traces=(*begun, replace(final, dropped=chains)),
    )


def test_a_prompt_that_was_cut_is_noted_where_its_results_are(small: Dataset, done: Prediction) -> None:
    panels = (ask_panel, reason_panel)
    for counts, words in (
        ((0, 0), (None, None)),
        ((3, 0), ("the 3 oldest past items were left out.", None)),
        ((0, 1), (None, "the oldest past item was left out.")),
        ((2, 7), ("the 2 oldest past items were left out.", "the 7 oldest past items were left out.")),
    ):
        view = view_of(dropping(done, *counts), small, "text")
        for panel, said in zip(panels, words, strict=True):
            text = text_of(panel(view))
            assert (NOTE in text) == (said is not None)
            assert said is None or f"{NOTE} {said}" in text


def test_the_note_stays_with_old_numbers_of_another_setting(small: Dataset, done: Prediction) -> None:
    now = replace(done, answers=(None,) * 3, reason_prompt=None, traces=(None,) * len(done.traces))
    stale = view_of(now, small, "text", stale=dropping(done, 3, 3))
    plain = view_of(now, small, "text", stale=done)
    for panel in (ask_panel, reason_panel):
        assert f"{NOTE} the 3 oldest past items were left out." in text_of(panel(stale))
        assert NOTE not in text_of(panel(plain))


class AllButLastEngine(ScriptedEngine):
    """Answers all but the last of several prompts; ends the first of several chains and begins the second."""

    def answer(self, prompts: Sequence[Messages], *, on_answer: OnAnswer | None = None, **more: Any) -> list[Answer]:
        answers = [Answer(0.25, 9, 0.1, dropped=2)] * len(prompts)
        for number, answer in enumerate(answers[: max(1, len(prompts) - 1)]):
            assert on_answer is not None
            on_answer(number, answer)
        if len(prompts) > 1:
            raise PartialError({len(prompts) - 1: "the server is full"}, len(prompts))
        return answers

    def reason(
        self, prompts: Sequence[Messages], samples: Any, sampling: Any, *, on_piece: Any = None, on_trace: Any = None,
        **more: Any,
    ) -> list[list[Trace]]:  # fmt: skip
        on_trace(0, Trace(samples[0], "It fits.\n</think>\nYes.", 0.75, 5, 0.1, "stop", dropped=2))
        if len(samples) > 1:
            on_piece(0, samples[1], "half a thou")
            raise PartialError({0: "the server is full"}, len(prompts))
        raise AssertionError("only several chains were asked for")


def test_a_run_that_fails_in_part_says_why_and_keeps_what_succeeded(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    workspace.cached_engine("reasoning").inner = AllButLastEngine()
    service.look(request_of(), session)
    *_, last = service.ask(session).watch(0)
    assert last.status == "failed"
    view = service.watch(session)
    assert "1 of 1 prompts failed; prompt 1: the server is full" in text_of(run_status(view))
    assert "only what is missing is run" in text_of(run_status(view))
    html = reason_panel(view)
    assert "1 of 3 chains finished" in text_of(html)
    assert f"{NOTE} the 2 oldest past items were left out." in text_of(html)
    first, second, third = (text_of(part) for part in html.split("<article")[1:])
    assert "P(yes) 0.75" in first
    assert "not finished" in second
    assert "half a thou" in second
    assert "not written" in third
    assert "writing" not in text_of(html)
    again = service.look(request_of(), PredictSession())  # another page has it from the cache
    assert [bool(trace) for trace in again.prediction.traces] == [True, False, False]


def test_answers_that_came_before_one_failed_stay_on_the_page(
    workspace: Workspace, service: PredictService, session: PredictSession, request_of: Any
) -> None:
    engine = AllButLastEngine()
    workspace.cached_engine("tuned").inner = engine
    service.look(request_of(traces=0), session)
    *_, last = service.ask(session).watch(0)
    assert (last.status, [bool(answer) for answer in last.prediction.answers]) == ("failed", [True, True, False])
    view = service.watch(session)
    assert "1 of 2 prompts failed; prompt 2: the server is full" in text_of(run_status(view))
    text = text_of(ask_panel(view))
    assert text.count("0.25") >= 3  # P_G and two orders
    assert text.count("not asked") == 1
    again = service.look(request_of(traces=0), PredictSession())
    assert again.prediction.answers == view.prediction.answers


def test_the_lines_that_were_left_out_are_struck_through_in_the_prompt(small: Dataset, done: Prediction) -> None:
    prompt = done.reason_prompt
    assert prompt is not None
    html = ask_panel(view_of(dropping(done, 0, 2), small, "text"))
    struck = re.findall(r"<del[^>]*>(.*?)</del>", html, re.DOTALL)
    oldest = [prompt.text[start:end] for start, end in prompt.droppable[:2]]
    assert sorted(unescape(line) for line in struck) == sorted(oldest)
    [whole] = re.findall(r"<pre[^>]*>(.*?)</pre>", html, re.DOTALL)
    assert unescape(re.sub(r"<[^>]+>", "", whole)) == prompt.text
    assert "<del" not in ask_panel(view_of(done, small, "text"))


def test_a_p_yes_with_little_mass_behind_it_is_noted_where_it_is(small: Dataset, done: Prediction) -> None:
    assert "hardly" not in text_of(ask_panel(view_of(done, small, "text")))
    low = replace(
        done,
        answers=tuple(replace(answer, mass=0.001) for answer in done.answers if answer),
        traces=tuple(replace(trace, mass=0.9 - 0.89 * (trace.index == 0)) for trace in done.traces if trace),
    )
    view = view_of(low, small, "text")
    assert "Where P(yes) was read, Yes and No together had at most 0.10% of the probability" in text_of(ask_panel(view))
    assert f"Where 1 of {len(low.traces)} P(yes) were read" in text_of(reason_panel(view))


def test_a_text_that_is_no_chain_is_shown_as_such_and_without_chains_nothing_is_merged(
    small: Dataset, done: Prediction
) -> None:
    first, *others = (trace for trace in done.traces if trace)
    cut = replace(first, p_yes=None, finish="filter")
    html = reason_panel(view_of(done.taking_traces([cut, *others]), small, "text"))
    assert "One sampled text is no chain: the server's content filter cut it." in text_of(html)
    assert html.count(">no chain</span>") == 1
    assert html.count("data-p=") == len(others)
    assert 'id="p-final"' in merge_panel(view_of(done.taking_traces([cut, *others]), small, "text"))

    none = [replace(trace, text="", p_yes=None, finish="empty") for trace in (first, *others)]
    view = view_of(done.taking_traces(none), small, "text")
    assert "Nothing can be merged. None of the texts that the reasoning model wrote is a chain" in text_of(
        merge_panel(view)
    )
    assert not re.search(r"\b(nan|None)\b", reason_panel(view) + merge_panel(view).replace("None of the", ""))
