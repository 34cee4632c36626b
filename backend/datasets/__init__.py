"""Raw files -> users, items, interactions (one schema) -> samples."""

from backend.datasets.registry import DATASETS, bundled_source
from backend.datasets.samples import MIN_HISTORY, PARTS, Samples, Split, build_samples, split
from backend.datasets.schema import Dataset, DatasetMeta, LabelRule
from backend.datasets.store import is_prepared, load, prepare

__all__ = [
    "DATASETS",
    "MIN_HISTORY",
    "PARTS",
    "Dataset",
    "DatasetMeta",
    "LabelRule",
    "Samples",
    "Split",
    "build_samples",
    "bundled_source",
    "is_prepared",
    "load",
    "prepare",
    "split",
]
