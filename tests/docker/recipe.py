"""The Dockerfile as stages of steps, and what is sent to the builder.

Parsed by BuildKit's own parser (package ``dockerfile``). Only the instructions and options that this project uses are
known; anything else is refused, so that nothing is silently left out.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

import dockerfile

ROOT = Path(__file__).resolve().parents[2]
FLAGS: Mapping[str, frozenset[str]] = {
    "ARG": frozenset(),
    "CMD": frozenset(),
    "COPY": frozenset({"from", "chown"}),
    "ENTRYPOINT": frozenset(),
    "ENV": frozenset(),
    "EXPOSE": frozenset(),
    "HEALTHCHECK": frozenset({"interval", "timeout", "start-period", "retries"}),
    "LABEL": frozenset(),
    "RUN": frozenset(),
    "USER": frozenset(),
    "VOLUME": frozenset(),
    "WORKDIR": frozenset(),
}
_EXEC_FORM = frozenset({"CMD", "ENTRYPOINT", "HEALTHCHECK", "VOLUME"})
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class UnknownStepError(ValueError):
    """The Dockerfile says something that the runner does not know."""


@dataclass(frozen=True)
class Step:
    """One instruction: ``words`` are its values, ``text`` what stands in the file."""

    name: str
    flags: Mapping[str, str]
    words: tuple[str, ...]
    text: str
    line: int


@dataclass(frozen=True)
class Stage:
    """``base``: the name of an earlier stage, or of an image."""

    name: str
    base: str
    steps: tuple[Step, ...]

    def all(self, name: str) -> list[Step]:
        """Its steps with this instruction."""
        return [step for step in self.steps if step.name == name]


def read(path: Path = ROOT / "Dockerfile") -> dict[str, Stage]:
    """Stages by name, in the file's order. Raises ``UnknownStepError`` naming the line."""
    stages: dict[str, Stage] = {}
    for command in dockerfile.parse_file(str(path)):
        if command.cmd == "FROM":
            if len(command.value) != 3 or command.flags or "$" in command.value[0]:
                raise UnknownStepError(f"line {command.start_line}: {command.original}: expected FROM image AS name")
            base, _, name = command.value
            stages[name] = Stage(name, base, ())
        elif not stages:
            raise UnknownStepError(f"line {command.start_line}: {command.original}: expected FROM first")
        else:
            last = stages[next(reversed(stages))]
            stages[last.name] = Stage(last.name, last.base, (*last.steps, _step(command)))
    return stages


def _step(command: dockerfile.Command) -> Step:
    flags = {name: value for name, _, value in (flag.removeprefix("--").partition("=") for flag in command.flags)}
    where = f"line {command.start_line}: {command.original}"
    if command.cmd not in FLAGS or set(flags) - FLAGS[command.cmd] or command.heredocs:
        raise UnknownStepError(f"{where}: expected one of {', '.join(FLAGS)} with options that are known")
    if command.cmd in _EXEC_FORM and not command.json:
        raise UnknownStepError(f'{where}: expected the form ["program", "argument"]')
    if command.cmd == "RUN" and command.json:
        raise UnknownStepError(f"{where}: expected a shell command")
    return Step(command.cmd, flags, tuple(command.value), command.original, command.start_line)


def expand(text: str, known: Mapping[str, str]) -> str:
    """A value as the builder reads it: quotes taken off, ``$NAME`` and ``${NAME}`` filled in."""
    if "'" in text or "\\" in text or re.search(r"\$\{\w+[^\w}]", text):
        raise UnknownStepError(f"{text}: expected double quotes and plain variables only")
    plain = "".join(shlex.split(text)) if text.startswith('"') else text
    return _VARIABLE.sub(lambda match: known.get(match[1] or match[2], ""), plain)


def assignments(step: Step) -> dict[str, str | None]:
    """Names and raw values of ENV, LABEL or ARG; an ARG may have none."""
    if step.name == "ARG":
        pairs = [word.partition("=") for word in step.words]
        return {name: value if equals else None for name, equals, value in pairs}
    return dict(zip(step.words[::2], step.words[1::2], strict=True))


@dataclass(frozen=True)
class Ignored:
    """``.dockerignore``: the last pattern that fits a path, or a folder above it, decides."""

    patterns: tuple[str, ...]

    @classmethod
    def read(cls, path: Path = ROOT / ".dockerignore") -> Ignored:
        lines = (line.strip() for line in path.read_text("utf-8").splitlines())
        patterns = tuple(line for line in lines if line and not line.startswith("#"))
        for pattern in patterns:
            if "**" in pattern.removeprefix("**/") or "/" in pattern.removeprefix("**/") or pattern.startswith("!**"):
                raise UnknownStepError(f".dockerignore: {pattern}: expected NAME, !NAME or **/NAME")
        return cls(patterns)

    def __call__(self, path: PurePosixPath) -> bool:
        ignored = False
        for pattern in self.patterns:
            if pattern.startswith("**/"):
                fits = any(fnmatchcase(part, pattern[3:]) for part in path.parts)
            else:
                fits = fnmatchcase(path.parts[0], pattern.removeprefix("!"))
            if fits:
                ignored = not pattern.startswith("!")
        return ignored

    def sent(self, root: Path = ROOT) -> Iterator[Path]:
        """The files that are sent to the builder, relative to ``root``, sorted."""
        for top in sorted(root.iterdir()):
            if self(PurePosixPath(top.name)):
                continue
            for path in [top] if top.is_file() else sorted(top.rglob("*")):
                place = path.relative_to(root)
                if path.is_file() and not self(PurePosixPath(place)):
                    yield place
