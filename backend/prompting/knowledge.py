"""Equation 9: the tuned model's prediction as a sentence for the reasoning model."""

from __future__ import annotations

from backend.errors import UnknownNameError

KNOWLEDGE_WORDINGS = ("paper", "graded", "none")


def knowledge_sentence(p_g: float, wording: str = "paper") -> str | None:
    """``k_G`` in words; None for the wording ``none``.

    ``paper``: "Another one think the answer might be Yes." (or No; Yes where ``p_g`` > 0.5). ``graded``: the verb
    follows how far ``p_g`` is from 0.5: more than 0.2 "is", more than 0.1 "may be", else "might be".
    """
    if wording == "none":
        return None
    if wording == "paper":
        verb = "might be"
    elif wording == "graded":
        # Rounded, so that 0.7 counts as 0.2 away although 0.7 - 0.5 is a hair less or more in binary.
        distance = round(abs(p_g - 0.5), 12)
        verb = "is" if distance > 0.2 else "may be" if distance > 0.1 else "might be"
    else:
        raise UnknownNameError("knowledge wording", wording, KNOWLEDGE_WORDINGS)
    return f"Another one think the answer {verb} {'Yes' if p_g > 0.5 else 'No'}."
