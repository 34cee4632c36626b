"""A task as a labeller may see it, in JSON's own types.

What a blind task does not show is not in it: neither what really happened, nor what the models said of it, nor which
model wrote the chain, nor the sentence that was put into its prompt, nor whether the right answer is known, nor what
anybody else said. The order and the ids of the chains tell nothing either.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from app.label.histories import full_history, genres_of, others_of, profile_of
from backend.labelling import Account, Chain, Project, rubric
from backend.prompting import split_steps
from storage.labels.roles import may
from storage.labels.values import Own, Task
from storage.workspace import Workspace

_RULES_OF_CHOICE = ("chains", "gold", "qualification", "pass_share", "order", "seed")


def task_view(
    workspace: Workspace, task: Task, position: dict[str, int] | None, unblinded: bool = False
) -> dict[str, Any]:
    """The TaskView of the API; ``unblinded``: with ``hidden``, whatever the project says."""
    chain, project, own = task.chains[0], task.project, task.own
    view: dict[str, Any] = {
        "task": task.id,
        "project": {
            "key": task.key,
            "name": project.name,
            "mode": project.mode,
            "first_error": project.first_error,
            "blind": project.blind,
            "guidelines": project.guidelines,
            "rubric": asdict(rubric(project.rubric)),
        },
        "user": {"id": chain.user, "profile": profile_of(workspace, chain)},
        "history": full_history(workspace, chain),
        "target": {
            "item": chain.item,
            "title": chain.title,
            "genres": genres_of(workspace, chain),
            "others": others_of(workspace, chain, chain.item),
        },
        "chains": [_chain(one) for one in task.chains],
        "draft": _draft(own) if own and own.version > 0 and own.status == "draft" else None,
        "label": {"id": own.label, "status": own.status} if own else None,
        "version": own.version if own else 0,
        "reserved_until": _time(own.reserved_until) if own else None,
        "position": position,
    }
    if unblinded or not project.blind:
        view["hidden"] = _hidden(task)
    return view


def rules_view(project: Project, account: Account | None) -> dict[str, Any]:
    """A project's rules. How its chains were chosen (the wrong ones alone, say), and how many known ones are hidden
    among them, is nothing that a labeller should know.
    """
    told: dict[str, Any] = project.model_dump(mode="json")
    if may(account, "agreement"):
        return told
    return {name: value for name, value in told.items() if name not in _RULES_OF_CHOICE}


def _chain(chain: Chain) -> dict[str, Any]:
    """The id is the chain's key in the cache: a hash, which tells nothing."""
    return {"id": chain.id, "steps": [{"id": step.id, "text": step.text} for step in split_steps(chain.text)]}


def _draft(own: Own) -> dict[str, Any]:
    return {
        "judgement": own.judgement.model_dump(mode="json"),
        "version": own.version,
        "seconds": own.seconds,
        "at": _time(own.updated_at),
    }


def _hidden(task: Task) -> dict[str, Any]:
    setting = task.setting
    return {
        "truth": task.chains[0].truth,
        "p_g": setting.p_g,
        "var_g": setting.var_g,
        "p_r": setting.p_r,
        "var_r": setting.var_r,
        "p_final": setting.p_final,
        "setting": setting.model_dump(mode="json"),
        "chains": [
            chain.model_dump(mode="json", include={"id", "index", "model", "verdict", "p_yes", "tokens", "knowledge"})
            for chain in task.chains
        ],
    }


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
