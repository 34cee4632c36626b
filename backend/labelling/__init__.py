"""What people say of reasoning chains: the rubric, a judgement, the row that keeps it, agreement, and exports."""

from backend.labelling.judgement import Judgement, Problem, StepJudgement, missing
from backend.labelling.project import ChainFilter, Project
from backend.labelling.record import Account, Chain, Label, PastItem, Setting, Version
from backend.labelling.rubric import RUBRICS, Rubric, rubric

__all__ = [
    "RUBRICS",
    "Account",
    "Chain",
    "ChainFilter",
    "Judgement",
    "Label",
    "PastItem",
    "Problem",
    "Project",
    "Rubric",
    "Setting",
    "StepJudgement",
    "Version",
    "missing",
    "rubric",
]
