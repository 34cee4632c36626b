"""The systems that tables and figures compare, and all that is known of them on a list of samples.

What the models said is looked up by ``storage.evaluation``, which also says which system is asked in which way; from
here on everything is arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.evaluation.intervals import DRAWS, MetricDraws, draw
from backend.evaluation.metrics import METRICS
from backend.merging import MergingConfig, mean_and_variance_of_chains, merge, scale
from backend.merging.choose import ChosenWeights
from backend.seeding import digest

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
# What is honest to say of a system wherever it shows.
ABOUT = {
    "LLM": "M_G's base model, untuned, asked with the latest items (no retrieval), as the paper's Llama3.1",
    "ReLLa": "tuned and asked with history chosen by text similarity alone",
    "Hybrid-Score": "tuned and asked with history that is half chosen by text, half by collaborative similarity "
    "(retrieve-then-mix)",
    "RALLRec": "P_G: the tuned model alone, first history order",
    "RALLRec+": "eq. 10 with the injected sentence; alpha and epsilon chosen on validation samples where these are "
    "cached, else the paper's",
    "UserMean": "the share that the user liked before, smoothed",
    "ItemMean": "the share of others that liked the item in training, smoothed",
    "MeanBlend": "the two means, weighted as is best on validation samples",
    "Boosting": "the bar of what the past tells: boosted trees on numbers about the user's past and the training part, "
    "no text, no ids",
}
# The systems of Table 4 that ask a language model; all others read no text.
ASKING = ("LLM", "ReLLa", "Hybrid-Score", "RALLRec", "RALLRec+")
# The fields of Responses that have a number per sample; the others have one per chain and sample.
_OF_SAMPLE = {"p_g", "var_g", "first", "answer_seconds", "answer_tokens"}
# The fields that only a chain has, and a sampled text that is none has not.
_OF_CHAINS = {"p_yes", "verdict"}


@dataclass(frozen=True)
class LabelledSamples:
    """s samples with what really happened: ``rows`` of the interactions, ``users`` and ``items`` as codes (all
    int64[s]), ``labels``: float64[s], 0 or 1.

    ``where``: where a person finds each of them; ``said``: which samples they are, in words; ``options``: how
    ``rallrec reason`` is told of them.
    """

    rows: Int64
    users: Int64
    items: Int64
    labels: Float64
    where: Sequence[str] = ()
    said: str = ""
    options: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def digest(self) -> str:
        """A short text that stands for these samples in the names of files."""
        return digest(self.rows.tolist(), 16)


@dataclass(frozen=True)
class Responses:
    """What both models said of s samples in K chains (0 where M_R is not asked); NaN where something is not cached.

    A sampled text that is no chain is cached too: it has ``tokens`` and ``seconds``, and NaN as ``p_yes``, ``verdict``.

    Of M_G, [s]: ``p_g``, ``var_g`` as the recipe wants them; ``first``: its answer to the first history order, with
    ``answer_seconds`` and ``answer_tokens``. Of the chains, [K, s]: ``p_yes``; ``verdict``: 1, 0, or 0.5 where none
    can be read; ``tokens``; ``seconds``; how many titles each cites (``cited``, ``in_prompt``) and ratings it quotes
    (``rated``, ``rated_right``).
    """

    p_g: Float64
    var_g: Float64
    first: Float64
    answer_seconds: Float64
    answer_tokens: Float64
    p_yes: Float64
    verdict: Float64
    tokens: Float64
    seconds: Float64
    cited: Float64
    in_prompt: Float64
    rated: Float64
    rated_right: Float64

    @classmethod
    def unknown(cls, samples: int, chains: int) -> Responses:
        """Responses of which nothing is known: NaN everywhere."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.full((samples,) if name in _OF_SAMPLE else (chains, samples), np.nan) for name in names})

    @classmethod
    def joined(cls, blocks: Sequence[Responses]) -> Responses:
        """The responses of several lists of samples, as those of one list."""
        arrays = [block.arrays for block in blocks]
        return cls(**{name: np.concatenate([block[name] for block in arrays], axis=-1) for name in arrays[0]})

    @property
    def arrays(self) -> dict[str, Float64]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def tempered(self, temperature: float) -> Responses:
        """The same, with the logit of each chain's P(yes) divided by the ``temperature``."""
        return replace(self, p_yes=scale(self.p_yes, temperature))

    @property
    def p_r(self) -> Float64:
        """The mean over the chains; NaN where one is missing, and where none of the texts is a chain."""
        return self._spread[0]

    @property
    def var_r(self) -> Float64:
        return self._spread[1]

    @property
    def _spread(self) -> tuple[Float64, Float64]:
        missing = np.isnan(self.tokens).any(axis=0) if len(self.tokens) else np.ones(len(self.p_g), dtype=bool)
        mean, variance = mean_and_variance_of_chains(self.p_yes)
        return np.where(missing, np.nan, mean), np.where(missing, np.nan, variance)

    @property
    def merging(self) -> tuple[Float64, Float64, Float64, Float64]:
        """The four numbers that eq. 10 takes."""
        return self.p_r, self.var_r, self.p_g, self.var_g

    @property
    def mergeable(self) -> int:
        """The number of samples for which all four of these are known."""
        return int((~np.isnan(np.array(self.merging)).any(axis=0)).sum())

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not any(np.isnan(array).any() for name, array in self.arrays.items() if name not in _OF_CHAINS)


@dataclass(frozen=True)
class WayResponses:
    """What is cached of one way to ask. ``orders``: in how many history orders M_G is asked; ``chains``: whether M_R is
    asked too. ``recipe``: its hash. ``missing``: why there can be nothing at all; ``run``: the command that comes next
    to have what is missing, ``answers_run`` that for M_G's answers alone.
    """

    responses: Responses
    recipe: str = ""
    orders: int = 1
    chains: bool = False
    missing: str = ""
    run: str = ""
    answers_run: str = ""

    @property
    def problem(self) -> str:
        """Why the chains cannot be shown; empty where they can."""
        if self.missing:
            return self.missing
        chains = self.responses.tokens
        known = int((~np.isnan(chains)).sum())
        return "" if chains.size and known == chains.size else f"{known} of {chains.size} chains are cached"

    @property
    def seconds(self) -> float:
        """Mean time of a whole prediction: M_G once per variant of its prompt (as long as for the first), then all
        chains, each with its own work alone (``seconds`` of :class:`backend.types.Answer`)."""
        return _mean(self.responses.answer_seconds * self.orders + self.responses.seconds.sum(axis=0))

    def expert(self, name: str, about: str = "") -> System:
        """M_G's answer to the first history order."""
        seconds = _mean(self.responses.answer_seconds)
        return self._system(name, self.responses.first, seconds, about, self.answers_run)

    def reasoner(self, name: str) -> System:
        """M_R alone: the mean of its chains. Without injection it says the same whoever M_G is."""
        return self._system(
            name, self.responses.p_r, _mean(self.responses.seconds.sum(axis=0)), "the mean of the chains, P_R"
        )

    def single_runs(self, name: str) -> System:
        """M_R asked once, K times over: what single chains reach on average (section 3), not their mean together."""
        about = f"the mean of {len(self.responses.p_yes)} single runs, one chain each, as the paper's five"
        seconds = _mean(self.responses.seconds)
        return replace(self._system(name, self.responses.p_r, seconds, about), runs=self.responses.p_yes)

    def merged(self, name: str, weights: MergingConfig) -> System:
        """Eq. 10 at these weights."""
        return self._system(name, merge(*self.responses.merging, weights.alpha, weights.epsilon), self.seconds)

    def merged_without_cm(self, name: str, alpha: float) -> System:
        """Eq. 10 without consistency (:func:`unweighted`)."""
        scores = unweighted(self.responses.p_r, self.responses.p_g, alpha)
        return self._system(name, scores, self.seconds, "(alpha P_R + P_G) / (alpha + 1)")

    def _system(self, name: str, scores: Float64, seconds: float, about: str = "", run: str = "") -> System:
        complete = not self.missing and not np.isnan(scores).any()
        return System(
            name, scores, self.missing, "" if complete else run or self.run, about or ABOUT.get(name, ""),
            seconds, self.recipe,
        )  # fmt: skip


@dataclass(frozen=True)
class System:
    """``scores``: float64[s], NaN where not known. ``missing``: why there can be none; ``run``: what to run for them.

    ``seconds``: mean model time of a prediction, NaN where it takes none or it is not known. ``recipe``: its hash.
    ``runs``: [K, s], the scores of each of K single runs, where the system is the average of what these reach; NaN
    where a run has no score.
    """

    name: str
    scores: Float64
    missing: str = ""
    run: str = ""
    about: str = ""
    seconds: float = float("nan")
    recipe: str = ""
    runs: Float64 | None = None

    @property
    def cached(self) -> int:
        return int((~np.isnan(self.scores)).sum())

    @property
    def complete(self) -> bool:
        return not self.missing and self.cached == len(self.scores)

    @property
    def problem(self) -> str:
        """Why the system is not scored; empty where it is."""
        if self.complete:
            return ""
        return self.missing or f"not cached ({self.cached} of {len(self.scores)})"


@dataclass(frozen=True)
class SystemMetrics:
    """What a system reaches on n samples of so many ``users``, by metric. ``drawn``: the same for draws of users, where
    they were drawn.

    ``runs``: so many single runs the values are the mean of, with their standard deviation over the runs in
    ``spreads``; 0 where it is one system. ``missing`` says why there is nothing; ``run``: the command that makes what
    is missing.
    """

    name: str
    n: int = 0
    users: int = 0
    values: Mapping[str, float] = field(default_factory=dict)
    drawn: Mapping[str, MetricDraws] = field(default_factory=dict, repr=False)
    missing: str = ""
    run: str = ""
    runs: int = 0
    spreads: Mapping[str, float] = field(default_factory=dict)

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The bounds of each metric's 95 % interval."""
        return {metric: draws.interval() for metric, draws in self.drawn.items()}


@dataclass(frozen=True)
class ChosenOnValidation:
    """``gamma``: what is reported under; ``tried``: the validation log loss by gamma, of those that could be tried;
    ``given``: whether somebody named it. ``weights``: by knowledge, where they could be chosen, under
    ``weights_gamma``; ``missing``: by knowledge, why they could not; ``run``: the command that would make it so.
    """

    gamma: float
    given: bool
    tried: Mapping[float, float] = field(default_factory=dict)
    weights: Mapping[str, ChosenWeights] = field(default_factory=dict)
    weights_gamma: float = 0.0
    missing: Mapping[str, str] = field(default_factory=dict)
    run: Mapping[str, str] = field(default_factory=dict)

    def merging(self, knowledge: str) -> MergingConfig:
        """The chosen weights, or the paper's."""
        return self.weights[knowledge].config if knowledge in self.weights else MergingConfig()


@dataclass(frozen=True)
class Evaluation:
    """All that is known of the systems on a list of samples.

    ``systems``: those of Table 4 in its order, then the trivial ones; ``others``: what other tables and the ablation
    compare; ``ways``: what the models said in each way to ask; ``scored``: what each of the systems reaches.
    ``unknown``: all results are of unknown precision; where there are others, ``left_out`` of these are not scored.
    """

    dataset: str
    samples: LabelledSamples
    validation: LabelledSamples
    chosen: ChosenOnValidation
    systems: Mapping[str, System]
    others: Mapping[str, System]
    ways: Mapping[str, WayResponses]
    scored: Mapping[str, SystemMetrics] = field(default_factory=dict)
    unknown: bool = False
    left_out: int = 0

    @property
    def all(self) -> dict[str, System]:
        return {**self.systems, **self.others}

    @property
    def split(self) -> str:
        """What the numbers are measured on, in words."""
        return f"measured on {self.samples.said}{', precision unknown' if self.unknown else ''}"

    @property
    def chosen_words(self) -> str:
        """A sentence: which gamma, alpha and epsilon RALLRec+ has, and what they were chosen by."""
        chosen, weights = self.chosen, self.chosen.weights.get("paper")
        gamma = f"gamma {chosen.gamma:.4g}"
        if chosen.given:
            gamma += " (given)"
        elif len(chosen.tried) > 1:
            gamma += f" chosen on {self.validation.said} by M_G's log loss among {len(chosen.tried)}"
        if weights is None:
            why = chosen.missing.get("paper", "")
            return f"RALLRec+: {gamma}; the paper's alpha 0.1 and epsilon 0.001 ({why})."
        best = weights.best
        under = "" if chosen.weights_gamma == chosen.gamma else f", with prompts of gamma {chosen.weights_gamma:.4g}"
        return (
            f"RALLRec+: {gamma}; alpha {best.alpha:g} and epsilon {best.epsilon:g} chosen on {self.validation.said} by "
            f"log loss{under}."
        )

    @property
    def bar_words(self) -> str:
        """A sentence: which systems that ask a language model beat those that read no text."""
        return bar_words({name: self.scored[name] for name in self.systems if name in self.scored})

    def merged_anew(self, scores: Float64) -> System:
        """RALLRec+ at another alpha and epsilon, whose scores these are."""
        return replace(self.systems["RALLRec+"], scores=scores, missing="", run="")


def bar_words(scored: Mapping[str, SystemMetrics]) -> str:
    """Whether a system that asks a language model has a lower log loss than all that read no text: a sentence, empty
    where one side has no number.
    """
    losses = {name: one.values["log_loss"] for name, one in scored.items() if "log_loss" in one.values}
    asking = {name: loss for name, loss in losses.items() if name in ASKING and not np.isnan(loss)}
    others = {name: loss for name, loss in losses.items() if name not in ASKING and not np.isnan(loss)}
    if not asking or not others:
        return ""
    bar, closest = min(others, key=lambda name: others[name]), min(asking, key=lambda name: asking[name])
    beating = [name for name, loss in asking.items() if loss < others[bar]]
    if beating:
        return (
            f"Of the systems that ask a language model, those with a lower log loss than every system that reads no "
            f"text ({bar} is the best of these, {others[bar]:.3f}): {', '.join(beating)}."
        )
    return (
        f"No system that asks a language model beats those that read no text: {bar} has the lowest log loss, "
        f"{others[bar]:.3f}, and {closest} comes closest with {asking[closest]:.3f}."
    )


def merged_name(knowledge: str, weights: str, consistent: bool = True) -> str:
    """The name of a merge. ``weights``: ``chosen`` or ``paper``; not ``consistent``: without CM (Table 5)."""
    return f"Merged{told_name(knowledge)}{'' if consistent else ', without CM'}, {weights} weights"


def single_name(reasoner: str) -> str:
    """The name of a reasoner's single runs; its own name is that of all chains together, P_R."""
    return f"{reasoner}, single run"


def told_name(knowledge: str) -> str:
    """The part of a name that says what M_R hears of M_G."""
    return ", told P_G" if knowledge == "paper" else ", not told"


def unweighted(p_r: ArrayLike, p_g: ArrayLike, alpha: float) -> Float64:
    """Table 5 without CM: eq. 10 with both variances left out, which is its limit for a large epsilon.

    The paper says no more than that CM is removed. P_G alone it cannot be: then KP could change nothing, and the line
    without both would be RALLRec's own of Table 4, which it is not. P_R alone it cannot be: that reaches 0.60 AUC on
    MovieLens in Table 3, the line has 0.764. What is left is a merge whose weights do not look at consistency,
    (alpha P_R + P_G) / (alpha + 1) at the same alpha.
    """
    reasoned, general = np.asarray(p_r, dtype=np.float64), np.asarray(p_g, dtype=np.float64)
    return (alpha * reasoned + general) / (alpha + 1)


def score(name: str, users: ArrayLike, labels: ArrayLike, scores: ArrayLike, draws: int = DRAWS) -> SystemMetrics:
    """A system's metrics on all samples, with the same for draws of users; no ``draws``: without these."""
    values = {key: metric.function(users, labels, scores) for key, metric in METRICS.items()}
    drawn = {key: draw(key, users, labels, scores, draws) for key in METRICS} if draws else {}
    return SystemMetrics(name, len(np.asarray(labels)), len(np.unique(np.asarray(users))), values, drawn)


def score_runs(name: str, users: ArrayLike, labels: ArrayLike, runs: Float64) -> SystemMetrics:
    """What K single runs reach: of each metric the mean, and the standard deviation over the runs (NaN for one).

    ``runs``: [K, s]; a run is measured on the samples that it has a score for. The paper's Tables 2 and 3 are such
    means, over five runs.
    """
    who, y = np.asarray(users), np.asarray(labels, dtype=np.float64)
    single = [score(name, who[known], y[known], run[known], 0) for run in runs if (known := ~np.isnan(run)).any()]
    values = {key: np.array([one.values[key] for one in single]) for key in METRICS} if single else {}
    means = {key: float(each.mean()) for key, each in values.items()}
    spreads = {key: float(each.std(ddof=1)) if len(each) > 1 else float("nan") for key, each in values.items()}
    return SystemMetrics(name, len(y), len(np.unique(who)), means, runs=len(single), spreads=spreads)


def _mean(values: Float64) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")
