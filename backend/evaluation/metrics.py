"""AUC, log loss, accuracy, per-user AUC (section 5 and the field's GAUC) and the expected calibration error.

Labels are 0 or 1, scores are probabilities in [0, 1], both of shape [n]. A metric that is not defined for its input
is NaN, and :func:`why_undefined` says why; screens never see an exception.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from backend.errors import UsageError

# A probability is kept this far from 0 and 1 before its logarithm is taken.
CLIP = 1e-7
# Bins of equal width that calibration is read in.
BINS = 10


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the ROC curve, ties counting half; NaN where fewer than two classes are present."""
    y, s = _pair(labels, scores)
    if y.min(initial=1) >= y.max(initial=0):  # one class, or no sample at all
        return float("nan")
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(y, s))


def log_loss(labels: ArrayLike, scores: ArrayLike) -> float:
    """Mean negative log likelihood in nats, probabilities clipped to [1e-7, 1 - 1e-7]; NaN where n is 0."""
    y, s = _pair(labels, scores)
    if not len(y):
        return float("nan")
    p = np.clip(s, CLIP, 1 - CLIP)
    return float(-np.mean(np.where(y == 1, np.log(p), np.log1p(-p))))


def accuracy(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of samples where "score > 0.5" equals the label; NaN where n is 0."""
    y, s = _pair(labels, scores)
    return float(np.mean((s > 0.5) == (y == 1))) if len(y) else float("nan")


def gauc(users: ArrayLike, labels: ArrayLike, scores: ArrayLike) -> float:
    """Users' AUC weighted by their number of samples; users with one class are left out; NaN if none is left.

    ``users``: [n] of any type that can be compared. One sort for all users; the naive way is :func:`auc` per user.
    """
    y, s = _pair(labels, scores)
    codes = np.unique(np.asarray(users), return_inverse=True)[1]
    if len(codes) != len(y):
        raise UsageError(f"gauc was given {len(codes)} users and {len(y)} labels", expected="one user per label")
    if not len(y):
        return float("nan")
    order = np.lexsort((s, codes))
    codes, y, s = codes[order], y[order], s[order]
    first_of_user = np.searchsorted(codes, codes)
    # Mean rank (from 1) within the user of each run of equal scores.
    starts = np.flatnonzero(np.r_[True, (codes[1:] != codes[:-1]) | (s[1:] != s[:-1])])
    ends = np.r_[starts[1:], len(s)]
    rank = np.repeat((starts + ends + 1) / 2, ends - starts) - first_of_user
    n = np.bincount(codes).astype(np.float64)
    positive = np.bincount(codes, weights=y)
    rank_sum = np.bincount(codes, weights=rank * y)
    both = (positive > 0) & (positive < n)
    if not both.any():
        return float("nan")
    n, positive, rank_sum = n[both], positive[both], rank_sum[both]
    area = (rank_sum - positive * (positive + 1) / 2) / (positive * (n - positive))
    return float(np.average(area, weights=n))


def ece(labels: ArrayLike, scores: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error: how far the mean score of each bin is from its share of likes, weighted by size.

    Bins are of equal width over [0, 1] (:func:`bin_of`); NaN where n is 0.
    """
    y, s = _pair(labels, scores)
    if not len(y):
        return float("nan")
    place = bin_of(s, bins)
    return float(np.abs(np.bincount(place, weights=s - y, minlength=bins)).sum() / len(y))


def bin_of(scores: ArrayLike, bins: int = BINS) -> NDArray[np.int64]:
    """int64, the shape of ``scores``: which of ``bins`` equal parts of [0, 1] each is in; 1 is in the last."""
    return np.minimum((np.asarray(scores, dtype=np.float64) * bins).astype(np.int64), bins - 1)


def why_undefined(labels: ArrayLike) -> str | None:
    """Why AUC is NaN for these labels, as a sentence, or None where it is defined."""
    y = np.asarray(labels)
    if not len(y):
        return "There are no samples."
    if y.min() == y.max():
        return f"All {len(y)} samples have the label {int(y[0])}: AUC compares two classes."
    return None


def _pair(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, s = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise UsageError(f"Labels have shape {y.shape}, scores {s.shape}", expected="two arrays of the same length")
    if not np.isin(y, (0, 1)).all():
        raise UsageError("A label is neither 0 nor 1", expected="labels 0 or 1")
    if np.isnan(s).any():
        raise UsageError("A score is NaN", expected="numbers", fix="leave out samples without a prediction")
    return y, s
