"""Items as vectors: texts, their mixture, and the alignment loss (sections 4.2.1 to 4.2.4)."""

from backend.representation.alignment import ssl_loss
from backend.representation.mixture import mix
from backend.representation.space import PARTS, VARIANT_PARTS, VARIANTS, ItemSpace
from backend.representation.texts import title_template, title_texts

__all__ = ["PARTS", "VARIANTS", "VARIANT_PARTS", "ItemSpace", "mix", "ssl_loss", "title_template", "title_texts"]
