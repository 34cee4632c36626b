"""Options that commands share, in words alone."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Report as one JSON object on standard output.")]
