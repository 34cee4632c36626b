"""Loading a model's tokenizer, and trying it out: one that loses what a text says makes every number after it wrong.

The one place where tokenizers are loaded, for every engine and for training. Importing this is light.
"""

from __future__ import annotations

from typing import Any

from backend.errors import EngineError

# Spaces, indentation, line breaks and accents: what a tokenizer that is loaded as another kind than it is loses.
_PROBE = "The user liked Amélie and 2 films.\n\n- Yes,  they did.\n"


def load_tokenizer(source: str, name: str, **options: Any) -> Any:
    """Returns the tokenizer of a folder or hub id (``source``), tried out: see :func:`as_saved`."""
    from transformers import AutoTokenizer

    return as_saved(AutoTokenizer.from_pretrained(source, **options), source, name, **options)


def as_saved(tokenizer: Any, source: str, name: str, **options: Any) -> Any:
    """Returns the ``tokenizer`` that was loaded from ``source``, or another one where it loses what a text says.

    Some folders name another class than the tokenizer is of, which then loses the spaces of every text; such a one is
    loaded anew from its ``tokenizer.json``, which says itself what it is. ``name``: what the model is called;
    ``options``: as ``from_pretrained`` takes them. Raises ``EngineError`` for one that loses something all the same.
    """
    from transformers import PreTrainedTokenizerFast

    said = _given_back(tokenizer)
    if said == _PROBE:
        return tokenizer
    try:
        other = PreTrainedTokenizerFast.from_pretrained(source, **options)
    except Exception:  # there is no tokenizer.json, so nothing says what it really is
        other = None
    if other is not None and _given_back(other) == _PROBE:
        return other
    raise EngineError(
        f"The tokenizer of {name!r} ({type(tokenizer).__name__}) does not give back what it was given: "
        f"{_PROBE!r} came back as {said!r}",
        expected="a tokenizer that keeps spaces, line breaks and accents",
        fix="correct tokenizer_class in its tokenizer_config.json, or fetch the tokenizer anew",
    )


def check_words_apart(tokenizer: Any, name: str) -> None:
    """Raise ``EngineError`` for a tokenizer that runs words together.

    This is all that can be asked of one that encodes texts alone: such a one may well leave out cases, accents and
    line breaks on purpose.
    """
    words = "the user liked two films"
    ids = tokenizer(words, add_special_tokens=False)["input_ids"]
    said = str(tokenizer.decode(ids))
    if len(said.split()) < len(words.split()):
        raise EngineError(
            f"The tokenizer of {name!r} ({type(tokenizer).__name__}) runs words together: {words!r} became {said!r}",
            expected="a tokenizer that keeps words apart",
            fix="correct tokenizer_class in its tokenizer_config.json",
        )


def _given_back(tokenizer: Any) -> str:
    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False).input_ids
        return found

    # Where an accent is the same to it as any other strange character, it knows neither: that is what it is.
    knows_accents = ids("é") != ids("\u2603")
    said = str(tokenizer.decode(ids(_PROBE if knows_accents else _PROBE.replace("é", "e"))))
    said = said.removeprefix(" ")  # which some put before a text's first word
    return said if knows_accents or not ids("é") else said.replace("Amelie", "Amélie")
