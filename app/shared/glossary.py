"""What each symbol is, the equation it stands in, and what moving it does. Only glyphs are HTML.

The knobs' own words are in :mod:`backend.knobs`.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import escape

from backend.knobs import KNOBS


@dataclass(frozen=True)
class Explanation:
    """``glyph`` is trusted HTML; ``text`` is plain."""

    glyph: str
    text: str


_GLOSSARY: dict[str, Explanation] = {
    "p_g": Explanation(
        "P<sub>G</sub>",
        "P_G, the tuned model's probability of Yes: a softmax over Yes and No at the answer position, for the first "
        "history order.",
    ),
    "var_g": Explanation(
        "σ<sub>G</sub><sup>2</sup>",
        "sigma_G squared, the variance of the tuned model's answers over the history's orders (rank, chronological, "
        "relevance). Larger: less weight in the merge.",
    ),
    "p_r": Explanation("P<sub>R</sub>", "P_R, the mean of the reasoning model's probabilities of Yes over its chains."),
    "var_r": Explanation(
        "σ<sub>R</sub><sup>2</sup>",
        "sigma_R squared, the variance of the probabilities of Yes over the chains. Larger: less weight in the merge.",
    ),
    "p_final": Explanation(
        "P<sub>final</sub>",
        "P_final, the merged probability (eq. 10): both predictions, each weighted by how consistent it is.",
    ),
    "m_g": Explanation("M<sub>G</sub>", "M_G, the general model tuned on this dataset: it answers at once."),
    "m_r": Explanation("M<sub>R</sub>", "M_R, the reasoning model: it writes chains of thought before it answers."),
    "agreement": Explanation("percent", "percent agreement, the share of pairs of people who gave the same answer."),
    "krippendorff": Explanation(
        "α (Krippendorff)",
        "Krippendorff's alpha, agreement beyond what chance would give: 1 all alike, 0 as by chance, below 0 worse. "
        "Far answers on a scale count more than near ones. Not defined where everybody said the same everywhere.",
    ),
    "gwet": Explanation(
        "AC1 / AC2",
        "Gwet's agreement coefficients, as alpha but steadier where nearly all answers are alike. AC1 for words; AC2 "
        "for scales, where near answers agree in part (quadratic weights).",
    ),
    "kappa": Explanation(
        "κ (Cohen)",
        "Cohen's kappa, the agreement of two people beyond what chance would give by how often each gives each answer; "
        "with quadratic weights on scales.",
    ),
}


def explanation(name: str) -> Explanation:
    """Of a knob or of one of the method's other symbols. Raises ``KeyError``."""
    knob = KNOBS.get(name)
    return Explanation(str(escape(knob.symbol)), knob.text) if knob else _GLOSSARY[name]


def explained() -> tuple[str, ...]:
    """The names of all that :func:`explanation` knows."""
    return (*(name for name, knob in KNOBS.items() if knob.text), *_GLOSSARY)
