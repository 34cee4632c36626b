"""The ways in which systems ask: M_G's adapter, the choices of a recipe, and what to run to have the answers cached.

Several systems share a way: RALLRec is M_G's first answer of the full method, Hybrid-Score one of Fig. 8's strategies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from backend.commands import command_line
from backend.engines import makes_up_answers
from backend.representation import VARIANTS
from backend.retrieval import DEFAULT_GAMMA, PAPER_GAMMAS, STRATEGIES
from backend.settings import Settings
from backend.training.config import RECIPES, TuneConfig
from storage.workspace import Workspace

# The injected sentence (eq. 9): M_R is told nothing, or what the paper's wording says.
KNOWLEDGE = ("none", "paper")
# The untuned model gets the paper's template: answers of past items help only a model that was tuned on them.
ZERO_SHOT = {"template": "paper"}
# The paper's gammas, the default first.
GAMMAS = (DEFAULT_GAMMA, *(gamma for gamma in PAPER_GAMMAS if gamma != DEFAULT_GAMMA))


@dataclass(frozen=True)
class Way:
    """``adapter``: M_G's, "" for none. ``recipe``: what differs from the settings. ``every_variant``:
    whether M_G is asked every variant of its prompt; without, there is no sigma_G^2. ``chains``: whether M_R is asked
    too.
    """

    key: str
    adapter: str
    recipe: dict[str, Any] = field(default_factory=dict)
    every_variant: bool = False
    chains: bool = False

    def command(self, settings: Settings, samples: Sequence[str], *, answers_only: bool = False) -> str:
        """The command that asks what is missing, of M_G alone with ``answers_only``. ``samples``: the options that say
        which samples.
        """
        words, chains = [], self.chains and not answers_only
        for name in ("variant", "strategy", "gamma", "k", "knowledge"):
            value = self.recipe.get(name)
            if value is not None and not (name == "knowledge" and not chains):
                words += [f"--{name}", repr(value) if isinstance(value, float) else str(value)]
        words += [] if chains else ["--answers-only"]
        template = {"template": self.recipe["template"]} if "template" in self.recipe else {}
        return command_line(settings, "reason", *words, *samples, tuned_adapter=self.adapter, **template)


def ways_of(settings: Settings, gamma: float | None) -> dict[str, Way]:
    """Every way that tables and figures need, by key. ``gamma`` is the reranker's; None is that of the settings."""
    adapter, plain = own_adapter(settings), {"traces": 0}
    reranked = {"gamma": gamma}
    ways = [
        *(Way(f"full-{wording}", adapter, reranked | {"knowledge": wording}, True, True) for wording in KNOWLEDGE),
        Way("llm", "", ZERO_SHOT | {"strategy": "recent"} | plain),
        Way("llm-retrieval", "", ZERO_SHOT | reranked | plain),
        *(Way(recipe, recipe, tuned_choices(settings, recipe) | plain) for recipe in ("rella", "hybrid")),
        Way("reasoner-recent", adapter, {"strategy": "recent", "knowledge": "none"}, False, True),
        Way("retrieve-then-mix", adapter, {"strategy": "retrieve-then-mix"} | plain),
        *(Way(f"recent-{name}", "recent", reranked | {"strategy": name} | plain) for name in STRATEGIES),
        *(Way(f"by-{name}", adapter, {"strategy": "mix-then-retrieve", "variant": name} | plain) for name in VARIANTS),
    ]
    return {way.key: way for way in ways}


def gamma_ways(settings: Settings, gamma: float | None) -> dict[float, Way]:
    """M_G under each gamma that is tried on validation samples."""
    tried = dict.fromkeys([*GAMMAS, *([gamma] if gamma is not None else [])])
    adapter = own_adapter(settings)
    return {value: Way(f"gamma-{value:.4g}", adapter, {"gamma": value, "traces": 0}) for value in tried}


def own_adapter(settings: Settings) -> str:
    """M_G's adapter in RALLRec: the settings' own where it is not tuned here, else the recipe ``rallrec``."""
    named = settings.tuned_adapter
    return named if named and named not in RECIPES else "rallrec"


def untuned(workspace: Workspace, role: str = "tuned") -> str | None:
    """The command that tunes M_G (or who else plays ``role``) where it is not the tuned model that the settings name;
    None where it is.
    """
    model, named = workspace.model(role), getattr(workspace.settings, f"{role}_adapter")
    if named in RECIPES and model.adapter is None and not makes_up_answers(model.name):
        return command_line(workspace.settings, "tune", "--recipe", named)
    return None


def tuned_choices(settings: Settings, recipe: str) -> dict[str, Any]:
    """The retrieval that an adapter of a recipe was tuned with, such as ReLLa's by text alone."""
    return TuneConfig.model_validate(settings.tune).retrieval(recipe).model_dump()
