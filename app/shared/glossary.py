"""What each symbol is, the equation it stands in, and what moving it does. Only glyphs are HTML."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """``glyph`` is trusted HTML; ``text`` is plain."""

    glyph: str
    text: str


GLOSSARY: dict[str, Entry] = {
    "gamma": Entry(
        "γ",
        "gamma, the weight of the relevance channel (eq. 8: score = γ / rank^β there, (1 − γ) / rank^β in the recency "
        "channel). Higher: more similar items. Lower: more recent ones.",
    ),
    "beta": Entry(
        "β",
        "beta, how fast the score falls with the rank (eq. 8). 0: rank does not matter. Higher: only the first count.",
    ),
    "variant": Entry(
        "variant",
        "variant, which parts of the item vectors are compared (Table 6): text, collaborative (id), both (concat), or "
        "both and the aligned part (concat+ssl, eq. 7). A similarity is the sum of its parts' cosines.",
    ),
    "strategy": Entry(
        "strategy",
        "strategy, how past items are chosen (Fig. 8): the last ones (recent), text and collaborative lists in turns "
        "(retrieve-then-mix), the most similar by the mixed vectors (mix-then-retrieve), or eq. 8 (rerank).",
    ),
    "k": Entry("K", "K, how many past items are put in the prompt. The paper uses 30; less is faster on a CPU."),
    "alpha": Entry(
        "α",
        "alpha, the weight of the reasoning model in the merge (eq. 10). 0: the tuned model alone. The paper uses 0.1.",
    ),
    "epsilon": Entry(
        "ε",
        "epsilon, a floor under both variances (eq. 10). Small: the more consistent model takes all. Large: variances "
        "stop to matter. The paper uses 0.001.",
    ),
    "p_g": Entry(
        "P<sub>G</sub>",
        "P_G, the tuned model's probability of Yes: a softmax over Yes and No at the answer position, for the first "
        "history order.",
    ),
    "var_g": Entry(
        "σ<sub>G</sub><sup>2</sup>",
        "sigma_G squared, the variance of the tuned model's answers over the history's orders (rank, chronological, "
        "relevance). Larger: less weight in the merge.",
    ),
    "p_r": Entry("P<sub>R</sub>", "P_R, the mean of the reasoning model's probabilities of Yes over its chains."),
    "var_r": Entry(
        "σ<sub>R</sub><sup>2</sup>",
        "sigma_R squared, the variance of the probabilities of Yes over the chains. Larger: less weight in the merge.",
    ),
    "p_final": Entry(
        "P<sub>final</sub>",
        "P_final, the merged probability (eq. 10): both predictions, each weighted by how consistent it is.",
    ),
    "m_g": Entry("M<sub>G</sub>", "M_G, the general model tuned on this dataset: it answers at once."),
    "m_r": Entry("M<sub>R</sub>", "M_R, the reasoning model: it writes chains of thought before it answers."),
    "agreement": Entry("percent", "percent agreement, the share of pairs of people who gave the same answer."),
    "krippendorff": Entry(
        "α (Krippendorff)",
        "Krippendorff's alpha, agreement beyond what chance would give: 1 all alike, 0 as by chance, below 0 worse. "
        "Far answers on a scale count more than near ones. Not defined where everybody said the same everywhere.",
    ),
    "gwet": Entry(
        "AC1 / AC2",
        "Gwet's agreement coefficients, as alpha but steadier where nearly all answers are alike. AC1 for words; AC2 "
        "for scales, where near answers agree in part (quadratic weights).",
    ),
    "kappa": Entry(
        "κ (Cohen)",
        "Cohen's kappa, the agreement of two people beyond what chance would give by how often each gives each answer; "
        "with quadratic weights on scales.",
    ),
}
