"""Words around numbers: prompts with injected knowledge (sections 4.2.5 and 4.3.2), and verdicts read from text."""

from backend.prompting.knowledge import KNOWLEDGE_WORDINGS, knowledge_sentence
from backend.prompting.person import PERSONS, Person, about_user
from backend.prompting.prompts import (
    HistoryLine,
    Layout,
    Prompt,
    PromptingConfig,
    PromptSubject,
    RatingHabit,
    build_prompt,
    template_digest,
)
from backend.prompting.steps import Step, split_steps
from backend.prompting.verdict import NO_ANSWER, Verdict, read_verdict

__all__ = [
    "KNOWLEDGE_WORDINGS",
    "NO_ANSWER",
    "PERSONS",
    "HistoryLine",
    "Layout",
    "Person",
    "Prompt",
    "PromptSubject",
    "PromptingConfig",
    "RatingHabit",
    "Step",
    "Verdict",
    "about_user",
    "build_prompt",
    "knowledge_sentence",
    "read_verdict",
    "split_steps",
    "template_digest",
]
