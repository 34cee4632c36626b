"""Carries out the steps of a stage as an image builder would: one layer a step, kept while nothing that it depends on
changes."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from tests.docker.recipe import Ignored, Stage, Step, UnknownStepError, assignments, expand
from tests.docker.roots import Bind, mounted, size, stand_in

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
Layer = tuple[str, int, float]


@dataclass(frozen=True)
class Image:
    """What a stage ends in. ``made``: (instruction, bytes, seconds) of each layer over the base image."""

    layers: tuple[Path, ...]
    key: str
    env: Mapping[str, str] = field(default_factory=lambda: {"PATH": PATH})
    args: Mapping[str, str] = field(default_factory=dict)
    workdir: str = "/"
    user: str = "0:0"
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    healthcheck: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    made: tuple[Layer, ...] = ()


class Builder:
    """``build_args``: values of ARGs; ``build_env``, ``binds``: what only build steps see, such as pip's settings."""

    def __init__(
        self,
        stages: Mapping[str, Stage],
        context: Path,
        scratch: Path,
        build_args: Mapping[str, str],
        build_env: Mapping[str, str],
        binds: Sequence[Bind],
        tell: Callable[[str], None],
    ) -> None:
        self._stages, self._context, self._scratch = stages, context, scratch
        self._build_args, self._build_env, self._binds, self._tell = build_args, build_env, binds, tell
        self._sent = list(Ignored.read(context / ".dockerignore").sent(context))
        self._done: dict[str, Image] = {}

    def build(self, name: str) -> Image:
        """Build a stage and those that it needs."""
        if name not in self._done:
            stage = self._stages[name]
            if stage.base in self._stages:
                image = replace(self.build(stage.base), args={})
            else:
                self._tell(f"{name}: a Debian root stands in for {stage.base}")
                image = Image((stand_in(stage.base, self._scratch),), stage.base)
            for step in stage.steps:
                image = self._apply(name, image, step)
            self._done[name] = image
        return self._done[name]

    def _apply(self, stage: str, image: Image, step: Step) -> Image:
        known = {**image.args, **image.env}
        match step.name:
            case "RUN":
                return self._layer(stage, image, step, "", lambda root: self._run(root, image, step.words[0]))
            case "COPY":
                digest, copy = self._copy(image, step, known)
                return self._layer(stage, image, step, digest, copy)
            case "WORKDIR":
                place = str(PurePosixPath(image.workdir, expand(step.words[0], known)))
                made = self._layer(
                    stage, image, step, "", lambda root: (root / place[1:]).mkdir(parents=True, exist_ok=True)
                )
                return replace(made, workdir=place)
            case "ENV":
                values = {key: expand(value or "", known) for key, value in assignments(step).items()}
                return replace(image, env={**image.env, **values})
            case "ARG":
                given = {
                    key: self._build_args.get(key, expand(value or "", known))
                    for key, value in assignments(step).items()
                }
                return replace(image, args={**image.args, **given})
            case "USER":
                return replace(image, user=expand(step.words[0], known))
            case "ENTRYPOINT":
                return replace(image, entrypoint=step.words, cmd=())
            case "CMD":
                return replace(image, cmd=step.words)
            case "HEALTHCHECK":
                return replace(image, healthcheck=step.words[1:])
            case "VOLUME":
                return replace(image, volumes=(*image.volumes, *step.words))
            case "EXPOSE" | "LABEL":
                return image
        raise UnknownStepError(f"line {step.line}: {step.text}")

    def _layer(self, stage: str, image: Image, step: Step, digest: str, make: Callable[[Path], None]) -> Image:
        told = json.dumps([image.key, step.text, digest, dict(image.env), dict(image.args), image.workdir])
        key = hashlib.sha256(told.encode()).hexdigest()[:16]
        layer, facts = self._scratch / "layers" / key, self._scratch / "layers" / f"{key}.json"
        if not facts.exists():
            shutil.rmtree(layer, ignore_errors=True)
            self._tell(f"{stage}: {step.text}")
            started = time.perf_counter()
            with mounted(image.layers, layer, self._binds) as root:
                make(root)
            facts.write_text(json.dumps([step.text, size(layer), round(time.perf_counter() - started, 1)]))
        text, taken, seconds = json.loads(facts.read_text())
        return replace(
            image, key=key, layers=(*image.layers, layer), made=(*image.made, (text, int(taken), float(seconds)))
        )

    def _run(self, root: Path, image: Image, command: str) -> None:
        # Arguments first: a value from outside wins over neither the image's own nor the step's.
        env = {**self._build_env, **image.args, **image.env}
        inside = ["env", "-i", f"--chdir={image.workdir}", *(f"{key}={value}" for key, value in env.items())]
        spawn = ["unshare", "--pid", "--fork", "--kill-child", f"--mount-proc={root}/proc", "chroot", str(root)]
        done = subprocess.run(
            [*spawn, *inside, "/bin/sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        (self._scratch / "last-step.log").write_text(done.stdout)
        if done.returncode:
            raise RuntimeError(f"RUN {command}\nexited {done.returncode}:\n{done.stdout[-6000:]}")

    def _copy(self, image: Image, step: Step, known: Mapping[str, str]) -> tuple[str, Callable[[Path], None]]:
        *sources, target = (expand(word, known) for word in step.words)
        to = PurePosixPath(image.workdir, target)
        folder = target.endswith("/") or len(sources) > 1
        owner = step.flags.get("chown", "0:0")
        if "from" in step.flags:
            other = self.build(step.flags["from"])
            return self._told(other, sources), lambda root: self._copy_stage(
                other, sources, root / str(to)[1:], folder, owner
            )
        files = {source: self._below(source) for source in sources}
        digest = hashlib.sha256()
        for path in sorted({path for paths in files.values() for path in paths}):
            digest.update(f"{path} {(self._context / path).stat().st_mode:o}\n".encode())
            digest.update((self._context / path).read_bytes())

        def copy(root: Path) -> None:
            place = root / str(to)[1:]
            for source, paths in files.items():
                for path in paths:
                    inner = path.relative_to(source) if path != Path(source) else Path(path.name if folder else "")
                    _copy_file(self._context / path, place / inner)

        return digest.hexdigest(), copy

    def _told(self, other: Image, sources: list[str]) -> str:
        """What a copy from a stage depends on: the content of files, but of folders no more than the stage itself."""
        digest = hashlib.sha256()
        for source in sources:
            path = next((layer / source[1:] for layer in reversed(other.layers) if (layer / source[1:]).exists()), None)
            digest.update(path.read_bytes() if path and path.is_file() else other.key.encode())
        return digest.hexdigest()

    def _below(self, source: str) -> list[Path]:
        wanted = Path(source)
        found = [path for path in self._sent if path == wanted or wanted in path.parents]
        if not found:
            raise FileNotFoundError(f"COPY {source}: nothing of that name is sent to the builder (.dockerignore)")
        return found

    def _copy_stage(self, other: Image, sources: list[str], place: Path, folder: bool, owner: str) -> None:
        with mounted(other.layers, self._scratch / "reading") as root:
            for source in sources:
                path = root / source[1:]
                target = place / path.name if folder and path.is_file() else place
                target.parent.mkdir(parents=True, exist_ok=True)
                if path.is_dir():
                    target.mkdir(exist_ok=True)
                copied = f"{path}/." if path.is_dir() else str(path)
                subprocess.run(["cp", "-a", copied, str(target)], check=True)
                subprocess.run(["chown", "--recursive", "--no-dereference", owner, str(target)], check=True)


def _copy_file(source: Path, target: Path) -> None:
    """As the builder does: owned by root, mode kept."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(source.stat().st_mode & 0o7777)
