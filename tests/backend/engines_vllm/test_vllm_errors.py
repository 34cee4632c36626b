"""What is wrong with vLLM, a model or an adapter is said in one line; a failed start can be followed by a good one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backend.engines import create_engine, models
from backend.engines.vllm_engine import VllmEngine
from backend.errors import EngineError
from backend.types import Message, ModelRef

# Loading changes what a process has: each of these is one of its own, and loads from a thread, as a server does.
_STARTS = """
import json, sys, threading
from pathlib import Path
from backend.engines import create_engine
from backend.engines.config import VllmConfig
from backend.errors import EngineError
from backend.types import Message, ModelRef

name, folder = sys.argv[1:]

def start(model, **config):
    stages = []
    engine = create_engine("vllm", model=model, models_dir=Path(folder), config=VllmConfig(**config))
    try:
        engine.load(lambda what, fraction: stages.append(what))
    except EngineError as error:
        return {"error": str(error), "chained": error.__cause__ is not None, "stages": stages}
    again = []
    engine.load(lambda what, fraction: again.append(what))
    answer = engine.answer([(Message("user", "Will they like Heat? Yes or No."),)])[0]
    context = engine._shared.loaded.chat.context
    return {"p_yes": answer.p_yes, "stages": stages, "again": again, "context": context}

def run():
    found["quantization"] = start(ModelRef(name, quantized="no-such-form"))
    found["model"] = start(ModelRef("/no/such/folder"))
    found["memory"] = start(ModelRef(name), cpu_cache_gib=1024)
    found["good"] = start(ModelRef(name), cpu_cache_gib=1)

found = {}
thread = threading.Thread(target=run)
thread.start()
thread.join()
print(json.dumps(found))
"""


@pytest.mark.model
def test_failed_starts_say_why_and_a_good_one_follows_them(model_ref: ModelRef, models_dir: Path) -> None:
    pytest.importorskip("vllm", reason="vLLM is not installed here: make test-vllm")
    folder = models.fetch(model_ref, models_dir)
    done = subprocess.run(
        [sys.executable, "-c", _STARTS, folder, str(models_dir)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes = json.loads(done.stdout)  # and nothing of vLLM's own is on stdout
    for case, words in (("quantization", "no-such-form"), ("model", "/no/such/folder"), ("memory", "1024")):
        assert words in outcomes[case]["error"], outcomes[case]
        assert "could not be loaded by vLLM: " in outcomes[case]["error"]
        assert outcomes[case]["chained"]
    assert outcomes["good"]["stages"] == ["starting vLLM", f"loading {folder}"]
    assert outcomes["good"]["again"] == []
    assert 0 < outcomes["good"]["p_yes"] < 1
    assert outcomes["good"]["context"] == 8192  # the model's own: the cache holds it


def test_without_vllm_one_error_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    monkeypatch.delitem(sys.modules, "vllm.platforms", raising=False)
    engine = create_engine("vllm", model=ModelRef("any"), models_dir=tmp_path)
    with pytest.raises(
        EngineError, match=r"vLLM is not installed\. .*rallrec-plus\[gpu\].*RALLREC_ENGINE=transformers"
    ):
        engine.answer([(Message("user", "?"),)])


@pytest.mark.parametrize("given", ["/no/such/adapter", "."])
def test_a_folder_without_an_adapter_is_refused_before_anything_is_loaded(given: str, tmp_path: Path) -> None:
    engine = create_engine("vllm", model=ModelRef("any", adapter=given), models_dir=tmp_path)
    with pytest.raises(EngineError, match="There is no adapter in"):
        engine.load()
    with pytest.raises(EngineError, match="There is no adapter in"):
        create_engine("vllm", model=ModelRef("any"), models_dir=tmp_path).adapted(given).load()


@pytest.mark.model
def test_an_adapter_that_does_not_fit_is_refused_and_the_engine_works_on(
    vllm: VllmEngine, model_ref: ModelRef, models_dir: Path, tmp_path: Path
) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(models.fetch(model_ref, models_dir))
    large = LoraConfig(r=32, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    get_peft_model(base, large).save_pretrained(tmp_path / "large")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "adapter_config.json").write_text(json.dumps({"r": 8, "peft_type": "LORA"}))
    prompt = (Message("user", "Will they like Heat? Yes or No."),)
    before = vllm.answer([prompt])[0].p_yes
    for folder, words in ((tmp_path / "large", "32.*16"), (broken, "lora_alpha")):
        with pytest.raises(EngineError, match=f"could not be loaded.*{words}"):
            vllm.adapted(str(folder)).answer([prompt])
        assert vllm.answer([prompt])[0].p_yes == pytest.approx(before, abs=1e-6)
