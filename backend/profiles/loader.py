"""Reading a profile: one that ships beside this module, or a file of one's own.

A profile is a TOML file of settings, and a table ``[profile]`` about itself. It stands between the settings file and
the defaults (see ``backend.settings``, which says what the settings are). Nothing here runs or fetches a model.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import SettingsError, UnknownNameError
from backend.keys import refuse_keys

DEFAULT_PROFILE = "cpu-default"
SUFFIX = ".toml"
_SHIPPED = Path(__file__).parent
# The table about the profile; as a setting, it would name another profile.
_ABOUT = "profile"


class About(BaseModel):
    """The table ``[profile]``: what the profile is, and what it needs of a machine.

    ``needs``: packages. ``gpu_memory_gib``: memory of one GPU (0: needs none). ``downloads_gib``: what is fetched at
    first use. ``gated``: hub ids whose licence has to be accepted on the hub.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = ""
    about: str = ""
    needs: tuple[str, ...] = ()
    gpu_memory_gib: float = Field(0, ge=0)
    downloads_gib: float = Field(0, ge=0)
    gated: tuple[str, ...] = ()


@dataclass(frozen=True)
class Profile:
    """``name``: as it was asked for (a shipped name or a path); ``settings``: by name, not checked for their values."""

    name: str
    file: Path
    about: About
    settings: dict[str, Any]


def shipped_profiles() -> list[str]:
    """Names of the profiles that come with the program; the default one first."""
    names = sorted(file.stem for file in _SHIPPED.glob(f"*{SUFFIX}"))
    return sorted(names, key=lambda name: name != DEFAULT_PROFILE)


def load_profile(name: str, known: Iterable[str]) -> Profile:
    """A shipped profile by its name, or the file at a path; ``known`` are the names of all settings.

    Raises ``UnknownNameError`` listing the shipped ones, ``SettingsError`` naming the file and the key that is wrong.
    """
    file = _file(name)
    try:
        values = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SettingsError(f"The profile {file} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"The profile {file} is not valid TOML: {error}") from error
    refuse_keys(values, str(file))
    about = _about(values.pop(_ABOUT, {}), file)
    known = set(known) - {_ABOUT}
    unknown = sorted(values.keys() - known)
    if unknown:
        raise SettingsError(
            f"The profile {file} has the key {unknown[0]}, which is no setting",
            expected="settings, and what the file is about in [profile]",
            fix="see: rallrec settings",
        )
    return Profile(name, file, about, values)


def _file(name: str) -> Path:
    if name in shipped_profiles():
        return _SHIPPED / f"{name}{SUFFIX}"
    path = Path(name).expanduser()
    if path.suffix != SUFFIX:
        raise UnknownNameError("profile", name, shipped_profiles(), fix="or give the path of a .toml file")
    if not path.is_file():
        raise SettingsError(f"The profile {name} is not a file", fix="mend the setting profile, or write the file")
    return path


def _about(given: Any, file: Path) -> About:
    if not isinstance(given, dict):
        raise SettingsError(
            f"The profile {file} sets profile to {given!r}: one profile cannot name another",
            expected="a table [profile]",
            fix="copy the other profile's lines into this file",
        )
    try:
        return About.model_validate({"title": file.stem} | given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([_ABOUT, *map(str, first["loc"])])
        raise SettingsError(
            f"The profile {file} has {where} = {first['input']!r}: {first['msg']}",
            expected=f"in [profile]: {', '.join(About.model_fields)}",
        ) from error
