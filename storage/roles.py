"""Which weights play each role, and who runs them: read off the settings, nothing is opened.

``tuned`` (M_G) and ``reasoning`` (M_R) answer; ``describer`` and ``encoder`` make artifacts ahead. What two roles have
in common is a :class:`Base`, so its weights are loaded once. The encoder always runs in this process, as it is, so
that item vectors are the same whoever runs the models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from backend.engines import models
from backend.engines.config import ServerConfig, VllmConfig
from backend.errors import SettingsError, UnknownNameError
from backend.settings import Settings
from backend.training.config import RECIPES
from backend.types import ModelRef

# The roles that answer.
ROLES = ("tuned", "reasoning")
# The roles that an engine plays; the encoder is none of them.
WRITERS = (*ROLES, "describer")
SCRIPTED = ModelRef("scripted", "1")

Checked = TypeVar("Checked", bound=BaseModel)


@dataclass(frozen=True)
class Base:
    """Base weights (without adapter) and who runs them, at which server if it is one; ``dtype``: how the transformers
    engine holds numbers.
    """

    engine: str
    model: ModelRef
    url: str = ""
    dtype: str = "auto"


@dataclass(frozen=True)
class Role:
    """What plays a role: a base, and the LoRA adapter on top (or None), kept in ``folder`` (None: its name is it)."""

    base: Base
    adapter: str | None = None
    folder: str | None = None

    @property
    def model(self) -> ModelRef:
        """The whole name of what answers, as results are kept under it."""
        return replace(self.base.model, adapter=self.adapter)


def role_of(settings: Settings, role: str) -> Role:
    """Who plays ``tuned``, ``reasoning`` or ``describer``. Raises ``UnknownNameError``.

    An adapter that is tuned here is named by its recipe (``backend.training.config.RECIPES``); which files that means
    is known where the dataset is (``storage.workspace``). The describer takes no adapter and is never quantized: what
    it wrote is kept under its name alone.
    """
    if role == "describer":
        if settings.describer == SCRIPTED.name:
            return Role(Base(SCRIPTED.name, SCRIPTED))
        engine = "transformers" if settings.engine == SCRIPTED.name else settings.engine
        return Role(_base(settings, engine, settings.describer, settings.server_url))
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    engine = getattr(settings, f"{role}_engine") or settings.engine
    adapter = getattr(settings, f"{role}_adapter") or None
    if adapter in RECIPES and engine in (SCRIPTED.name, "openai"):  # no weights of ours to put it on
        adapter = None
    if engine == SCRIPTED.name:
        return Role(Base(engine, SCRIPTED), adapter)
    url = getattr(settings, f"{role}_url") or settings.server_url
    # A server rounds its weights, or does not, when it is started: nothing to ask of it.
    quantized = settings.quantized if engine != "openai" else ""
    base = _base(settings, engine, getattr(settings, f"{role}_model"), url, quantized)
    return Role(replace(base, dtype=settings.dtype) if engine == "transformers" else base, adapter)


def base_of(settings: Settings, role: str) -> ModelRef:
    """The base weights of ``tuned`` or ``reasoning`` as they are tuned: neither rounded nor cut short."""
    return replace(role_of(settings, role).base.model, context=None, quantized=None)


def encoder_of(settings: Settings) -> Base:
    """Who turns item texts into vectors; ``engine`` is the encoder's kind."""
    if settings.encoder == SCRIPTED.name:
        return Base(SCRIPTED.name, SCRIPTED)
    kind = "sentence" if settings.encoder_kind == "sentence" else "transformers"
    return Base(kind, models.resolve(settings.encoder))


def options_of(settings: Settings, engine: str) -> dict[str, Any]:
    """What an engine or encoder of this name is made with, beside its model. Raises ``SettingsError``."""
    models_dir = settings.home / "models"
    options: dict[str, dict[str, Any]] = {
        "transformers": {"models_dir": models_dir, "device": settings.device},
        "sentence": {"device": settings.device},
        "scripted": {"delay": settings.scripted_delay},
    }
    if engine == "vllm":
        return {"models_dir": models_dir, "config": _checked(VllmConfig, settings.vllm, "vllm")}
    if engine == "openai":
        return {"config": _checked(ServerConfig, settings.server, "server")}
    return options.get(engine, {})


def engine_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """The tables of the engines with their defaults filled in, by setting. Raises ``SettingsError``."""
    return {
        "vllm": _checked(VllmConfig, settings.vllm, "vllm").model_dump(mode="json"),
        "server": _checked(ServerConfig, settings.server, "server").model_dump(mode="json"),
    }


def _base(settings: Settings, engine: str, name: str, url: str, quantized: str = "") -> Base:
    model = replace(models.resolve(name), context=settings.context or None, quantized=quantized or None)
    return Base(engine, model, url.rstrip("/") if engine == "openai" else "")


def _checked(config: type[Checked], given: dict[str, Any], table: str) -> Checked:
    try:
        return config.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([table, *map(str, first["loc"])])
        # Where the name of a key's variable is asked for, somebody gives the key: it is not repeated.
        shown = "wrong" if "key" in where else repr(first["input"])
        raise SettingsError(
            f"The setting {where} is {shown}: {first['msg']}",
            expected=f"for {table}: {', '.join(config.model_fields)}",
            fix="see: rallrec settings",
        ) from error
