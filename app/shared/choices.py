"""The retrieval choices in plain words: what each compares or does, and where the paper measures it."""

from __future__ import annotations

from backend.datasets import DatasetMeta

VARIANTS: dict[str, str] = {
    "text": "Compares what the items are: the language model's vectors of title and description (eq. 3). "
    "Table 6, text-based.",
    "id": "Compares who rated the items: LightGCN's vectors, learnt from interactions alone (eq. 4). "
    "Table 6, ID-based.",
    "concat": "Compares text and collaborative vectors side by side (eq. 7 without the aligned part). "
    "Table 6, without SSL.",
    "concat+ssl": "Compares text, collaborative and aligned vectors side by side (eq. 7); the aligned ones are text "
    "trained to say what interactions say (eq. 5 and 6). Table 6, with SSL: the paper's choice.",
}
STRATEGIES: dict[str, str] = {
    "recent": "Takes the last K items, whatever the target is. The variant only shows how similar they are. Fig. 8, "
    "recent.",
    "retrieve-then-mix": "Takes the most similar by text and the most similar by collaborative vectors in turns, half "
    "and half. The variant does not matter to what is chosen. Fig. 8, retrieve-then-mix.",
    "mix-then-retrieve": "Takes the K most similar by the variant's vectors; time does not matter. Fig. 8, "
    "mix-then-retrieve.",
    "rerank": "Weighs similarity to the target against recency by eq. 8, with γ and β. Fig. 8, rerank: the paper's "
    "choice.",
}
# What each part of the item vectors compares.
PARTS: dict[str, str] = {
    "text": "title and description, as the language model reads them (eq. 3)",
    "collaborative": "who rated what (eq. 4)",
    "aligned": "text trained to say what interactions say (eq. 6)",
}
# How the two channels of a strategy are introduced.
CHANNELS: dict[str, str] = {
    "relevance": "most similar to the target",
    "recency": "the user's last",
    "text": "most similar by title and description",
    "collaborative": "most similar by who rated them",
}
# Said wherever time is spoken of and the data has none.
NO_ORDER = "order is arbitrary here"
EQUATION_8_ONLY = "does not apply to this strategy: only rerank weighs the channels"


def channel(name: str, meta: DatasetMeta) -> str:
    """How a channel is introduced; for the one by time, what that means where the data has none."""
    about = CHANNELS.get(name, "")
    return f"{about} ({NO_ORDER})" if name == "recency" and not meta.time_ordered else about


def strategy(name: str, meta: DatasetMeta) -> str:
    """What a strategy does, and what is to be known of it where the data has no times."""
    of_time = name in ("recent", "rerank") and not meta.time_ordered
    return f"{STRATEGIES[name]} {NO_ORDER[0].upper()}{NO_ORDER[1:]}." if of_time else STRATEGIES[name]
