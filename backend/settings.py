"""Every setting: from the environment (``RALLREC_*``), one optional TOML file, a model profile, or its default.

The first of these that gives a value wins. The setting ``profile`` says which profile (``backend.profiles``) holds.
An empty variable gives the empty text where that means something (the settings that are empty by default, whose text
says what it means), and no value elsewhere.

A setting that is a table (one per stage of ``rallrec precompute``) is a table of the file, a JSON object in its
variable, or one variable per entry: ``RALLREC_DESCRIBE__ITEMS=500``; entries from several sources are put together.
What a setting means to a stage or an engine is checked by its own model (see ``backend.pipeline.Recipe``,
``storage.precompute.graph`` and ``storage.roles``).
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from backend.errors import SettingsError
from backend.keys import API_KEY_VARIABLE, looks_like_a_key, refuse_keys
from backend.profiles import DEFAULT_PROFILE, Profile, load_profile

PREFIX = "RALLREC_"
CONFIG_VARIABLE = "RALLREC_CONFIG"
DEFAULT_CONFIG = Path("rallrec.toml")
# A server's address, or nothing.
_URL = r"^(https?://\S+)?$"


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
    split: Literal["", "chronological", "per-user", "users"] = Field(
        "", description="how samples are split; empty: by the dataset's own rule (chronological, where it has times)"
    )

    profile: str = Field(
        DEFAULT_PROFILE, description="models and who runs them: a shipped profile's name, or the path of a .toml file"
    )
    engine: str = Field("transformers", description="who runs the models: transformers, vllm, openai or scripted")
    tuned_engine: str = Field("", description="who runs M_G; empty: as engine")
    reasoning_engine: str = Field("", description="who runs M_R; empty: as engine")
    tuned_model: str = Field(
        "smollm2-135m-instruct", description="M_G: an embedded name, a folder, a hub id, or a server's name for it"
    )
    reasoning_model: str = Field(
        "smollm2-135m-instruct", description="M_R: an embedded name, a folder, a hub id, or a server's name for it"
    )
    tuned_adapter: str = Field(
        "",
        description="LoRA adapter of M_G: a recipe of rallrec tune (rallrec, rella, hybrid, recent), a folder, or a "
        "server's name for it; empty: none, M_G is untuned",
    )
    reasoning_adapter: str = Field(
        "",
        description="LoRA adapter of M_R: a recipe (reasoner, the stand-in), a folder, or a server's name for it; "
        "empty: none",
    )
    quantized: str = Field(
        "",
        description="form that M_G and M_R are rounded to: 8bit (transformers, CUDA), or vllm's name for it, such as "
        "fp8; empty: as they are",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="how the transformers engine holds numbers; auto: float32 on a CPU, bfloat16 on an NVIDIA GPU; "
        "results of different types are kept apart",
    )
    context: int = Field(
        0,
        ge=0,
        description="tokens that a prompt and its chain may take; longer prompts lose their oldest items; 0: the "
        "model's own limit",
    )
    server_url: str = Field(
        "http://127.0.0.1:8000/v1", pattern=_URL, min_length=1, description="server that the openai engine asks"
    )
    tuned_url: str = Field("", pattern=_URL, description="server of M_G; empty: as server_url")
    reasoning_url: str = Field("", pattern=_URL, description="server of M_R; empty: as server_url")
    encoder: str = Field("smollm2-135m-instruct", description="model of the item vectors; scripted for a stand-in")
    encoder_kind: Literal["llm", "sentence"] = Field(
        "llm", description="what the encoder is: a language model, or a sentence-embedding model"
    )
    describer: str = Field(
        "smollm2-135m-instruct", description="model that describes the items; scripted for a stand-in"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where the transformers engine runs")
    scripted_delay: float = Field(0.03, ge=0, description="seconds per word of the scripted engine")
    vllm: dict[str, Any] = Field({}, description='the vllm engine, such as {"gpu_memory": 0.42}')
    server: dict[str, Any] = Field({}, description='the openai engine, such as {"timeout": 60}')

    describe: dict[str, Any] = Field({}, description='stage describe, such as {"items": 500}')
    embed: dict[str, Any] = Field({}, description='stage embed, such as {"pooling": "last"}')
    collaborative: dict[str, Any] = Field({}, description="stage collaborative (LightGCN)")
    align: dict[str, Any] = Field({}, description="stage align (projector, eq. 5)")
    mix: dict[str, Any] = Field({}, description='stage mix, such as {"text_dimensions": 128} (PCA)')
    index: dict[str, Any] = Field({}, description='stage index, such as {"kind": "hnsw"}')
    compare: dict[str, Any] = Field({}, description='stage compare (retrieval table), such as {"k": 30}')
    map: dict[str, Any] = Field({}, description="stage map of the item space")

    tune: dict[str, Any] = Field({}, description='tuning of M_G (LoRA), such as {"samples": 512}')
    reasoner: dict[str, Any] = Field({}, description='tuning of the stand-in reasoner, such as {"samples": 512}')
    baselines: dict[str, Any] = Field({}, description="training of DeepFM, xDeepFM, DCN and AutoInt")
    boosting: dict[str, Any] = Field({}, description='trees of Boosting, such as {"rounds": 100}')

    variant: str = Field("concat+ssl", description="item vectors that are compared: text, id, concat or concat+ssl")
    strategy: str = Field(
        "rerank", description="how past items are chosen: recent, retrieve-then-mix, mix-then-retrieve or rerank"
    )
    k: int = Field(10, description="K: past items in the prompt (the paper: 30)")
    gamma: float = Field(2 / 3, description="gamma: weight of the relevance channel")
    beta: float = Field(1.0, description="beta: how fast the score falls with the rank")
    combine: str = Field("max", description="what an item in both channels keeps: max or sum")
    order: str = Field("rank", description="order of the prompt's history: rank, chronological or relevance")
    template: str = Field(
        "paper", description="how prompts write the history: paper; answered or evidence (for small models)"
    )
    other_layout: bool = Field(
        False, description="adapters are asked in another layout (template) than the one they were tuned on"
    )
    knowledge: str = Field("paper", description="wording of the injected sentence: paper, graded or none")
    p_g: str = Field("first", description="P_G: the first history order's answer, or the mean of all: first or mean")
    spread: str = Field(
        "orders", description="sigma_G^2 is the variance of M_G's answers over: orders, left-out past items, or gamma"
    )
    p_r_temperature: float = Field(1.0, description="the logit of each chain's P(yes) is divided by it")
    calibration: Literal["none", "temperature"] = Field(
        "none", description="temperature: P_G is scaled by what was fitted on validation samples when M_G was tuned"
    )
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

    @property
    def models_dir(self) -> Path:
        """The folder of the models that are fetched."""
        return self.home / "models"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        emptied = InitSettingsSource(settings_cls, dict.fromkeys(_emptied(), ""))
        given = init_settings, emptied, env_settings, TomlConfigSettingsSource(settings_cls, _config_file())
        profile = read_profile(_chosen_profile(*(source() for source in given)))
        return *given, InitSettingsSource(settings_cls, profile.settings)


def read_profile(name: str) -> Profile:
    """A profile by its name or path. Raises ``SettingsError`` and ``UnknownNameError``."""
    return load_profile(name, Settings.model_fields)


def load_settings(**overrides: Any) -> Settings:
    """Returns the settings in force; ``overrides`` (None: "not given") win. Raises ``SettingsError`` naming the key."""
    given = {name: value for name, value in overrides.items() if value is not None}
    _check_environment()
    try:
        refuse_keys(_in_file(), str(_config_file()))
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
    except SourceError as error:
        raise SettingsError(
            f"A {PREFIX}* variable cannot be read: {error}", expected="a JSON object for a table"
        ) from error


def origins(overrides: dict[str, Any] | None = None) -> dict[str, str]:
    """Returns where each setting's value comes from.

    ``option``, an environment variable's name, the TOML file, ``profile`` and its name, or ``default``.
    """
    given = {name: value for name, value in (overrides or {}).items() if value is not None}
    in_file = _in_file()
    emptied = _emptied()
    in_environment = {
        name: variable for name, variable in _environment().items() if os.environ[variable] or name in emptied
    }
    values = {name: os.environ[variable] for name, variable in in_environment.items()}
    profile = _chosen_profile(given, values, in_file)
    sources = dict.fromkeys(Settings.model_fields, "default")
    sources |= dict.fromkeys(read_profile(profile).settings, f"profile {profile}")
    sources |= dict.fromkeys(in_file, str(_config_file()))
    return sources | in_environment | dict.fromkeys(given, "option")


def _chosen_profile(*sources: Mapping[str, Any]) -> str:
    """Returns the profile that holds: the first source that names one wins. What is no text is refused later."""
    named = next((source["profile"] for source in sources if source.get("profile")), DEFAULT_PROFILE)
    return named if isinstance(named, str) else DEFAULT_PROFILE


def _emptied() -> list[str]:
    """Returns the settings that an empty variable empties, whatever the file and the profile say."""
    return [
        name
        for name, variable in _environment().items()
        if not os.environ[variable] and name in Settings.model_fields and Settings.model_fields[name].default == ""
    ]


def _check_environment() -> None:
    """Raise ``SettingsError`` for a ``RALLREC_*`` variable that is no setting, or a file that is not there."""
    unknown = sorted(_environment().keys() - Settings.model_fields.keys())
    if unknown and looks_like_a_key(unknown[0]):
        raise SettingsError(
            f"{PREFIX}{unknown[0].upper()} is set, and no setting holds a key", fix=f"set {API_KEY_VARIABLE} instead"
        )
    if unknown:
        raise SettingsError(
            f"Unknown environment variable {PREFIX}{unknown[0].upper()}",
            expected="one of " + ", ".join(PREFIX + name.upper() for name in Settings.model_fields),
            fix="unset it, or see: rallrec settings",
        )
    explicit = os.environ.get(CONFIG_VARIABLE)
    if explicit and not Path(explicit).is_file():
        raise SettingsError(f"{CONFIG_VARIABLE} names {explicit}, which is not a file", fix="unset it or mend it")


def _in_file() -> dict[str, Any]:
    """Returns what the TOML file says; nothing where there is no file."""
    file = _config_file()
    return tomllib.loads(file.read_text("utf-8")) if file.is_file() else {}


def _environment() -> dict[str, str]:
    """Returns setting -> variable, for every ``RALLREC_*`` variable but the one that names the file."""
    names = (name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() != CONFIG_VARIABLE)
    return {name.upper().removeprefix(PREFIX).lower().partition("__")[0]: name for name in names}


def _config_file() -> Path:
    return Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
