"""Tables and figures as HTML and SVG, for the page and for the report alike: pure functions, everything escaped."""

from backend.evaluation.drawing.figures import draw_panel
from backend.evaluation.drawing.tables import draw_table, styles

__all__ = ["draw_panel", "draw_table", "styles"]
