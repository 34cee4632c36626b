"""The stages ``tune-*``: LoRA adapters for M_G, one for each way to choose the past, and for the stand-in of M_R
(section 4.2.5).

Prompts are built by retrieval from the training part. What is learned, and how, is ``backend.training``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backend.commands import command_line
from backend.datasets import PARTS
from backend.datasets.statistics import TrainingStatistics
from backend.engines import makes_up_answers, models
from backend.errors import DataError, UsageError
from backend.evaluation import metrics
from backend.merging import fit_temperature
from backend.numbers import or_null
from backend.prompting import build_prompt, knowledge_sentence
from backend.questions import Question, Questions
from backend.seeding import derive_seed
from backend.settings import Settings
from backend.training.config import ReasonerConfig, TuneConfig
from backend.training.lora import ADAPTER_FILE
from storage.arrays import save_text
from storage.precompute.artifacts import Artifact
from storage.precompute.job import StageWork
from storage.precompute.mix import load_space
from storage.precompute.train import CURVE


def make_expert(job: StageWork, recipe: str) -> dict[str, Any]:
    """The tuned expert, on the prompts of a recipe: :meth:`TuneConfig.retrieval` says who chooses the past items."""
    from backend.training.lora import LoraTuner

    config: TuneConfig = job.config
    tuner = LoraTuner(*_base(job), config, job.settings.seed, job.settings.device)
    writer, asking = _writer(tuner), _asking(job)
    rng = np.random.default_rng(derive_seed(job.settings.seed, "tune", "orders"))
    every = config.loss == "every-answer"
    target = _Targets(job, asking) if config.teacher else lambda _question: None
    train, validation = ([], [])
    learned, held_out = _learned_and_held_out(job, asking, recipe)
    for question in learned:
        for place in rng.permutation(len(question.prompts))[: config.orders]:
            prompt, label = question.prompts[place], bool(question.label)
            if config.fewer and rng.random() < config.fewer:
                shown = int(rng.integers(config.k, size=2).min())
                prompt = build_prompt("answer", question.subject, question.lines[:shown])
            weight = config.last_weight
            train.append(writer.answer(prompt, label, every_answer=every, last_weight=weight, p_yes=target(question)))
    for question in held_out:
        prompt, label = question.prompts[0], bool(question.label)
        validation.append(writer.answer(prompt, label, every_answer=False, p_yes=target(question)))
    # A teacher's probabilities say more about each held-out answer than its label does.
    return _tune(job, tuner, train, validation, "held_out_loss" if config.teacher else "log_loss")


def make_reasoner(job: StageWork) -> dict[str, Any]:
    """The stand-in for M_R, on rationales composed from the training part alone, its held-out samples included."""
    from backend.training.examples import joined
    from backend.training.lora import LoraTuner

    config: ReasonerConfig = job.config
    if config.composed == "evidence" and config.template != "evidence":
        raise UsageError(
            f"The reasoner is to learn rationales composed from evidence, in the layout {config.template!r}",
            expected="the layout 'evidence', whose lines they cite",
            fix="set reasoner.template to evidence",
        )
    tuner = LoraTuner(*_base(job), config, job.settings.seed, job.settings.device)
    asking = _asking(job)
    to_learn, aside = _train_with_some_aside(job, asking, "rallrec")
    compose = _argue if config.composed == "evidence" else _defend_labels
    examples = compose(job, tuner, asking)
    held_out = [examples(question, 1)[0] for question in aside]
    train = [joined(examples(question, config.rationales)) for question in to_learn]
    return _tune(job, tuner, train, held_out, "held_out_loss")


# From a question and a number to so many examples about it.
_Composer = Callable[[Question, int], list[Any]]


def _argue(job: StageWork, tuner: Any, asking: Questions) -> _Composer:
    """Rationales from a draw of the evidence to what the teacher says of it."""
    from backend.training.arguments import compose, draw_pieces, pieces_of

    config, writer = job.config, _writer(tuner)
    rng = np.random.default_rng(derive_seed(job.settings.seed, "tune", "rationales"))
    every = config.loss == "every-answer"
    target = _Targets(job, asking, noise=config.noise)

    def examples(question: Question, count: int) -> list[Any]:
        """Rationales behind one prompt, which has a hint or none."""
        hint = target.hint(question) if rng.random() < config.hints else None
        sentence = None if hint is None else knowledge_sentence(float(hint))
        prompt = build_prompt("reason", question.subject, question.lines, sentence)
        made = []
        for _ in range(count):
            cited = draw_pieces(pieces_of(question.subject, question.lines, hint, rng), rng)
            p_yes = target(question, hint, [piece.name for piece in cited])
            made.append(
                writer.rationale(
                    prompt, compose(cited, p_yes, rng), p_yes >= 0.5, every_answer=every, end=tuner.end,
                    last_weight=config.last_weight, p_yes=p_yes,
                )
            )  # fmt: skip
        return made

    return examples


def _defend_labels(job: StageWork, tuner: Any, asking: Questions) -> _Composer:
    """Rationales that argue for the known label."""
    from backend.training.rationales import compose

    config, writer = job.config, _writer(tuner)
    rng = np.random.default_rng(derive_seed(job.settings.seed, "tune", "rationales"))
    every = config.loss == "every-answer"

    def example(question: Question) -> Any:
        label, hint = bool(question.label), None
        if rng.random() < config.hints:
            hint = plain_guess(question, asking.statistics) != (rng.random() < config.doubt)
        rationale = compose(question.subject, question.lines, label, hint, rng)
        sentence = None if hint is None else knowledge_sentence(float(hint))
        prompt = build_prompt("reason", question.subject, question.lines, sentence)
        text, weight = rationale.rpartition("</think>")[0].rstrip(), config.last_weight
        return writer.rationale(prompt, text, label, every_answer=every, end=tuner.end, last_weight=weight)

    return lambda question, count: [example(question) for _ in range(count)]


class _Targets:
    """What answers are learned towards: the teacher's probability, mixed with the label.

    ``noise``: it also learns what a hint is worth, one as right as its own answer with so much noise on its logit.
    """

    def __init__(self, job: StageWork, asking: Questions, noise: float | None = None) -> None:
        from backend.training.teacher import Teacher

        data, rows = job.dataset, np.sort(job.data_split.train)
        self._data, self._asking, self._share = data, asking, job.config.teacher
        job.progress("reading the evidence of the training samples", None)
        statistics = asking.evidence.of_rows(rows).statistics
        evidence = np.column_stack([statistics, np.full(len(rows), np.nan)])

        def taught(evidence: NDArray[np.float64]) -> Teacher:
            job.check_stop()
            job.progress("teaching the teacher", None)
            return Teacher(rows, data.user_index[rows], evidence, data.labels[rows], job.settings.seed)

        self._teacher = taught(evidence)
        if noise is not None:
            known = np.clip(self._teacher.out_of_fold(evidence), 1e-6, 1 - 1e-6)
            rng = np.random.default_rng(derive_seed(job.settings.seed, "tune", "hints"))
            hints = np.log(known / (1 - known)) + rng.normal(0, noise, len(rows)) > 0
            self._hints = dict(zip(rows.tolist(), hints.tolist(), strict=True))
            self._teacher = taught(np.column_stack([statistics, hints]))

    def __call__(self, question: Question, hint: bool | None = None, pieces: Collection[str] | None = None) -> float:
        """P(yes) that is learned, by these ``pieces`` of the question's evidence (all where none are named)."""
        from backend.training.teacher import PIECES

        past = question.past
        numbers = self._asking.evidence.of_past(question.user, question.item, past.items, past.ratings)
        evidence = np.append(numbers.statistics[0], np.nan if hint is None else float(hint))
        taught = self._teacher.p_yes(self._row(question), evidence, tuple(PIECES) if pieces is None else pieces)
        return self._share * taught + (1 - self._share) * bool(question.label)

    def hint(self, question: Question) -> bool:
        """What a training sample's injected sentence says."""
        return self._hints[self._row(question)]

    def _row(self, question: Question) -> int:
        row = self._data.find_row(question.user, question.item)
        assert row is not None
        return row


def adapter_name(artifact: Artifact) -> str:
    """What a finished adapter is called in results: its recipe, and the hash of its weights."""
    return f"{artifact.meta['kind']}-{artifact.meta['files'][ADAPTER_FILE]['sha256'][:12]}"


def plain_guess(question: Question, statistics: TrainingStatistics) -> bool:
    """What the user's average and the others' say together: the hint that stands in for M_G's while M_R learns.

    It is right about as often as M_G, wrong for the like reasons, and needs no model.
    """
    subject = question.subject
    assert subject.habit is not None
    others = 0.0 if subject.target.others is None else subject.target.others - statistics.mean
    expected = subject.habit.mean + others
    # A mean of half-star ratings: just above the threshold is still more often a no.
    return bool(subject.meta.label_rule.apply(np.asarray(expected - 0.25)))


def _asking(job: StageWork) -> Questions:
    return Questions(job.dataset, load_space(job.inputs["space"]), TrainingStatistics(job.dataset, job.data_split))


def _questions(job: StageWork, asking: Questions, part: str, count: int, recipe: str) -> Iterator[Question]:
    """Questions about ``count`` drawn samples of a part of the split, always the same ones."""
    assert part in PARTS
    data, rows = job.dataset, job.data_split.part(part)
    rng = np.random.default_rng(derive_seed(job.settings.seed, "tune", part))
    drawn = 0
    for row in rng.permutation(rows):
        user, item = int(data.user_index[row]), int(data.item_index[row])
        if drawn == count:
            return
        if data.find_row(user, item) != row:  # a second rating of the same item
            continue
        job.check_stop()
        drawn += 1
        job.progress(f"retrieving for the {part} samples", drawn / count)
        yield asking.ask(user, item, job.config.retrieval(recipe), job.config.template)
    if not drawn:
        raise DataError(f"The {part} part has no sample to tune with", fix="give a larger dataset")


def _learned_and_held_out(
    job: StageWork, asking: Questions, recipe: str
) -> tuple[Iterable[Question], Iterable[Question]]:
    """Of the train and the validation part; where the split has no validation (BookCrossing's), both of train."""
    config: TuneConfig = job.config
    if len(job.data_split.validation):
        return (
            _questions(job, asking, "train", config.samples, recipe),
            _questions(job, asking, "validation", config.held_out, recipe),
        )
    return _train_with_some_aside(job, asking, recipe)


def _train_with_some_aside(job: StageWork, asking: Questions, recipe: str) -> tuple[list[Question], list[Question]]:
    both = list(_questions(job, asking, "train", job.config.samples + job.config.held_out, recipe))
    if len(both) < 2:
        raise DataError("The train part has one sample: none is left to be held out", fix="give a larger dataset")
    aside = min(job.config.held_out, len(both) // 2)
    return both[aside:], both[:aside]


def _tune(job: StageWork, tuner: Any, train: Sequence[Any], held_out: Sequence[Any], score: str) -> dict[str, Any]:
    checkpoint = job.scratch / "checkpoint.pt"
    made = tuner.tune(train, held_out, checkpoint=checkpoint, score=score, progress=job.progress, stop=job.stop)
    job.progress("saving the adapter", None)
    tuner.save(job.part)
    save_text(job.part / CURVE, json.dumps(made.curve))
    answers, labels = tuner.answers(held_out), [example.label for example in held_out]
    return {
        "rows": len(train),
        "held_out": len(held_out),
        "parameters": made.parameters,
        "best_epoch": made.best,
        "epochs": len(made.curve),
        "temperature": fit_temperature(labels, answers, metrics.log_loss),
        "scores": {
            "auc": or_null(metrics.auc(labels, answers), 4),
            "log_loss": or_null(metrics.log_loss(labels, answers), 4),
            "accuracy": or_null(metrics.accuracy(labels, answers), 4),
        },
    }


def _writer(tuner: Any) -> Any:
    from backend.training.examples import ExampleWriter

    return ExampleWriter(tuner.chat, tuner.tokenizer)


def _base(job: StageWork) -> tuple[str, str]:
    """Where the base model's weights are, and what it is called."""
    if job.model is None or makes_up_answers(job.model.name):
        engine = Settings.model_fields["engine"].default
        settings = job.settings.model_copy(update={"engine": engine})
        fix = command_line(settings, "tune", tuned_engine="", reasoning_engine="")
        raise UsageError("The scripted engine has no weights to tune", fix=fix)
    source = models.fetch(job.model, Path(job.settings.home) / "models", job.progress)
    # Of a folder its own name: the adapter's files go to other machines.
    return source, Path(source).name if Path(job.model.name).is_dir() else job.model.name
