"""What people say of reasoning chains: the rubric, a judgement, the row that keeps it, agreement, and exports."""

from backend.labelling.judgement import Judgement, Problem, StepJudgement, missing
from backend.labelling.project import ChainFilter, Project
from backend.labelling.record import Account, ChainRecord, Label, Setting, ShownItem, Version
from backend.labelling.rubric import RUBRICS, Rubric, rubric

__all__ = [
    "RUBRICS",
    "Account",
    "ChainFilter",
    "ChainRecord",
    "Judgement",
    "Label",
    "Problem",
    "Project",
    "Rubric",
    "Setting",
    "ShownItem",
    "StepJudgement",
    "Version",
    "missing",
    "rubric",
]
