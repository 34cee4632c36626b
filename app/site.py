"""The whole app as one Gradio Blocks. Gradio is imported when it is built, not before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backend
from app.shared.templating import asset, asset_path
from backend.settings import Settings

if TYPE_CHECKING:
    import gradio

    from app.evaluate.service import EvaluateService
    from app.shared.jobs import JobsService
    from app.shared.per_dataset import PerDataset
    from app.shared.runs import RunQueue
    from storage.workspace import Workspace

# Tables and figures bring their own.
EXHIBITS = Path(backend.__file__).parent / "evaluation" / "drawing" / "exhibits.css"
_SCRIPTS = ("shared/base.js", "predict/page.js", "library/page.js", "stories/page.js", "what_if/page.js")
_STYLES = (
    "shared/base.css",
    "predict/page.css",
    "library/page.css",
    "users/page.css",
    "what_if/page.css",
    "evaluate/page.css",
)
# Gradio confines the others to its own container: what is outside of it, or depends on its page, goes into the head.
_HEAD_STYLES = ("shared/shell.css", "stories/page.css", "label/page.css", "label/results.css")


def build(settings: Settings) -> gradio.Blocks:
    """The UI over the home folder of ``settings``; opens files only when a page asks for them."""
    from app.evaluate.service import EvaluateService
    from app.shared.jobs import JobsService
    from app.shared.per_dataset import PerDataset
    from app.shared.runs import RunQueue
    from storage.workspace import Workspace

    workspace = Workspace(settings)
    runs = RunQueue(workspace.worker)
    jobs = JobsService(workspace, runs)
    return build_over(workspace, runs, jobs, PerDataset(workspace, lambda workspace: EvaluateService(workspace, jobs)))


def build_over(
    workspace: Workspace, runs: RunQueue, jobs: JobsService, evaluating: PerDataset[EvaluateService]
) -> gradio.Blocks:
    """The UI over an opened workspace, its queue of live predictions, its jobs, and what was evaluated."""
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    import gradio

    from app.evaluate import page as evaluate
    from app.label import page as label
    from app.library import page as library
    from app.library.service import LibraryService
    from app.predict import page as predict
    from app.predict.service import PredictServices
    from app.shared.per_dataset import PerDataset
    from app.stories import page as stories
    from app.stories.service import StoryService
    from app.users import page as users
    from app.users.service import UsersService
    from app.what_if import page as what_if
    from app.what_if.service import WhatIfService

    predicting = PredictServices(workspace, runs)
    with gradio.Blocks(title="RALLRec+", analytics_enabled=False, fill_width=True) as blocks:
        predict.page(predicting, workspace.settings)
        _begin_page(blocks, "What-if", what_if.ROUTE)
        what_if.page(PerDataset(workspace, lambda work: WhatIfService(work, predicting.of(work.settings.dataset))))
        _begin_page(blocks, "Users", users.ROUTE)
        users.page(PerDataset(workspace, UsersService))
        _begin_page(blocks, "Evaluate", evaluate.ROUTE)
        evaluate.page(evaluating)
        _begin_page(blocks, "Stories", stories.ROUTE)
        stories.page(StoryService(workspace))
        _begin_page(blocks, "Label", label.ROUTE)
        label.page()
        _begin_page(blocks, "Library", library.ROUTE)
        library.page(PerDataset(workspace, LibraryService), jobs, lambda dataset: evaluating.of(dataset).lists)
    return blocks


def _begin_page(blocks: gradio.Blocks, name: str, route: str) -> None:
    """What follows is on this page. As ``with blocks.route(name, route)``, at whose end Gradio makes a whole server of
    all pages so far, which takes a quarter of a second and is thrown away at the next.
    """
    path = route.strip("/")
    blocks.pages.append((path, name, True))
    blocks.current_page = path


def appearance() -> dict[str, Any]:
    """Theme, style and script, for ``mount_gradio_app`` or ``launch``: system fonts, nothing from another host."""
    import gradio

    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    return {
        "theme": gradio.themes.Base(
            primary_hue="slate",
            neutral_hue="slate",
            font=fonts,
            font_mono=["ui-monospace", "Menlo", "Consolas", "monospace"],
            radius_size="sm",
            spacing_size="sm",
        ),
        "css_paths": [*(asset_path(name) for name in _STYLES), EXHIBITS],
        "head": _inline("style", _HEAD_STYLES) + _inline("script", _SCRIPTS),
        "footer_links": [],
        "run_history": False,
    }


def _inline(tag: str, names: tuple[str, ...]) -> str:
    return "".join(f"<{tag}>{asset(name)}</{tag}>" for name in names)
