"""Explicit seeds, derived per sample, so that one seed names a whole run and no two samples share a stream."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(value: Any) -> str:
    """The one spelling of ``value`` used for hashes: sorted keys, no spaces, no NaN (raises ``ValueError``)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any, length: int = 64) -> str:
    """SHA-256 of :func:`canonical_json`, as ``length`` hexadecimal characters (at most 64)."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]


def derive_seed(seed: int, *parts: Any) -> int:
    """A seed in [0, 2**63) for one sample: a hash of the run's ``seed`` and of what names the sample."""
    return int(digest([seed, *parts], 16), 16) >> 1
