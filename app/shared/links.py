"""What a Predict page is asked, spelled for elsewhere: as an address, as a command."""

from __future__ import annotations

import shlex
from urllib.parse import urlencode

from app.predict.view import Request


def address_of(request: Request) -> str:
    """The query of the page's address that shows this."""
    values = {name: f"{value:.12g}" if isinstance(value, float) else value for name, value in vars(request).items()}
    return urlencode({name: value for name, value in values.items() if value != ""})


def command_line(request: Request, dataset: str) -> str:
    """The command that predicts the same, safe to paste into a shell."""
    r = request
    words = {
        "dataset": dataset, "user": r.user, "item": r.item, "variant": r.variant, "strategy": r.strategy,
        "gamma": f"{r.gamma:.12g}", "beta": f"{r.beta:.12g}", "k": r.k, "knowledge": r.knowledge, "traces": r.traces,
        "max-tokens": r.max_tokens, "seed": r.seed, "alpha": f"{r.alpha:.12g}", "epsilon": f"{r.epsilon:.12g}",
    }  # fmt: skip
    options = (f"--{name} {shlex.quote(str(value))}" for name, value in words.items())
    return f"rallrec predict {' '.join(options)} --json"
