"""Which weights play each role, and who runs them: read off the settings, nothing is opened.

``tuned`` (M_G) and ``reasoning`` (M_R) answer; ``describer`` and ``encoder`` make artifacts ahead. What two roles have
in common is a :class:`BaseWeights`, which is loaded once. The encoder always runs in this process, as it is, so that
item vectors are the same whoever runs the models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from backend.engines import ENCODERS, ENGINES, SCRIPTED, EngineRecord, makes_up_answers, models, record_of
from backend.engines.chat import READING
from backend.errors import SettingsError, UnknownNameError
from backend.settings import Settings
from backend.training.config import RECIPES
from backend.types import ModelRef
from storage.doctor.findings import has_gpu

# The roles that answer.
ROLES = ("tuned", "reasoning")
# The roles that an engine plays; the encoder is none of them.
WRITERS = (*ROLES, "describer")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class BaseWeights:
    """Base weights (without adapter) and who runs them, at which server if it is one."""

    engine: str
    model: ModelRef
    url: str = ""


@dataclass(frozen=True)
class Role:
    """What plays a role: a base, and the LoRA adapter on top, if any. It is in ``folder``, or where its name says."""

    base: BaseWeights
    adapter: str | None = None
    folder: str | None = None

    @property
    def model(self) -> ModelRef:
        """The whole reference of what answers; results are kept under it."""
        return replace(self.base.model, adapter=self.adapter)


def role_of(settings: Settings, role: str) -> Role:
    """Returns who plays ``tuned``, ``reasoning`` or ``describer``. Raises ``UnknownNameError``.

    An adapter that is tuned here is named by its recipe (``backend.training.config.RECIPES``); which files that means
    is known where the dataset is (``storage.workspace``). The describer takes no adapter and is never quantized: what
    it wrote is kept under its name alone.
    """
    if role == "describer":
        if makes_up_answers(settings.describer):
            return Role(BaseWeights(SCRIPTED.name, SCRIPTED))
        # Descriptions are made up only where that is asked for.
        made_up = record_of(settings.engine).makes_up_answers
        engine = Settings.model_fields["engine"].default if made_up else settings.engine
        return Role(_base(settings, engine, settings.describer, settings.server_url, answers=False))
    if role not in ROLES:
        raise UnknownNameError("role", role, ROLES)
    engine = getattr(settings, f"{role}_engine") or settings.engine
    record = record_of(engine)
    adapter = getattr(settings, f"{role}_adapter") or None
    if adapter in RECIPES and not record.loads_weights:  # no weights of ours to put it on
        adapter = None
    if record.makes_up_answers:
        return Role(BaseWeights(engine, SCRIPTED), adapter)
    url = getattr(settings, f"{role}_url") or settings.server_url
    return Role(_base(settings, engine, getattr(settings, f"{role}_model"), url), adapter)


def base_of(settings: Settings, role: str) -> ModelRef:
    """Returns the base weights of ``tuned`` or ``reasoning`` as they are tuned: neither rounded nor cut short."""
    model = role_of(settings, role).base.model
    return ModelRef(model.name, model.revision)


def encoder_of(settings: Settings) -> BaseWeights:
    """Returns who turns item texts into vectors; its ``engine`` is the encoder's name."""
    if makes_up_answers(settings.encoder):
        return BaseWeights(SCRIPTED.name, SCRIPTED)
    name = next(name for name, record in ENCODERS.items() if record.encodes == settings.encoder_kind)
    return BaseWeights(name, _held(models.resolve(settings.encoder), _as_stored(settings, name)))


def options_of(settings: Settings, engine: str) -> dict[str, Any]:
    """Returns what an engine or encoder of this name is made with, whatever its model. Raises ``SettingsError``."""
    record = record_of(engine)
    options = {argument: getattr(settings, setting) for argument, setting in record.options.items()}
    return options | ({"config": _checked(settings, record)} if record.config else {})


def made_with(settings: Settings, base: BaseWeights) -> dict[str, Any]:
    """Returns all that the engine or encoder of these weights is made with. Raises ``SettingsError``."""
    record = record_of(base.engine)
    options = {"model": base.model, **options_of(settings, base.engine)}
    return options | ({"url": base.url} if record.is_remote else {})


def engine_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """Returns the tables of the engines with their defaults filled in, by setting. Raises ``SettingsError``."""
    records = [record for record in ENGINES.values() if record.config]
    return {record.table: _checked(settings, record).model_dump(mode="json") for record in records}


def _base(settings: Settings, engine: str, name: str, url: str, *, answers: bool = True) -> BaseWeights:
    """``answers``: whether what it says is kept as results, so that all that these depend on has to be known."""
    record, model = record_of(engine), replace(models.resolve(name), context=settings.context or None)
    if record.is_remote:
        # A server rounds its weights, or does not, when it is started: nothing to ask of it.
        config = _checked(settings, record)
        identity, revision = (getattr(config, name) for name in ("identity", "revision"))
        model = replace(
            model, revision=revision or model.revision, reading=READING, server=identity or server_name(url)
        )
        return BaseWeights(engine, model, url.rstrip("/"))
    if not answers:
        return BaseWeights(engine, _held(model, _as_stored(settings, engine)))
    model = replace(model, quantized=settings.quantized or None)
    return BaseWeights(engine, _held(model, _precision(settings, record)))


def server_name(url: str) -> str:
    """Returns what tells a server from others: its host and port, and what of its path is not everywhere the same."""
    parts = urlsplit(url.strip())
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:  # the engine says what is wrong with the address
        return url
    return f"{parts.hostname or ''}:{port}{parts.path.rstrip('/').removesuffix('/v1')}"


def _held(model: ModelRef, precision: str | None) -> ModelRef:
    return replace(model, precision=precision, reading=READING) if precision else model


def _precision(settings: Settings, record: EngineRecord) -> str:
    """Returns the type that an engine holds the numbers of M_G and M_R in, which is known before they are loaded."""
    dtype = getattr(_checked(settings, record), "dtype", "auto") if record.config else settings.dtype
    return str(dtype) if dtype != "auto" else "bfloat16" if _on_gpu(settings, record) else "float32"


def _as_stored(settings: Settings, engine: str) -> str | None:
    """Returns the type of what makes artifacts: on a CPU float32, on a GPU what its weights are stored in (None). The
    setting ``dtype`` is not for it; the table of an engine is.
    """
    record = record_of(engine)
    if record.config:
        return _precision(settings, record)
    return "float32" if record.takes_dtype and not _on_gpu(settings, record) else None


def _on_gpu(settings: Settings, record: EngineRecord) -> bool:
    return settings.device == "cuda" or ((settings.device == "auto" or not record.takes_dtype) and has_gpu())


def _checked(settings: Settings, record: EngineRecord) -> BaseModel:
    """Returns the options of an engine, from its table among the settings. Raises ``SettingsError``."""
    assert record.config is not None
    config, table = record.config, record.table
    try:
        return config.model_validate(getattr(settings, table))
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
