"""The naive peer of the Predict page's gamma slider: the same panel through Gradio's defaults (queue, overlay).

python -m tests.bench.default_page PORT
"""

from __future__ import annotations

import sys

import gradio

from app.predict.drawing import rerank_panel
from app.predict.service import PredictService
from app.predict.view import PredictSession
from backend.settings import load_settings
from storage.workspace import Workspace


def main() -> None:
    service = PredictService(Workspace(load_settings()))

    def moved(gamma: float) -> str:
        request = service.request({"user": "15", "item": "1"}).choosing(gamma=gamma)
        return rerank_panel(service.look(request, PredictSession()))

    with gradio.Blocks(analytics_enabled=False) as blocks:
        gamma = gradio.Slider(0, 1, value=0.667, step=0.001, elem_id="gamma")
        panel = gradio.HTML(moved(0.667), elem_id="rerank")
        gamma.change(moved, gamma, panel)
    blocks.launch(server_port=int(sys.argv[1]), quiet=True, run_history=False)


if __name__ == "__main__":
    main()
