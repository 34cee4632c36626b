"""Labelling as the page and the API ask for it: who may do what, checked in one place. Knows no Gradio and no HTTP."""

from app.services.labelling.service import LabellingService

__all__ = ["LabellingService"]
