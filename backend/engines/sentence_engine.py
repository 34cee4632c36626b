"""Sentence-embedding models as encoders of item texts, run by sentence-transformers (the extra ``sentence``).

They turn texts into vectors and do nothing else. The library is imported on first use.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from backend.engines.base import raise_if
from backend.engines.tokenizers import check_words_apart
from backend.errors import EngineError
from backend.types import ModelRef, Progress, Stop

# Texts between two looks at ``stop``.
_BATCH = 64


class SentenceEncoder:
    """``model``: a folder or hub id of a sentence-embedding model; ``device``: ``auto``, ``cpu`` or ``cuda``."""

    name = "sentence"

    def __init__(self, model: ModelRef, *, device: str = "auto", **_unused: Any) -> None:
        self.model = model
        self._device = None if device == "auto" else device
        self._lock = threading.RLock()
        self._loaded: Any = None

    def load(self, progress: Progress | None = None) -> None:
        """Load the model once. Raises ``EngineError`` where the library or the model is missing."""
        with self._lock:
            if self._loaded is not None:
                return
            if progress:
                progress(f"loading {self.model.name}", None)
            try:
                from sentence_transformers import SentenceTransformer

                loaded = SentenceTransformer(
                    self.model.name, revision=self.model.revision, device=self._device, trust_remote_code=False
                )
                check_words_apart(loaded.tokenizer, self.model.name)
                self._loaded = loaded
            except EngineError:
                raise
            except ImportError as error:
                raise EngineError(
                    "sentence-transformers is not installed", fix="pip install 'rallrec-plus[sentence]'"
                ) from error
            except Exception as error:
                raise EngineError(
                    f"The sentence-embedding model {self.model.name!r} could not be loaded: {error}",
                    expected="a folder or a hub id of such a model",
                ) from error

    def embed(
        self,
        texts: Sequence[str],
        *,
        pooling: str = "mean",  # noqa: ARG002
        progress: Progress | None = None,
        stop: Stop | None = None,
    ) -> np.ndarray:
        """[len(texts), d], float32. The model pools as it was trained to: ``pooling`` is left to it."""
        with self._lock:
            self.load(progress)
            width = self._loaded.get_embedding_dimension()
            rows = np.zeros((len(texts), width), dtype=np.float32)
            for start in range(0, len(texts), _BATCH):
                raise_if(stop)
                some = list(texts[start : start + _BATCH])
                rows[start : start + len(some)] = self._loaded.encode(some, show_progress_bar=False)
                if progress:
                    progress("embedding texts", (start + len(some)) / len(texts))
            return rows
