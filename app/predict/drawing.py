"""The Predict page's question and its steps 3 to 5, each a pure function of its view; see ``retrieval`` for 1 and 2."""

from __future__ import annotations

from typing import Any

from app.predict import choices, curves
from app.predict.retrieval_drawing import row_anchor
from app.predict.view import View
from app.shared.chains import ABOUT, written
from app.shared.links import address_of, command_line
from app.shared.templating import render
from backend.datasets import DatasetMeta
from backend.merging import merge_weights
from backend.pipeline import Prediction
from backend.prompting import Prompt, build_prompt
from backend.record import left_out
from backend.retrieval import orders_from

_ORDER_WORDS = {"rank": "rank of eq. 8", "chronological": "oldest first", "relevance": "most similar first"}


def target_card(view: View) -> str:
    """The item that is asked about."""
    question = view.prediction.question
    return render(
        "predict/target.html",
        label=view.data.item_label(question.item),
        categories=view.data.categories[question.item],
        user=view.data.user_ids[question.user],
        ratings=len(question.history_rows),
        noun=view.data.meta.item_noun,
        category_noun=view.data.meta.category_noun,
        dataset=view.request.dataset,
        rated=question.label is not None,
        command=command_line(view.request, view.data.meta.name),
        address=address_of(view.request),
        still=view.still,
    )


def ask_panel(view: View) -> str:
    """Step 3: M_G's answer per history order, and the prompt that M_R gets."""
    shown, stale = _shown(view, lambda p: p.answers[0] is not None)
    orders = orders_from(shown.recipe.retrieval.order)
    question, wording = view.prediction.question, view.prediction.recipe.prompting.knowledge
    # Until the tuned model has answered, the prompt has a hole where its sentence will stand.
    hole = f"[ once asked: the tuned model's answer as a sentence, {wording} wording ]"
    prompt = view.prediction.reason_prompt or build_prompt("reason", question.subject, question.lines, hole)
    return render(
        "predict/ask.html",
        answers=[
            {"order": _order_words(order, view.data.meta), "p": answer.p_yes if answer else None}
            for order, answer in zip(orders, shown.answers, strict=True)
        ],
        left_out=left_out(shown.answers),
        p_g=shown.p_g,
        var_g=shown.var_g,
        temperature=shown.recipe.prompting.p_g_temperature,
        parts=_parts(prompt, max((trace.dropped for trace in view.prediction.traces if trace), default=0)),
        injected=prompt.knowledge_span is not None,
        waits=view.prediction.reason_prompt is None,
        still=view.still,
        stale=_setting(shown) if stale else "",
        model=view.models["tuned"],
        live=_live(view),
    )


def _order_words(order: str, meta: DatasetMeta) -> str:
    said = _ORDER_WORDS[order]
    return f"{said} ({choices.NO_ORDER})" if order == "chronological" and not meta.time_ordered else said


def _parts(prompt: Prompt, dropped: int) -> list[tuple[str, str]]:
    """The prompt's text in parts, each with what it is: ``knowledge``, ``dropped`` for want of room, or nothing."""
    marked = [(*span, "dropped") for span in prompt.droppable[:dropped]]
    marked += [(*prompt.knowledge_span, "knowledge")] if prompt.knowledge_span else []
    parts, at = [], 0
    for start, end, kind in sorted(marked):
        parts += [("", prompt.text[at:start]), (kind, prompt.text[start:end])]
        at = end
    return [*parts, ("", prompt.text[at:])]


def reason_panel(view: View, *, elsewhere: bool = False) -> str:
    """Step 4: the chains, finished or being written, and their spread.

    ``elsewhere``: on another page, without the rows that a citation leads to and the script that compares two chains.
    """
    shown, stale = _shown(view, lambda p: any(p.traces))
    pieces = view.run.pieces if view.run and not stale else {}
    live = _live(view)
    question = shown.question
    chains = [
        written(index, trace, pieces.get(index), live, question.lines, question.subject.target)
        for index, trace in enumerate(shown.traces)
    ]
    known = [trace.p_yes for trace in shown.traces if trace]
    return render(
        "predict/reason.html",
        chains=chains,
        about=ABOUT,
        rows={} if elsewhere else _cited_rows(view),
        comparable=not (view.still or elsewhere) and len(known) > 1,
        still=view.still,
        dots=curves.dots(known, shown.p_r) if known else "",
        left_out=left_out(shown.traces),
        count=len(known),
        wanted=len(shown.traces),
        unreadable=sum(chain.verdict == "no_answer" for chain in chains if chain.trace),
        p_r=shown.p_r,
        var_r=shown.var_r,
        stale=_setting(shown) if stale else "",
        live=live,
        nothing=not known and not pieces,
        model=view.models["reasoning"],
    )


def _cited_rows(view: View) -> dict[str, str]:
    """Where the page shows what a chain can cite, by label: the target, and the rows of step 2 as they are now."""
    question, data = view.prediction.question, view.data
    rows = {data.item_label(row.item): row_anchor(row.item) for row in reversed(question.chosen)}
    return rows | {question.subject.target.label: "question"}


def merge_panel(view: View) -> str:
    """Step 5: eq. 10 filled in, on one axis, and along alpha and epsilon."""
    shown, stale = _shown(view, lambda p: p.complete)
    if not shown.complete or not shown.traces:
        return render("predict/merge_empty.html", live=_live(view))
    merging = shown.recipe.merging
    weights = merge_weights(shown.var_r, shown.var_g, merging.alpha, merging.epsilon)
    return render(
        "predict/merge.html",
        p=shown,
        merging=merging,
        share=float(weights.share_reasoning),
        weight_r=float(weights.raw_reasoning),
        weight_g=float(weights.raw_tuned),
        axis=curves.axis(shown.p_g, shown.p_r, shown.p_final),
        over_alpha=curves.over_alpha(shown),
        over_epsilon=curves.over_epsilon(shown),
        label=shown.question.label,
        truth=view.truth,
        right=(shown.p_final > 0.5) == shown.question.label,
        rule=view.data.meta.label_rule.describe(),
        stale=_setting(shown) if stale else "",
    )


def run_status(view: View) -> str:
    """One line about what is going on."""
    prediction, run = view.prediction, view.run
    missing = sum(answer is None for answer in prediction.answers) + sum(trace is None for trace in prediction.traces)
    return render(
        "predict/status.html", run=run, other=view.other_run, complete=prediction.complete, missing=missing,
        earlier=view.earlier, reached=_reached(prediction),
    )  # fmt: skip


def _reached(prediction: Prediction) -> str:
    """How far it came: ``at 3 of 6 chains``, or by its answers where no chain was reached or wanted."""
    for parts, what in ((prediction.traces, "chains"), (prediction.answers, "answers")):
        known = sum(part is not None for part in parts)
        if known:
            return f"at {known} of {len(parts)} {what}"
    return "before its first answer"


def _shown(view: View, known: Any) -> tuple[Prediction, bool]:
    """The present prediction, or the stale one where only that has what a panel draws; and which it is."""
    if view.stale is not None and not known(view.prediction):
        return view.stale, True
    return view.prediction, False


def _live(view: View) -> bool:
    return bool(view.run and view.run.live)


def _setting(prediction: Prediction) -> str:
    recipe, retrieval = prediction.recipe, prediction.recipe.retrieval
    weights = f"gamma {retrieval.gamma:.3g}, beta {retrieval.beta:g}, " if retrieval.strategy == "rerank" else ""
    return (
        f"{weights}K {retrieval.k}, strategy {retrieval.strategy}, variant {retrieval.variant}, "
        f"knowledge {recipe.prompting.knowledge}, {recipe.reasoning.traces} chains, seed {recipe.reasoning.seed}"
    )
