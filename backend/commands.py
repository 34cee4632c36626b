"""The commands that people are told to run, on screens, in reports and in errors: written in one place.

A command that is copied has to do what the text beside it says. So it carries what it depends on: the dataset, the
engine and the profile wherever they are not the program's own defaults, and what else it is to run under wherever the
settings in force say otherwise.
"""

from __future__ import annotations

import shlex
from typing import Any

from backend.profiles import DEFAULT_PROFILE
from backend.settings import PREFIX, Settings, load_settings, read_profile


def command_line(settings: Settings | None, name: str, *arguments: str, **needed: Any) -> str:
    """Returns a line for a shell that runs ``rallrec NAME`` under ``settings``, every word quoted where it must be.

    ``name``: the command, of one word or more. ``settings``: None for a command that depends on none. ``needed``:
    further settings that it is to run under, by name; an empty one empties what a profile or a file fills.
    """
    quoted = [*map(shlex.quote, arguments)]
    if settings is None:
        return " ".join(["rallrec", name, *quoted])
    # What a command takes here that is told nothing, and one that is told the profile alone.
    untold, told = load_settings(), load_settings(profile=settings.profile)
    usual = {"profile": DEFAULT_PROFILE, "engine": _engine_of(settings.profile)}
    here = {"profile": untold.profile, "engine": told.engine}
    carried = {key: getattr(settings, key) for key in usual}
    variables = {key: value for key, value in carried.items() if value != usual[key] or value != here[key]}
    variables |= {key: value for key, value in needed.items() if value != getattr(told, key)}
    words = [f"{PREFIX}{key.upper()}={shlex.quote(str(value))}" for key, value in variables.items()]
    words += ["rallrec", name]
    if settings.dataset != Settings.model_fields["dataset"].default or settings.dataset != told.dataset:
        words += ["--dataset", shlex.quote(settings.dataset)]
    return " ".join([*words, *quoted])


def _engine_of(profile: str) -> str:
    """Returns who runs the models under a profile where nothing else is set."""
    return str(read_profile(profile).settings.get("engine", Settings.model_fields["engine"].default))
