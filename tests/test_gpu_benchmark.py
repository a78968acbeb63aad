"""The benchmark for CUDA cards, tried on a CPU: whole, and its figures are what they say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))


@pytest.fixture(scope="module")
def gpu() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_llama", BENCHMARKS / "gpu" / "llama.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu_llama"] = module  # where its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def test_weights_are_counted_as_in_a_model(gpu: ModuleType) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = gpu.SHAPES["tiny"]
    config = LlamaConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        intermediate_size=shape.intermediate,
        vocab_size=shape.vocabulary,
    )
    layers = LlamaForCausalLM(config).model.layers
    assert shape.weights == sum(p.numel() for p in layers.parameters() if p.dim() == 2)
    # 8.03 billion in all, of which 1.05 are the embedding and the last projection.
    assert gpu.SHAPES["llama-3-8b"].weights == pytest.approx(8.03e9 - 1.05e9, rel=0.01)


def test_tokens_and_share_of_the_peak_are_those_of_the_median_pair(gpu: ModuleType) -> None:
    side = {"seconds_per_example": [0.5, 0.1, 0.25]}
    row = {"pairs": 3, "ours": side, "theirs": {"seconds_per_example": [1.0, 1.0, 2.0]}}
    shape = gpu.SHAPES["tiny"]
    peak = 100 * gpu.OPERATIONS_PER_WEIGHT * shape.weights * 4.0  # of 400 tokens a second
    made = gpu.with_tokens(row, 50.0, shape, peak)
    assert made["ours"]["tokens_per_second"] == 200.0
    assert made["ours"]["share_of_peak"] == 0.5
    assert made["theirs"]["tokens_per_second"] == 50.0
    assert gpu.with_tokens({"pairs": 0}, 50.0, shape, peak)["pairs"] == 0


def test_the_peak_of_known_pairs_is_not_measured_again(
    gpu: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = iter([5e13, 7e13])
    monkeypatch.setattr(gpu, "peak_of", lambda device: next(peaks))
    assert gpu.kept_peak("cpu", tmp_path / "new") == 5e13
    assert gpu.kept_peak("cpu", tmp_path / "new") == 5e13
    monkeypatch.setattr("torch.cuda.get_device_name", lambda: "another card")
    assert gpu.kept_peak("cuda", tmp_path / "new") == 7e13


def test_without_a_card_it_says_how_to_try_the_script(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(SystemExit, match="--device cpu --shape tiny"):
        gpu.main([])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_script_on_a_cpu(
    gpu: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [
        f"--{name}={tmp_path / name}" for name in ("models", "work-dir", "out")
    ]  # fmt: skip
    words = [
        *("--shape=tiny", "--device=cpu", "--here", "--peers", "trainer-tuned"),
        *("--settings=bf16, grouped", "--pairs=1", "--examples=12", "--held-out=4"),
        *("--batch-size=4", "--tokens=150", *where),
    ]
    gpu.main(words)
    rows = json.loads((tmp_path / "out" / "speed-gpu.json").read_text())
    assert [row["work"] for row in rows] == ["lora-tiny", "qlora-tiny"]
    for row in rows:
        assert "reason" not in row
        assert row["ours"]["updates"] == row["theirs"]["updates"] == 3
        # Hardly trained, from the same weights.
        assert row["ours"]["loss"][0] == pytest.approx(row["theirs"]["loss"][0], rel=0.05)
        assert 0 < row["theirs"]["share_of_peak"] < 1
    lines = capsys.readouterr().out.splitlines()
    assert sum("tokens/s" in line for line in lines) == 2
    table = (tmp_path / "out" / "speed-gpu.md").read_text()
    assert table.count("tokens/s") == 4
    # Given again, pairs are known again.
    gpu.main(words)
    assert "pair 1 of 1" not in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "speed-gpu.json").read_text()) == rows
