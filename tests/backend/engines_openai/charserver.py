"""What vLLM's server answers, in the small: one token per character, commands in angle brackets as one token each."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.backend.engines_openai.badserver import BadReply, BadServer, ServerRequest, as_json, event, refuse

COMMANDS = ("<|start|>", "<|end|>", "<\uff5cUser\uff5c>")
_FIRST_COMMAND = 200_000
END = _FIRST_COMMAND + 1


def tokens_of(text: str) -> list[int]:
    spellings = re.findall("|".join(map(re.escape, COMMANDS)) + "|.", text, re.DOTALL)
    return [_FIRST_COMMAND + COMMANDS.index(one) if one in COMMANDS else ord(one) for one in spellings]


def text_of(tokens: list[int]) -> str:
    """Ids of no token are left out."""
    return "".join(
        COMMANDS[token - _FIRST_COMMAND] if 0 <= token - _FIRST_COMMAND < len(COMMANDS) else chr(token)
        for token in tokens
        if token < _FIRST_COMMAND + len(COMMANDS)
    )


def logprobs(request: ServerRequest, value: Any = -1.0) -> BadReply:
    """The first wanted token has the log probability ``value``, the others -2."""
    tokens = request.body["logprob_token_ids"]
    top = {f"token_id:{token}": -2.0 for token in tokens} | {f"token_id:{tokens[0]}": value}
    return as_json({"choices": [{"index": 0, "text": "Y", "logprobs": {"top_logprobs": [top]}}]})


def spoken(*parts: str, finish: str | None = "stop", **more: Any) -> BadReply:
    """A stream of a chain, each text with its tokens; a command that has no text ends the last."""
    sent = []
    for number, part in enumerate(parts):
        tokens = tokens_of(part)
        last = number == len(parts) - 1
        ended = [END] if last and finish == "stop" else []
        choice = {"index": 0, "text": part, "token_ids": [*tokens, *ended], "finish_reason": finish if last else None}
        sent.append(event({"choices": [choice | more]}))
    return BadReply([*sent, b"data: [DONE]\n\n"], headers={"Content-Type": "text/event-stream"})


def speaks_tokens(
    server: BadServer, complete: Callable[[ServerRequest], BadReply], *, context: int = 400, lossy: bool = False
) -> None:
    """Let ``server`` answer as vLLM does; ``complete`` is its ``/v1/completions``. ``lossy``: text loses its spaces."""
    plain = server._reply

    def reply(request: ServerRequest) -> BadReply:
        body = request.body
        if request.path == "/tokenize":
            text = body.get("prompt")
            if text is None:
                text = "".join(f"<|start|>{turn['role']}\n{turn['content']}<|end|>\n" for turn in body["messages"])
                text += "<|start|>assistant\n"
            tokens = tokens_of(text)
            answer: dict[str, Any] = {"count": len(tokens), "max_model_len": context, "tokens": tokens}
            if body.get("return_token_strs"):
                answer["token_strs"] = [text_of([token]) for token in tokens]
            return as_json(answer)
        if request.path == "/detokenize":
            text = text_of(body["tokens"])
            return as_json({"prompt": text.replace(" ", "") if lossy else text})
        if request.path == "/v1/completions":
            if len(body["prompt"]) + body["max_tokens"] > context:
                return refuse(400, "maximum context length")
            return complete(request)
        return plain(request)

    server._reply = reply  # type: ignore[method-assign]
