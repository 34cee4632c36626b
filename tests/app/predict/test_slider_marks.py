"""Which values of a slider are answered already: the naive look-up at every value is the judge."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.predict.service import PredictService
from app.predict.slider_marks import Stretch
from app.predict.view import PredictSession
from app.shared.address import SampleAddress
from storage.workspace import Workspace
from tests.app.conftest import answered

RequestOf = Callable[..., SampleAddress]


def complete(service: PredictService, request: SampleAddress) -> bool:
    return service.look(request, PredictSession()).prediction.complete


def inside(stretches: tuple[Stretch, ...], value: float) -> bool:
    return any(stretch.low <= value <= stretch.high for stretch in stretches)


def test_nothing_is_answered_before_anything_was_asked(service: PredictService, request_of: RequestOf) -> None:
    marks = service.answered(request_of())
    assert (marks.gamma, marks.k, marks.traces) == ((), (), ())


def test_every_value_is_in_a_stretch_exactly_if_a_look_at_it_is_complete(
    service: PredictService, session: PredictSession, request_of: RequestOf
) -> None:
    # Few past items enter, so that the list changes along gamma.
    for gamma, k in (("0.5", "5"), ("0.2", "5"), ("0.9", "8")):
        answered(service, request_of(gamma=gamma, k=k), session)
    here = request_of(gamma="0.5", k="5")
    marks = service.answered(here)
    assert marks.gamma
    assert len(marks.gamma) >= 2
    for step in range(0, 1001, 13):
        value = request_of(gamma=str(step / 1000), k="5")
        assert inside(marks.gamma, value.choices["gamma"]) == complete(service, value), step
    for k in range(1, 31):
        assert inside(marks.k, k) == complete(service, request_of(gamma="0.5", k=str(k))), k
    for stretch in marks.gamma:
        assert stretch.low <= stretch.pick <= stretch.high
        assert complete(service, request_of(gamma=f"{round(stretch.pick, 3)}", k="5"))


def test_fewer_chains_than_there_are_need_no_others(
    service: PredictService, session: PredictSession, request_of: RequestOf
) -> None:
    answered(service, request_of(traces="4"), session)
    assert service.answered(request_of(traces="9")).traces == (Stretch(1, 4, 4),)
    assert service.answered(request_of(traces="9")).gamma == ()
    assert complete(service, request_of(traces="4"))
    assert not complete(service, request_of(traces="5"))


def test_a_larger_k_than_the_past_asks_the_same(
    service: PredictService, session: PredictSession, request_of: RequestOf
) -> None:
    past = len(service.look(request_of(k="30"), session).prediction.question.chosen)
    assert past < 30
    answered(service, request_of(k="30"), session)
    assert service.answered(request_of(k="30")).k == (Stretch(past, 30, past),)


@pytest.mark.parametrize("strategy", ["recent", "retrieve-then-mix", "mix-then-retrieve"])
def test_gamma_has_no_answered_values_where_it_does_not_apply(
    service: PredictService, session: PredictSession, request_of: RequestOf, strategy: str
) -> None:
    answered(service, request_of(strategy=strategy), session)
    marks = service.answered(request_of(strategy=strategy))
    assert marks.gamma == ()
    assert inside(marks.k, request_of().choices["k"])


def test_no_model_is_asked(service: PredictService, workspace: Workspace, request_of: RequestOf) -> None:
    service.answered(request_of())
    inner = workspace.cached_engine("tuned").inner
    assert inner.calls == []  # type: ignore[attr-defined]
