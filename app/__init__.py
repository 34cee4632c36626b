"""The web app: services (no Gradio inside), rendering (pure), pages (layout, then wiring)."""

from app.site import build

__all__ = ["build"]
