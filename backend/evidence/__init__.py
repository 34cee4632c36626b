"""What a user's past and the training part say about a target: numbers, and the lines that tell them in a prompt."""

from backend.evidence.lines import GRADES, EvidenceLine, evidence_lines
from backend.evidence.statistics import STATISTICS, Evidence, EvidenceReader

__all__ = ["GRADES", "STATISTICS", "Evidence", "EvidenceLine", "EvidenceReader", "evidence_lines"]
