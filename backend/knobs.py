"""The table of knobs: each choice of a recipe that people move, told once.

A knob is a field of a stage's config and one row of :data:`KNOBS`. From that row come its control on the Predict page,
its part of a link, its option of ``rallrec predict``, its place in the record of a prediction and in an export, its
words in the glossary, its field on the What-if page, and, where ``job`` says so, its field in the form of a job.

The table is here because both the command line and the pages read it and neither imports the other; how a control
shows a value is left to ``app.shared.controls``. No config is imported: the command's help must not load the stages.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Knob:
    """``name``: of the config's field, the link's parameter, the option and the control. ``kind``: int, float or str.

    ``label``: what stands above its control; ``short``: what it is called in a sentence; ``help``: what the command
    line says of it; ``text``: what the glossary says of ``symbol``, empty where the pages explain no such symbol.

    ``slider``: least value, greatest value and step of the page's slider, which may be narrower than what the config
    takes; None: the control is a box for a whole number, or a choice among what the config allows. ``exponent``: the
    slider moves the exponent of a power of ten. ``fraction``: three decimals on a slider or in a link stand for a
    simple fraction. ``only``: the strategy that alone uses it; empty: all do. ``recorded``: the record of a prediction
    holds it by its own name. ``job``: the form of a job that asks about many samples has a field for it.
    """

    name: str
    kind: type
    label: str
    short: str
    help: str
    symbol: str = ""
    text: str = ""
    slider: tuple[float, float, float] | None = None
    exponent: bool = False
    fraction: bool = False
    only: str = ""
    recorded: bool = True
    job: bool = False


KNOBS: dict[str, Knob] = {
    knob.name: knob
    for knob in (
        Knob(
            "variant",
            str,
            label="Compare items by (Table 6)",
            short="variant",
            help="Item vectors: text, id, concat or concat+ssl.",
            symbol="variant",
            text="variant, which parts of the item vectors are compared (Table 6): text, collaborative (id), both "
            "(concat), or both and the aligned part (concat+ssl, eq. 7). A similarity is the sum of its parts' "
            "cosines.",
        ),
        Knob(
            "strategy",
            str,
            label="Choose past items by (Fig. 8)",
            short="strategy",
            help="recent, retrieve-then-mix, mix-then-retrieve or rerank.",
            symbol="strategy",
            text="strategy, how past items are chosen (Fig. 8): the last ones (recent), text and collaborative lists "
            "in turns (retrieve-then-mix), the most similar by the mixed vectors (mix-then-retrieve), or eq. 8 "
            "(rerank).",
        ),
        Knob(
            "gamma",
            float,
            label="gamma (γ): relevance against recency",
            short="gamma",
            help="Weight of the relevance channel, 0 to 1.",
            symbol="γ",
            text="gamma, the weight of the relevance channel (eq. 8: score = γ / rank^β there, (1 − γ) / rank^β in "
            "the recency channel). Higher: more similar items. Lower: more recent ones.",
            slider=(0, 1, 0.001),
            fraction=True,
            only="rerank",
            job=True,
        ),
        Knob(
            "beta",
            float,
            label="beta (β): how fast scores fall by rank",
            short="beta",
            help="How fast the score falls with the rank, 0 or more.",
            symbol="β",
            text="beta, how fast the score falls with the rank (eq. 8). 0: rank does not matter. Higher: only the "
            "first count.",
            slider=(0, 3, 0.05),
            only="rerank",
        ),
        Knob(
            "k",
            int,
            label="K: past items in the prompt",
            short="K",
            help="Past items in the prompt.",
            symbol="K",
            text="K, how many past items are put in the prompt. The paper uses 30; less is faster on a CPU.",
            slider=(1, 30, 1),
        ),
        Knob(
            "knowledge",
            str,
            label="Injected knowledge (eq. 9): the paper's wording, graded by confidence, or none",
            short="knowledge",
            help="Injected sentence: paper, graded or none.",
            recorded=False,
            job=True,
        ),
        Knob(
            "traces",
            int,
            label="Chains",
            short="chains",
            help="Reasoning chains.",
            slider=(1, 16, 1),
            recorded=False,  # the record's "traces" are the chains themselves
            job=True,
        ),
        Knob(
            "max_tokens",
            int,
            label="Token limit of a chain",
            short="token limit",
            help="Token limit of a chain.",
            slider=(16, 512, 16),
            recorded=False,
        ),
        Knob("seed", int, label="Seed", short="seed", help="Seed of the chains."),
        Knob(
            "alpha",
            float,
            label="alpha (α): weight of the reasoning model",
            short="alpha",
            help="Weight of the reasoning model in the merge.",
            symbol="α",
            text="alpha, the weight of the reasoning model in the merge (eq. 10). 0: the tuned model alone. The paper "
            "uses 0.1.",
            slider=(0, 1, 0.01),
        ),
        Knob(
            "epsilon",
            float,
            label="epsilon (ε): floor under the variances, as the exponent x of 10ˣ",
            short="epsilon",
            help="Floor under both variances in the merge.",
            symbol="ε",
            text="epsilon, a floor under both variances (eq. 10). Small: the more consistent model takes all. Large: "
            "variances stop to matter. The paper uses 0.001.",
            slider=(-6, -1, 0.1),
            exponent=True,
        ),
    )
}
