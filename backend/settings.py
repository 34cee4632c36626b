"""Every setting, from the environment (``RALLREC_*``), one optional TOML file, or its default.

A setting that is a table (one per stage of ``rallrec precompute``) is a table of the file, a JSON object in its
variable, or one variable per entry: ``RALLREC_DESCRIBE__ITEMS=500``. What a setting means to a stage is checked by that
stage's own model (see ``backend.pipeline.Recipe`` and ``storage.stages.graph``).
"""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from backend.errors import SettingsError

PREFIX = "RALLREC_"
CONFIG_VARIABLE = "RALLREC_CONFIG"
DEFAULT_CONFIG = Path("rallrec.toml")


class Settings(BaseSettings):
    """Frozen. Unknown keys in the file and unknown ``RALLREC_*`` variables are errors, so that a typo is noticed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True, env_ignore_empty=True
    )

    home: Path = Field(Path("var"), description="folder of everything that is generated")
    database_url: str = Field(
        "", description="database; empty: rallrec.db in home", examples=["postgresql+psycopg://host/rallrec"]
    )
    dataset: str = Field("ml-latest-small", description="dataset that is opened first")
    split: Literal["chronological", "per-user"] = Field("chronological", description="how samples are split 80/10/10")

    engine: str = Field("transformers", description="who runs the models: transformers or scripted")
    tuned_model: str = Field("smollm2-135m-instruct", description="M_G: an embedded name, a folder or a hub id")
    reasoning_model: str = Field("smollm2-135m-instruct", description="M_R: an embedded name, a folder or a hub id")
    encoder: str = Field("smollm2-135m-instruct", description="model of the item vectors; scripted for a stand-in")
    encoder_kind: Literal["llm", "sentence"] = Field(
        "llm", description="what the encoder is: a language model, or a sentence-embedding model"
    )
    describer: str = Field(
        "smollm2-135m-instruct", description="model that describes the items; scripted for a stand-in"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the transformers engine runs")
    scripted_delay: float = Field(0.03, ge=0, description="seconds per word of the scripted engine")

    describe: dict[str, Any] = Field({}, description='stage describe, such as {"items": 500}')
    embed: dict[str, Any] = Field({}, description='stage embed, such as {"pooling": "last"}')
    collaborative: dict[str, Any] = Field({}, description="stage collaborative (LightGCN)")
    align: dict[str, Any] = Field({}, description="stage align (projector, eq. 5)")
    mix: dict[str, Any] = Field({}, description='stage mix, such as {"text_dimensions": 128} (PCA)')
    index: dict[str, Any] = Field({}, description='stage index, such as {"kind": "hnsw"}')
    compare: dict[str, Any] = Field({}, description='stage compare (retrieval table), such as {"k": 30}')
    map: dict[str, Any] = Field({}, description="stage map of the item space")

    variant: str = Field("concat+ssl", description="item vectors that are compared: text, id, concat or concat+ssl")
    strategy: str = Field(
        "rerank", description="how past items are chosen: recent, retrieve-then-mix, mix-then-retrieve or rerank"
    )
    k: int = Field(10, description="K: past items in the prompt (the paper: 30)")
    gamma: float = Field(2 / 3, description="gamma: weight of the relevance channel")
    beta: float = Field(1.0, description="beta: how fast the score falls with the rank")
    combine: str = Field("max", description="what an item in both channels keeps: max or sum")
    order: str = Field("rank", description="order of the prompt's history: rank, chronological or relevance")
    knowledge: str = Field("paper", description="wording of the injected sentence: paper, graded or none")
    p_g: str = Field("first", description="P_G: the first history order's answer, or the mean of all: first or mean")
    traces: int = Field(6, description="reasoning chains per sample")
    max_tokens: int = Field(128, description="token limit of a chain")
    temperature: float = Field(0.6, description="sampling temperature of the chains")
    top_p: float = Field(0.95, description="nucleus of the chains")
    seed: int = Field(0, description="seed of everything that is drawn")
    alpha: float = Field(0.1, description="alpha: weight of the reasoning model in the merge")
    epsilon: float = Field(1e-3, description="epsilon: floor under both variances in the merge")

    host: str = Field("127.0.0.1", description="address the app listens on")
    port: int = Field(7860, ge=0, le=65535, description="port the app listens on")

    @property
    def url(self) -> str:
        """The database's URL, the default one filled in."""
        return self.database_url or f"sqlite:///{self.home / 'rallrec.db'}"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())


def load_settings(**overrides: Any) -> Settings:
    """The settings in force; ``overrides`` (None means "not given") win. Raises ``SettingsError`` naming the key."""
    given = {name: value for name, value in overrides.items() if value is not None}
    unknown = sorted(set(_environment()) - set(Settings.model_fields))
    if unknown:
        raise SettingsError(
            f"Unknown environment variable {PREFIX}{unknown[0].upper()}",
            expected="one of " + ", ".join(PREFIX + name.upper() for name in Settings.model_fields),
            fix="unset it, or see: rallrec settings",
        )
    explicit = os.environ.get(CONFIG_VARIABLE)
    if explicit and not Path(explicit).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {explicit}, which is not a file", fix="unset it or mend it")
    try:
        return Settings(**given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "?"
        where = origins(given).get(name, str(_config_file()))
        raise SettingsError(
            f"The setting {name} ({where}) is {first.get('input')!r}: {first['msg']}", fix="see: rallrec settings"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_config_file()} is not valid TOML: {error}") from error


def origins(overrides: dict[str, Any] | None = None) -> dict[str, str]:
    """Where each setting's value comes from: ``option``, an environment variable, the TOML file, or ``default``."""
    file = _config_file()
    in_file = tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}
    found = dict.fromkeys(Settings.model_fields, "default")
    found |= {name: str(file) for name in in_file}
    found |= {name: variable for name, variable in _environment().items() if os.environ[variable]}
    return found | dict.fromkeys(overrides or {}, "option")


def _environment() -> dict[str, str]:
    """Setting name -> variable, for every ``RALLREC_*`` variable but the one that names the file."""
    names = (name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE)
    return {name.upper().removeprefix(PREFIX).lower().partition("__")[0]: name for name in names}


def _config_file() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
