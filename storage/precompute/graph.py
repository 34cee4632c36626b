"""The stages as a graph: which artifact is made from which, and the recipe that names each one.

Recipes follow from the data and the settings alone, so a plan can be drawn before anything is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel, ValidationError

from backend.baselines import BOOSTING, NETWORKS, BoostingConfig, NetworkConfig
from backend.datasets import DatasetMeta
from backend.errors import SettingsError, UnknownNameError
from backend.prompting import template_digest
from backend.representation import title_template
from backend.representation.collaborative import CollaborativeConfig
from backend.representation.descriptions import DescribeConfig, describe_template, fixed_template
from backend.representation.flat import FlatConfig
from backend.representation.projector import AlignConfig
from backend.retrieval.index import IndexConfig
from backend.settings import Settings
from backend.training.config import EXPERTS, ReasonerConfig, TuneConfig
from backend.types import ModelRef
from storage.precompute import baselines, compare, describe, embed, index, mix, train, tune
from storage.precompute.artifacts import recipe_hash
from storage.precompute.job import Stage

# In the order in which they run: every stage comes after its inputs.
STAGES = (
    Stage(
        "descriptions", "describe", 1, describe.make, DescribeConfig,
        table="describe", role="describer", seeded=True,
    ),
    Stage("title-vectors", "embed", 2, embed.make_titles, embed.EmbedConfig, table="embed", role="encoder"),
    Stage(
        "description-vectors", "embed", 2, embed.make_descriptions, embed.EmbedConfig, ("descriptions",),
        table="embed", role="encoder",
    ),
    Stage(
        "collaborative", "collaborative", 1, train.make_collaborative, CollaborativeConfig,
        table="collaborative", seeded=True, split=True,
    ),
    Stage(
        "aligned", "align", 1, train.make_aligned, AlignConfig,
        ("title-vectors", "description-vectors", "collaborative"), table="align", seeded=True,
    ),
    Stage(
        "space", "mix", 1, mix.make, mix.MixConfig,
        ("title-vectors", "description-vectors", "collaborative", "aligned"), table="mix", quick=True,
    ),
    Stage("index", "index", 1, index.make, IndexConfig, ("space",), table="index", seeded=True, quick=True),
    Stage(
        "retrieval-report", "compare", 1, compare.make, compare.CompareConfig, ("space",),
        table="compare", split=True,
    ),
    Stage("map", "map", 1, mix.make_map, FlatConfig, ("space",), table="map", seeded=True),
    *(
        Stage(
            name.lower(), "baselines", 2, partial(baselines.make, name=name), NetworkConfig, ("collaborative",),
            table="baselines", seeded=True, split=True, extra=True,
        )
        for name in NETWORKS
    ),
    Stage(
        BOOSTING.lower(), "baselines", 1, baselines.make_boosting, BoostingConfig, ("collaborative",),
        table="boosting", seeded=True, split=True, extra=True,
    ),
    *(
        Stage(
            recipe, f"tune-{recipe}", 1, partial(tune.make_expert, recipe=recipe), TuneConfig, ("space",),
            table="tune", role="tuned", seeded=True, split=True, extra=True,
        )
        for recipe in EXPERTS
    ),
    Stage(
        "reasoner", "tune-reasoner", 2, tune.make_reasoner, ReasonerConfig, ("space",),
        table="reasoner", role="reasoning", seeded=True, split=True, extra=True,
    ),
)  # fmt: skip
# Fields that came later, and what held before they came: at that value a field is left out of recipes, so that what was
# made before keeps its name.
_BEFORE = {"counted": "all", "prompts": "rerank", "teacher": 0.0, "fewer": 0.0, "composed": "label", "noise": 0.7}
STAGE_NAMES = tuple(dict.fromkeys(stage.name for stage in STAGES))


@dataclass(frozen=True)
class Node:
    """A stage as it applies to one dataset under some settings; ``recipe`` names its artifact."""

    stage: Stage
    config: BaseModel
    recipe: dict[str, Any]
    model: ModelRef | None


def build_graph(meta: DatasetMeta, settings: Settings, models: Mapping[str, ModelRef]) -> dict[str, Node]:
    """Kind -> node, in the order in which they run. ``models``: which weights play each role that a stage names.

    Raises ``SettingsError`` naming the setting that a stage does not take.
    """
    nodes: dict[str, Node] = {}
    for stage in STAGES:
        config, model = _config(stage, settings), models[stage.role] if stage.role else None
        recipe: dict[str, Any] = {
            "stage": stage.name,
            "code": stage.version,
            "data": {"name": meta.name, "hash": meta.data_hash},
            "config": _said(config),
            "inputs": {kind: recipe_hash(nodes[kind].recipe) for kind in stage.inputs},
        }
        if model:
            recipe["model"] = {"name": model.name, "revision": model.revision, "adapter": model.adapter}
            if stage.role == "encoder" and settings.encoder_kind != "llm":
                recipe["model"]["kind"] = settings.encoder_kind
        if stage.seeded:
            recipe["seed"] = settings.seed
        if stage.split or getattr(config, "counted", "") == "train":
            recipe["split"] = settings.split or meta.rules.split
        wording = _wording(stage, meta, config)
        if wording:
            recipe["text"] = wording
        nodes[stage.kind] = Node(stage, config, recipe, model)
    return nodes


def kinds_until(name: str | None) -> list[str]:
    """Kinds of the artifacts that the stage ``name`` needs and makes (None: of all but the extra ones).

    Raises ``UnknownNameError``.
    """
    if name is None:
        return [stage.kind for stage in STAGES if not stage.extra]
    if name not in STAGE_NAMES:
        raise UnknownNameError("stage", name, STAGE_NAMES)
    needed: set[str] = set()
    for stage in reversed(STAGES):
        if stage.name == name or stage.kind in needed:
            needed |= {stage.kind, *stage.inputs}
    return [stage.kind for stage in STAGES if stage.kind in needed]


def effective_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """Every stage's settings with the defaults filled in, by table. Raises ``SettingsError``."""
    return {stage.table: _config(stage, settings).model_dump() for stage in STAGES}


def _config(stage: Stage, settings: Settings) -> BaseModel:
    try:
        return stage.config.model_validate(getattr(settings, stage.table))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([stage.table, *map(str, first["loc"])])
        raise SettingsError(
            f"The setting {where} is {first['input']!r}: {first['msg']}",
            expected=f"for {stage.table}: {', '.join(stage.config.model_fields)}",
        ) from error


def _said(config: BaseModel) -> dict[str, Any]:
    """A stage's settings as its recipe has them."""
    return {
        name: value
        for name, value in config.model_dump(mode="json").items()
        if name not in _BEFORE or value != _BEFORE[name]
    }


def _wording(stage: Stage, meta: DatasetMeta, config: BaseModel) -> list[str]:
    """The fixed texts that an artifact depends on."""
    if stage.kind == "descriptions":
        return [describe_template(meta), fixed_template(meta)]
    if stage.extra and stage.role:
        return [template_digest(meta.domain, getattr(config, "template", "paper"))]
    return [title_template(meta)] if stage.kind == "title-vectors" else []
