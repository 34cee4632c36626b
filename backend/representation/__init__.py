"""Items as vectors: texts, their mixture, and the alignment loss (sections 4.2.1 to 4.2.4)."""

from backend.representation.alignment import ssl_loss
from backend.representation.mixture import mix
from backend.representation.texts import TITLE_TEMPLATE, title_texts

__all__ = ["TITLE_TEMPLATE", "mix", "ssl_loss", "title_texts"]
