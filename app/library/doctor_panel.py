"""The doctor's fold of the Library page: looks when it is opened, and again with Refresh while it is open."""

from __future__ import annotations

import time
from typing import Any

import gradio as gr

from app.library.address import HERE, Address
from app.library.doctor import DoctorService
from app.library.doctor_drawing import doctor_panel
from app.shared import frame
from app.shared.per_dataset import PerDataset
from backend.errors import RallrecError

_PLAIN: dict[str, Any] = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}


def page_part(doctors: PerDataset[DoctorService], refresh: gr.Button, address: gr.Textbox) -> None:
    """Lay it out in the current Blocks and wire it."""
    with gr.Accordion("Doctor: what this machine has and what is missing", open=False, elem_id="doctor") as fold:
        panel = gr.HTML(doctor_panel(None), elem_id="library-doctor", elem_classes="panel", apply_default_css=False)
    is_open = gr.State(False)

    def looked(here: str) -> str:
        try:
            findings = doctors.of(Address.parse(here).dataset).findings()
            return doctor_panel(findings, time.strftime("%H:%M:%S", time.gmtime()))
        except RallrecError as error:
            return frame.error_box(str(error))

    def opened(here: str) -> tuple[str, bool]:
        return looked(here), True

    def refreshed(here: str, seen: bool) -> Any:
        return looked(here) if seen else gr.skip()

    fold.expand(opened, address, [panel, is_open], js=HERE, **_PLAIN)
    fold.collapse(lambda: False, None, is_open, **_PLAIN)
    refresh.click(refreshed, [address, is_open], panel, js=HERE, **_PLAIN)
