"""Merging LoRA into the base: which base, which orientation, which precision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from tarazu import catalog
from tarazu.methods._qlora import QloraKnobs
from tarazu.models.learner import Learner
from tarazu.models.load import load_learner
from tarazu.models.merge import Into, merge_into, merged_bytes
from tarazu.models.precision import Precision
from tarazu.testing import tiny
from tarazu.testing.cases import answer, cases
from tarazu.testing.tiny import TinyKind, tiny_info, tiny_model

FP32 = Precision("cpu", "float32", 1)
IDS = torch.arange(5, 37).reshape(2, 16)


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("bases")
    with pytest.MonkeyPatch.context() as patch:
        # bitsandbytes quantises matrices of fewer than 64 columns on the CPU with large errors.
        patch.setattr(tiny, "HIDDEN", 128)
        for kind in ("gpt2", "llama"):
            tiny_model(folder / kind, kind)
    return folder


def adapted(base: Path, *, four_bit: bool, targets: object = "all-linear") -> Learner:
    """A model with adapters that are far from zero, as after training."""
    torch.manual_seed(1)
    info = tiny_info(base)
    learner = load_learner(base, info, "text", 0, FP32, four_bit=four_bit)
    method = catalog.find_method("qlora-text" if four_bit else "lora")
    method.attach(learner, QloraKnobs(r=4, targets=targets))
    learner.settle()
    with torch.no_grad():
        for name, parameter in learner.named_trained():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    return learner.eval()


def logits(learner: Learner) -> Tensor:
    with torch.no_grad():
        return learner.vocabulary_logits(learner.hidden(IDS, torch.ones_like(IDS)))


def plain(folder: Path) -> Learner:
    return load_learner(folder, tiny_info(folder), "text", 0, FP32)


def merged(learner: Learner, base: Path, out: Path, into: Into, dtype: str = "float32") -> Learner:
    merge_into(learner, base, out, into=into, dtype=dtype)
    return plain(out)


def tensors(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in folder.glob("*.safetensors"):
        with safe_open(file, framework="pt") as opened:
            found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return found


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t28_merging_into_the_published_weights_changes_no_logit(
    bases: Path, tmp_path: Path, kind: TinyKind
) -> None:
    """GPT-2's attn.c_proj is square: a transposed delta would fit and be wrong."""
    learner = adapted(bases / kind, four_bit=False)
    found = logits(merged(learner, bases / kind, tmp_path / "m", "16-bit"))
    assert torch.allclose(found, logits(learner), atol=1e-4)
    assert not torch.allclose(found, logits(plain(bases / kind)), atol=0.1)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t19_t28_merged_into_the_dequantised_base_equals_the_adapter_on_4_bits(
    bases: Path, tmp_path: Path, kind: TinyKind
) -> None:
    learner = adapted(bases / kind, four_bit=True)
    exact = logits(learner)
    found = logits(merged(learner, bases / kind, tmp_path / "m", "dequantised"))
    assert torch.allclose(found, exact, atol=1e-3), (found - exact).abs().max()
    other = logits(merged(learner, bases / kind, tmp_path / "n", "16-bit"))
    assert (other - exact).abs().max() > 0.05
    assert (exact - logits(plain(bases / kind))).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t19_merging_after_the_model_has_answered_gives_the_same_files(
    bases: Path, tmp_path: Path, kind: TinyKind
) -> None:
    learner = adapted(bases / kind, four_bit=True)
    merge_into(learner, bases / kind, tmp_path / "before", into="dequantised", dtype="float32")
    method, task = catalog.find_method("qlora-text"), catalog.find_task("multinli")
    (case,) = cases([method], {kind: bases / kind}, [task])
    answer(case, learner)
    merge_into(learner, bases / kind, tmp_path / "after", into="dequantised", dtype="float32")
    before, after = tensors(tmp_path / "before"), tensors(tmp_path / "after")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t19_the_two_merged_forms_differ_by_the_quantisation_error(
    bases: Path, tmp_path: Path, kind: TinyKind
) -> None:
    learner = adapted(bases / kind, four_bit=True)
    for name, into in (("exact", "dequantised"), ("sixteen", "16-bit")):
        merge_into(learner, bases / kind, tmp_path / name, into=into, dtype="float32")  # type: ignore[arg-type]
    published = tensors(bases / kind)
    exact, sixteen = tensors(tmp_path / "exact"), tensors(tmp_path / "sixteen")
    assert published.keys() == exact.keys() == sixteen.keys()
    differing = [name for name in exact if not torch.equal(exact[name], sixteen[name])]
    matrices = {"gpt2": 4, "llama": 7}[kind] * 3
    assert len(differing) == matrices
    for name in differing:
        error = (exact[name] - sixteen[name]).abs()
        # NF4's widest gap is between −1 and −0.696 of a block's largest weight, so the
        # error is at most half of it; the scale itself has an error of a few percent.
        assert 0 < error.max() < 0.16 * published[name].abs().max()
    untouched = set(published) - set(differing)
    assert all(torch.equal(exact[name], published[name]) for name in untouched)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t19_layers_without_an_adapter_are_dequantised_too(
    bases: Path, tmp_path: Path, kind: TinyKind
) -> None:
    """The adapter saw all of the base in 4 bits, not only what it stands beside."""
    learner = adapted(bases / kind, four_bit=True, targets="query-value")
    found = logits(merged(learner, bases / kind, tmp_path / "m", "dequantised"))
    assert torch.allclose(found, logits(learner), atol=1e-3)


def test_t20_a_small_change_survives_because_it_is_added_in_fp32(
    bases: Path, tmp_path: Path
) -> None:
    """Casting first would round base and change apart, each to nothing."""
    base = bases / "llama"
    learner = adapted(base, four_bit=False, targets="query-value")
    with torch.no_grad():
        for name, parameter in learner.named_trained():
            if "lora_B" in name:
                parameter.mul_(1e-3)
    merge_into(learner, base, tmp_path / "m", into="16-bit", dtype="bfloat16")
    published, found = tensors(base), tensors(tmp_path / "m")
    lost_apart = 0
    for index in range(3):
        for which in ("q_proj", "v_proj"):
            name = f"model.layers.{index}.self_attn.{which}.weight"
            layer = learner.body.get_submodule(name.removesuffix(".weight"))
            delta = layer.get_delta_weight("default").detach().float()
            assert torch.equal(found[name], (published[name] + delta).bfloat16())
            apart = published[name].bfloat16() + delta.bfloat16()
            lost_apart += int((apart != found[name]).sum())
    assert lost_apart > 100, "the case must be one in which casting first would matter"
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert merged_bytes(tmp_path / "m") < 0.6 * merged_bytes(base)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("into", ["dequantised", "16-bit"])
def test_t21_tied_embeddings_are_still_tied_after_reloading(
    bases: Path, tmp_path: Path, kind: TinyKind, into: Into
) -> None:
    learner = adapted(bases / kind, four_bit=True)
    again = merged(learner, bases / kind, tmp_path / "m", into)
    words = again.trunk.get_input_embeddings().weight
    assert again.body.get_output_embeddings().weight is words
    published = plain(bases / kind).trunk.get_input_embeddings().weight
    assert torch.equal(words, published)
    # Without the stored tie an output matrix would have to be in the file.
    assert not any("lm_head" in name for name in tensors(tmp_path / "m"))


def test_a_merged_folder_is_a_complete_model(bases: Path, tmp_path: Path) -> None:
    learner = adapted(bases / "llama", four_bit=True)
    merge_into(learner, bases / "llama", tmp_path / "m", into="16-bit", dtype="float16")
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert config["dtype"] == "float16"
    assert "quantization_config" not in config


def test_shards_are_kept_apart(bases: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    sharded = tmp_path / "sharded"
    tiny_model(sharded, "llama")
    (sharded / "model.safetensors").unlink()
    model = AutoModelForCausalLM.from_pretrained(bases / "llama", dtype=torch.float32)
    model.save_pretrained(sharded, max_shard_size="400KB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    learner = adapted(sharded, four_bit=True)
    found = logits(merged(learner, sharded, tmp_path / "m", "dequantised"))
    assert torch.allclose(found, logits(learner), atol=1e-3)


def test_weights_that_are_not_there_are_named(bases: Path, tmp_path: Path) -> None:
    learner = adapted(bases / "llama", four_bit=False)
    with pytest.raises(ValueError, match=r"no weights named .*q_proj"):
        merge_into(learner, bases / "gpt2", tmp_path / "m", into="16-bit", dtype="float32")


MERGE_AND_MEASURE = """
import sys
from pathlib import Path

import torch

torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
import test_merge
from tarazu.models.fast.memory import give_memory_back
from tarazu.models.merge import merge_into
from tarazu.training.meter import peak_resident, reset_peak

base, out, into = Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
learner = test_merge.adapted(base, four_bit=True)
merge_into(learner, base, out / "first", into=into, dtype="bfloat16")  # imports, allocator
give_memory_back()
reset_peak()
before = peak_resident()
merge_into(learner, base, out / "second", into=into, dtype="bfloat16")
print(peak_resident() - before)
"""


@pytest.fixture(scope="module")
def sharded_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 52 MiB in bf16 in 13 files, whose largest matrix has 2 MiB in fp32."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("sharded") / "base"
    tokenizer = tiny.tiny_tokenizer("llama")
    config = LlamaConfig(
        hidden_size=512,
        intermediate_size=1024,
        num_hidden_layers=10,
        num_attention_heads=8,
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder, max_shard_size="4MB")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="measures peaks: Linux")
@pytest.mark.parametrize("into", ["dequantised", "16-bit"])
def test_merging_holds_one_file_and_two_matrices_at_a_time(
    sharded_base: Path, tmp_path: Path, into: Into
) -> None:
    files = sorted(sharded_base.glob("*.safetensors"))
    whole = sum(file.stat().st_size for file in files)
    one_file = max(file.stat().st_size for file in files)
    two_matrices = 2 * 4 * 512 * 1024
    assert len(files) >= 10
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", MERGE_AND_MEASURE, here, sharded_base, tmp_path, into]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    grown = int(done.stdout.splitlines()[-1])
    # A file that is read and its mapping when it is written; the empty model's objects on top.
    assert grown <= 2 * one_file + two_matrices + 24 * 2**20 < whole
