"""A page's sliders and its watched run come from several threads: the page is always one whole setting, the last."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest

from app.predict.service import PredictService
from app.predict.view import PredictSession, PredictView
from app.shared.runs import LiveRun, Snapshot
from tests.app.conftest import answered


class HeldRun(LiveRun):
    """Its first snapshot takes until ``gate`` opens."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.gate, self.first = threading.Event(), threading.Event()

    def snapshot(self) -> Snapshot:
        if not self.first.is_set():
            self.first.set()
            self.gate.wait(10)
        return super().snapshot()


@pytest.mark.parametrize("slow", ["watch", "merge"])
def test_a_slow_redraw_does_not_undo_a_later_slider_move(
    service: PredictService, request_of: Any, session: PredictSession, slow: str
) -> None:
    p = service.look(request_of(k=3), session).prediction
    run = session.run = HeldRun(service.pipeline, p.question, p.recipe, "")
    calls = {"watch": lambda: service.watch(session), "merge": lambda: service.merge(request_of(k=3), session)}
    redraw = threading.Thread(target=calls[slow])
    move = threading.Thread(target=lambda: service.look(request_of(k=2), session))
    redraw.start()
    assert run.first.wait(10)
    move.start()
    move.join(0.5)
    run.gate.set()
    for thread in (redraw, move):
        thread.join(10)
    assert session.view is not None
    assert session.view.request.choices["k"] == 2


def test_two_sliders_of_one_page_at_once_leave_one_whole_setting(
    service: PredictService, request_of: Any, session: PredictSession
) -> None:
    answered(service, request_of(k=3), session)
    wrong: list[PredictView] = []
    expected = {k: service.look(request_of(k=k), PredictSession()).prediction.question for k in (2, 3, 4)}

    def is_whole(view: PredictView) -> bool:
        prediction, k = view.prediction, view.request.choices["k"]
        return prediction.question == expected[k] and prediction.complete == (k == 3)

    def work(number: int) -> None:
        rng = random.Random(number)
        for _ in range(40):
            move = rng.choice([service.look, service.merge])
            seen = [move(request_of(k=rng.choice([2, 3, 4]), alpha=rng.random()), session), service.watch(session)]
            wrong.extend(view for view in seen if not is_whole(view))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wrong) == 0
    assert is_whole(service.watch(session))
