"""What can be set about a tuning run. The defaults are the paper's (section 5.1); profiles give smaller ones."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from backend.engines.models import TUNED
from backend.prompting import Layout
from backend.retrieval import DEFAULT_GAMMA, RetrievalConfig

# What an adapter that is tuned here is called in settings, commands and the store.
RECIPES = tuple(TUNED)
# Those of M_G; the other one is the stand-in for M_R.
EXPERTS = tuple(recipe for recipe in RECIPES if recipe != "reasoner")


class LoraSettings(BaseModel):
    """The adapter and its training, whatever it learns.

    ``rank``, ``lora_alpha``, ``dropout``, ``targets``: LoRA's own. ``layers``: only the last so many layers carry an
    adapter (0: all); nothing is propagated back below them. ``learning_rate`` is reached after ``warmup`` (a share of
    all steps) and falls to 0 along a cosine. ``batch_size`` prompts make a step, ``side_by_side`` of them in one pass.
    ``base``: how the frozen weights are held: ``8bit`` (CUDA), ``bfloat16``, ``float32``; ``auto`` is 8bit on CUDA and
    float32 on a CPU, as results are read there (most CPUs are several times slower in bfloat16). ``rounds``: after each
    of so many equal parts of the training it is scored and can be resumed; without a better score for ``patience`` of
    them it ends, and the best round's weights are kept.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    rank: int = Field(8, ge=1, le=512)
    lora_alpha: float = Field(16, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    targets: tuple[str, ...] = ("q_proj", "v_proj")
    layers: int = Field(0, ge=0)
    learning_rate: float = Field(3e-4, gt=0, le=1)
    warmup: float = Field(0.05, ge=0, lt=1)
    epochs: int = Field(5, ge=1)
    batch_size: int = Field(256, ge=1)
    side_by_side: int = Field(4, ge=1)
    base: Literal["auto", "8bit", "bfloat16", "float32"] = "auto"
    samples: int = Field(8192, ge=1)
    held_out: int = Field(512, ge=1)
    rounds: int = Field(10, ge=1)
    patience: int = Field(3, ge=1)


class TuneConfig(LoraSettings):
    """The tuned expert M_G.

    ``samples``: training samples, drawn; each enters with ``orders`` of the three history orders (the augmentation of
    section 4.2.5). ``held_out``: validation samples whose log loss decides when to stop. ``prompts``: who chooses the
    past items that RALLRec's M_G learns on: similarity alone, as in section 4.2.5 and the caption of Table 6, or the
    reranker, which the paper keeps for inference. ``k``, ``gamma``, ``beta``, ``template``: how they are built.
    ``loss``: on the one ``answer``, or on ``every-answer`` of a history written with its own answers (template
    ``answered``), where the last one counts ``last_weight`` times. ``teacher``: share of the teacher's probability
    (:mod:`backend.training.teacher`) in what the answer is learned towards, the rest is the label; 0, the paper's, is
    the label alone. ``fewer``: share of the prompts that show fewer past items, the lesser of two numbers drawn below
    ``k``: they are read faster, and the model learns not to need all.
    """

    orders: int = Field(3, ge=1, le=3)
    prompts: Literal["mix-then-retrieve", "rerank"] = "mix-then-retrieve"
    k: int = Field(30, ge=1, le=100)
    gamma: float = Field(DEFAULT_GAMMA, ge=0, le=1)
    beta: float = Field(1.0, ge=0, le=10)
    template: Layout = "paper"
    loss: Literal["answer", "every-answer"] = "answer"
    last_weight: float = Field(1.0, gt=0)
    teacher: float = Field(0.0, ge=0, le=1)
    fewer: float = Field(0.0, ge=0, le=1)

    def retrieval(self, recipe: str) -> RetrievalConfig:
        """How the past items of a recipe's prompts are chosen: for ``rella`` by text alone, for ``hybrid`` half by text
        and half by collaborative similarity, for ``recent`` the latest ones; else as ``prompts`` says.
        """
        if recipe == "rella":
            return RetrievalConfig(k=self.k, variant="text", strategy="mix-then-retrieve")
        if recipe == "hybrid":
            return RetrievalConfig(k=self.k, strategy="retrieve-then-mix")
        if recipe == "recent":
            return RetrievalConfig(k=self.k, strategy="recent")
        if self.prompts == "rerank":
            return RetrievalConfig(k=self.k, gamma=self.gamma, beta=self.beta)
        return RetrievalConfig(k=self.k, strategy=self.prompts)


class ReasonerConfig(TuneConfig):
    """The stand-in for M_R, tuned on composed rationales. ``composed``: from the ``evidence`` to a verdict
    (:mod:`backend.training.arguments`; the layout is ``evidence`` too), with an answer behind each that is as likely as
    the teacher says by what the rationale cites; or for the known ``label`` (:mod:`backend.training.rationales`).

    ``rationales``: so many are composed for each sample and learned beside each other, the prompt read once.
    ``hints``: share of the prompts that have an injected sentence. It says what the teacher would with so much
    ``noise`` (a standard deviation) on its logit, about as right as M_G; for labels it says the opposite of
    :func:`storage.precompute.tune.plain_guess` in a share ``doubt`` of them. ``held_out`` samples are of the training
    part too: nothing of validation or test is seen. It learns on the prompts that it is asked with: ``rerank``.
    """

    prompts: Literal["mix-then-retrieve", "rerank"] = "rerank"
    template: Layout = "evidence"
    composed: Literal["evidence", "label"] = "evidence"
    rationales: int = Field(4, ge=1, le=32)
    hints: float = Field(0.5, ge=0, le=1)
    noise: float = Field(0.7, ge=0, le=10)
    doubt: float = Field(0.2, ge=0, le=1)
