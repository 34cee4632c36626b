"""Raw files -> users, items, interactions (one schema) -> samples."""

from backend.datasets.registry import DATASETS, FORMATS, bundled_source, command_for, known_names
from backend.datasets.rules import MIN_HISTORY, Rules, Templates
from backend.datasets.samples import PARTS, Samples, Split, build_samples, split
from backend.datasets.schema import Dataset, DatasetMeta, LabelRule
from backend.datasets.store import import_data, is_prepared, load, prepare, stored_hash

__all__ = [
    "DATASETS",
    "FORMATS",
    "MIN_HISTORY",
    "PARTS",
    "Dataset",
    "DatasetMeta",
    "LabelRule",
    "Rules",
    "Samples",
    "Split",
    "Templates",
    "build_samples",
    "bundled_source",
    "command_for",
    "import_data",
    "is_prepared",
    "known_names",
    "load",
    "prepare",
    "split",
    "stored_hash",
]
