"""Labels for tests: made by hand with what a test is about, or drawn by Hypothesis in all their variety."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from backend.labelling import ChainRecord, Judgement, Label, Project, Setting, ShownItem, StepJudgement, Version, rubric
from backend.prompting.steps import split_steps
from backend.seeding import digest

TEXT = "They liked Heat. They liked Ronin. So the answer is: Yes."
STEPS = [step.id for step in split_steps(TEXT)]
SCALES = [scale.name for scale in rubric("1").scales]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROJECT = Project(name="Chains of spring", dataset="ml-latest-small", overlap=3)
_MODEL: dict[str, str | int | None] = {"name": "smollm2", "revision": "r1", "adapter": None, "context": 2048}


def chain(name: str = "chain", text: str = TEXT, **more: Any) -> ChainRecord:
    plain: dict[str, Any] = {
        "id": digest(name, 64), "dataset": "ml-latest-small", "data_hash": "d" * 16, "user": "15", "item": "1",
        "title": "Toy Story (1995)", "truth": True,
        "history": (ShownItem(item="6", title="Heat (1995)", rating=4.5, relevance_rank=1, recency_rank=None),),
        "prompt": "Will they like Toy Story?", "prompt_hash": "p" * 16, "knowledge": "", "model": _MODEL, "index": 0,
        "seed": 0, "text": text, "verdict": "yes", "p_yes": 0.75, "tokens": 40, "finish": "stop",
    }  # fmt: skip
    return ChainRecord(**plain | more)


def setting(**more: Any) -> Setting:
    plain: dict[str, Any] = {
        "recipe": "abc", "gamma": 0.5, "beta": 1.0, "k": 30, "alpha": 0.1, "epsilon": 1e-3, "traces": 6, "seed": 0,
        "strategy": "rerank", "variant": "text", "knowledge": "none", "tuned_model": _MODEL, "p_g": 0.6, "var_g": 0.01,
        "p_r": 0.7, "var_r": 0.02, "p_final": 0.65,
    }  # fmt: skip
    return Setting(**plain | more)


def judgement(steps: str = "", scales: int | list[int] = 4, verdict: str | None = "yes", **more: Any) -> Judgement:
    """``steps``: g, n, b or u for each step in turn ("." for none); ``scales``: one number for all, or one each."""
    names = {"g": "good", "n": "neutral", "b": "bad", "u": "unsure"}
    made = {
        step: StepJudgement(value=names[mark], tags=("irrelevant",) if mark == "b" else ())
        for step, mark in zip(STEPS, steps or "g" * len(STEPS), strict=False)
        if mark != "."
    }
    grades = [scales] * len(SCALES) if isinstance(scales, int) else scales
    known = {"verdict": verdict, "confidence": 3 if verdict else None}
    return Judgement(**{"steps": made, "scales": dict(zip(SCALES, grades, strict=True))} | known | more)


def label(task: str = "t1", author: str = "ann", said: Judgement | None = None, **more: Any) -> Label:
    plain: dict[str, Any] = {
        "id": digest(f"{task}/{author}", 32), "project_key": "spring", "project": PROJECT, "task": task,
        "author": author, "status": "submitted", "created_at": NOON, "updated_at": NOON + timedelta(minutes=5),
        "submitted_at": NOON + timedelta(minutes=5), "seconds": 61.5, "judgement": said or judgement(),
        "chains": (chain(task),), "setting": setting(),
    }  # fmt: skip
    return Label(**plain | more)


# --- Hypothesis -----------------------------------------------------------------------------------------------------

_names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
_texts = st.text(st.characters(codec="utf-8"), max_size=60)
_hashes = st.text("0123456789abcdef", min_size=4, max_size=64)
_shares = st.floats(0, 1)
_maybe = st.none() | st.floats(allow_nan=False, allow_infinity=False)
_models = st.dictionaries(_names, st.none() | st.integers(-5, 2**40) | _texts, max_size=3)
_times = st.datetimes(
    datetime(1970, 1, 2), datetime(2100, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=8))]),
)  # fmt: skip
_ranks = st.none() | st.integers(1, 60)
_grades = st.integers(1, 5)
_past = st.builds(ShownItem, item=_names, title=_texts, rating=_maybe, relevance_rank=_ranks, recency_rank=_ranks)
chains = st.builds(
    ChainRecord, id=_hashes, dataset=_names, data_hash=_hashes, user=_names, item=_names, title=_texts,
    truth=st.none() | st.booleans(), history=st.lists(_past, max_size=3).map(tuple), prompt=_texts,
    prompt_hash=_hashes, knowledge=_texts, model=_models, index=st.integers(0, 9), seed=st.integers(0, 2**31),
    text=_texts, verdict=st.sampled_from(["yes", "no", None]), p_yes=_shares, tokens=st.integers(0, 9999),
    finish=st.sampled_from(["stop", "length"]),
)  # fmt: skip
_settings = st.builds(
    Setting, recipe=_hashes, gamma=_shares, beta=_shares, k=st.integers(1, 60), alpha=_shares, epsilon=_shares,
    traces=st.integers(0, 9), seed=st.integers(0, 2**31), strategy=_names, variant=_names, knowledge=_names,
    tuned_model=_models, p_g=_maybe, var_g=_maybe, p_r=_maybe, var_r=_maybe, p_final=_maybe,
)  # fmt: skip
judgements = st.builds(
    Judgement,
    steps=st.dictionaries(_names, st.builds(StepJudgement, value=_names, tags=st.lists(_names, max_size=2).map(tuple))),
    scales=st.dictionaries(st.sampled_from(SCALES), _grades), missing_step=st.booleans(),
    verdict=st.sampled_from(["yes", "no", None]), confidence=st.none() | _grades, corrected=_texts, comment=_texts,
    preferred=st.none() | _names,
)  # fmt: skip
_statuses = st.sampled_from(["submitted", "skipped", "draft"])
_seconds = st.floats(0, 1e6)
_projects = st.builds(
    Project, name=_names, dataset=_names, mode=st.sampled_from(["chain", "pair"]), overlap=st.integers(1, 50),
    order=st.sampled_from(["random", "disagreement", "variance"]), gold=_shares, guidelines=_texts,
)  # fmt: skip
labels = st.builds(
    Label, kind=st.sampled_from(["label", "resolved"]), id=_hashes, project_key=_names, project=_projects,
    task=_hashes, author=_names, status=_statuses, created_at=_times, updated_at=_times,
    submitted_at=st.none() | _times, seconds=_seconds, blind=st.booleans(), rubric=st.just("1"), gold=st.booleans(),
    qualification=st.booleans(), skip_reason=_texts, judgement=judgements,
    history=st.lists(
        st.builds(Version, judgement=judgements, status=_statuses, at=_times, seconds=_seconds), max_size=2
    ).map(tuple),
    chains=st.lists(chains, min_size=1, max_size=2).map(tuple), setting=_settings,
)  # fmt: skip
