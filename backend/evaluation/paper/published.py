"""The paper's own numbers (Tables 2 to 7), so that ours can stand beside them.

Its models are Llama-3.1-8B-Instruct and DeepSeek-R1-Distill-Llama-8B, and its test samples are not ours: the columns
are the same, the experiment is not.
"""

from __future__ import annotations

from collections.abc import Mapping

_COLUMNS = ("auc", "log_loss", "accuracy")
DATASETS = ("BookCrossing", "MovieLens", "Amazon")
_ROWS: dict[str, dict[str, tuple[float, ...]]] = {
    "table-2": {
        "LLM": (0.5894, 0.6839, 0.5418, 0.5865, 0.6853, 0.5591, 0.7025, 0.7305, 0.4719),
        "Reasoner": (0.6147, 0.7065, 0.5487, 0.5944, 0.6850, 0.5752, 0.6874, 0.5392, 0.7792),
    },
    "table-3": {
        "without": (0.6147, 0.7065, 0.5487, 0.5944, 0.6851, 0.5752, 0.6874, 0.5392, 0.7792),
        "with": (0.6274, 0.7064, 0.5498, 0.6028, 0.6805, 0.5790, 0.7014, 0.5335, 0.7879),
    },
    "table-4": {
        "DeepFM": (0.5480, 0.8521, 0.5212, 0.7184, 0.6205, 0.6636, 0.6419, 0.8281, 0.7760),
        "xDeepFM": (0.5541, 0.9088, 0.5304, 0.7199, 0.6210, 0.6696, 0.6395, 0.8055, 0.7711),
        "DCN": (0.5532, 0.9356, 0.5189, 0.7212, 0.6164, 0.6681, 0.6369, 0.7873, 0.7744),
        "AutoInt": (0.5478, 0.9854, 0.5246, 0.7138, 0.6224, 0.6613, 0.6424, 0.7640, 0.7543),
        "LLM": (0.5894, 0.6839, 0.5418, 0.5865, 0.6853, 0.5591, 0.7025, 0.7305, 0.4719),
        "ReLLa": (0.7125, 0.6458, 0.6368, 0.7524, 0.6182, 0.6804, 0.8401, 0.5074, 0.8224),
        "Hybrid-Score": (0.7096, 0.6409, 0.6334, 0.7646, 0.6149, 0.6843, 0.8405, 0.5065, 0.8256),
        "RALLRec": (0.7162, 0.6365, 0.6506, 0.7658, 0.6140, 0.6942, 0.8416, 0.5059, 0.8331),
        "RALLRec+": (0.7175, 0.6354, 0.6518, 0.7663, 0.6118, 0.6948, 0.8412, 0.5036, 0.8343),
    },
    "table-5": {
        "neither": (0.7141, 0.6392, 0.6483, 0.7641, 0.6160, 0.6945, 0.8397, 0.5071, 0.8335),
        "CM": (0.7158, 0.6375, 0.6506, 0.7639, 0.6146, 0.6944, 0.8404, 0.5052, 0.8332),
        "KP": (0.7163, 0.6363, 0.6506, 0.7656, 0.6127, 0.6940, 0.8405, 0.5044, 0.8337),
        "KP+CM": (0.7175, 0.6354, 0.6518, 0.7663, 0.6118, 0.6948, 0.8412, 0.5036, 0.8343),
    },
    "table-6": {
        "text": (0.7034, 0.6434, 0.6426, 0.7583, 0.6188, 0.6798, 0.8408, 0.4931, 0.8222),
        "id": (0.7084, 0.6414, 0.6357, 0.7580, 0.6153, 0.6867, 0.8431, 0.4930, 0.8244),
        "concat": (0.7127, 0.6411, 0.6391, 0.7633, 0.6153, 0.6828, 0.8439, 0.4925, 0.8244),
        "concat+ssl": (0.7141, 0.6413, 0.6471, 0.7653, 0.6144, 0.6850, 0.8442, 0.4924, 0.8269),
    },
}
_TOKENS = {"BookCrossing": 687.2, "MovieLens": 740.3, "Amazon": 661.6}


def paper_dataset(name: str) -> str | None:
    """The paper's dataset that one of ours is read beside; None where the paper has none of its kind."""
    known = {"ml": "MovieLens", "movielens": "MovieLens", "bookcrossing": "BookCrossing", "amazon": "Amazon"}
    return known.get(name.lower().replace("_", "-").split("-")[0])


def paper_line(table: str, line: str, dataset: str | None) -> Mapping[str, float]:
    """The paper's numbers in a line of a table for one of its datasets; empty where it has none."""
    values = _ROWS.get(table, {}).get(line)
    if dataset is None or values is None:
        return {}
    place = 3 * DATASETS.index(dataset)
    return dict(zip(_COLUMNS, values[place : place + 3], strict=True))


def paper_tokens(dataset: str | None) -> Mapping[str, float]:
    """Table 7: tokens per response."""
    return {"tokens": _TOKENS[dataset]} if dataset else {}
