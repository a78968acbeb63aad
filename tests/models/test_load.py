from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tarazu import catalog
from tarazu.errors import BadInput
from tarazu.methods._method import Method
from tarazu.models import load as module
from tarazu.models.fast import Fast, switched
from tarazu.models.heads import ClassificationHead
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.load import empty_learner, load_learner, load_tokenizer, trained_names
from tarazu.models.precision import Precision
from tarazu.testing.tiny import TINY_KINDS, TinyKind, tiny_info, tiny_model

Tiny = Callable[[TinyKind], Path]
CPU = Precision("cpu", "float32", 1)


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_tiny_models_are_the_same_wherever_they_are_made(
    tiny: Tiny, tmp_path: Path, kind: TinyKind
) -> None:
    torch.rand(3)
    again = tiny_model(tmp_path / kind, kind)
    for path in tiny(kind).iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


@pytest.mark.parametrize("kind", TINY_KINDS)
@pytest.mark.parametrize("reading", ["classes", "spans", "text"])
def test_empty_learner_has_the_shapes_of_the_loaded_one(
    tiny: Tiny, kind: TinyKind, reading: str
) -> None:
    info = tiny_info(tiny(kind))
    empty = empty_learner(info, reading, 3)  # type: ignore[arg-type]
    loaded = load_learner(tiny(kind), info, reading, 3, CPU)  # type: ignore[arg-type]
    assert all(p.is_meta for p in empty.parameters())
    shapes = {name: p.shape for name, p in empty.named_parameters()}
    assert shapes == {name: p.shape for name, p in loaded.named_parameters()}


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_loaded_learner_is_frozen_fp32_and_in_evaluation_mode(tiny: Tiny, kind: TinyKind) -> None:
    learner = load_learner(tiny(kind), tiny_info(tiny(kind)), "classes", 3, CPU)
    assert not any(p.requires_grad for p in learner.parameters())
    assert not any(module.training for module in learner.modules())
    assert {p.dtype for p in learner.parameters()} == {torch.float32}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="tells what is mapped: Linux")
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_weights_are_mapped_from_their_file_and_not_copied(tiny: Tiny, kind: TinyKind) -> None:
    """What is mapped is in memory once, however many runs read it."""
    learner = load_learner(tiny(kind), tiny_info(tiny(kind)), "text", 0, CPU)
    learner.settle()
    mapped = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if line.endswith(f"{tiny(kind)}/model.safetensors"):
            first, last = line.split()[0].split("-")
            mapped.append(range(int(first, 16), int(last, 16)))
    weights = [p for p in learner.body.parameters() if p.dim() == 2]
    assert weights
    for weight in weights:
        assert any(weight.data_ptr() in part for part in mapped)


def stored_as(folder: Path, place: Path, dtype: torch.dtype) -> Path:
    """Copy a model with its weights in another precision."""
    shutil.copytree(folder, place)
    weights = load_file(place / "model.safetensors")
    narrow = {name: tensor.to(dtype) for name, tensor in weights.items()}
    save_file(narrow, place / "model.safetensors", metadata={"format": "pt"})
    return place


@contextmanager
def matrices_cast() -> Iterator[list[torch.dtype]]:
    """Note the type of every matrix that is cast or moved meanwhile, in any thread."""
    seen: list[torch.dtype] = []
    usual = torch.Tensor.to

    def to(tensor: torch.Tensor, *arguments: Any, **named: Any) -> torch.Tensor:
        result = usual(tensor, *arguments, **named)
        if result.dim() == 2 and not result.is_meta:
            seen.append(result.dtype)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.Tensor, "to", to)
        yield seen


def trains_and_holds(info: ModelInfo) -> list[Method]:
    """Return the methods that use a model as it is, or train it; 4-bit ones: `test_qlora.py`."""
    task = catalog.find_task("multinli")
    return [
        method
        for method in catalog.methods().values()
        if method.needs_model != "no"
        and not method.four_bit
        and method.supports(info, task, method.knobs()) is None
    ]


@pytest.mark.parametrize("kind", TINY_KINDS)
def test_methods_that_hold_a_model(tiny: Tiny, kind: TinyKind) -> None:
    found = {method.name for method in trains_and_holds(tiny_info(tiny(kind)))}
    prompting = set() if kind in ("bert", "roberta") else {"zero-shot", "few-shot"}
    assert found >= {"full", "last-k", "lora", "p-tuning"} | prompting


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_in_a_16_bit_run_no_frozen_weight_is_ever_in_fp32(
    tiny: Tiny, tmp_path: Path, kind: TinyKind, stored: torch.dtype
) -> None:
    folder = stored_as(tiny(kind), tmp_path / "model", stored)
    info = tiny_info(folder)
    file = load_file(folder / "model.safetensors")
    for method in trains_and_holds(info):
        knobs = method.knobs()
        reading = method.reading(info, catalog.find_task("multinli"), knobs)
        empty = empty_learner(info, reading, 3)
        method.attach(empty, knobs)
        trained = trained_names(empty)
        with matrices_cast() as seen:
            learner = load_learner(
                folder, info, reading, 3, Precision("cpu", "bfloat16", 1), trained=trained
            )
        head = [p for p in empty.head.parameters() if p.dim() == 2] if empty.head else []
        assert seen.count(torch.float32) <= len(trained) + len(head), method.name
        prefix = f"{learner.body.base_model_prefix}."
        for name, parameter in learner.body.named_parameters():
            assert parameter.dtype == (torch.float32 if name in trained else torch.bfloat16), name
            # A trained weight begins as it is published, not rounded to the run's precision.
            published = {name, name.removeprefix(prefix), prefix + name} & file.keys()
            assert published
            for other in published:
                assert torch.equal(parameter, file[other].to(parameter.dtype)), name
        method.attach(learner, knobs)
        learner.settle()
        for name, parameter in learner.named_parameters():
            wanted = torch.float32 if parameter.requires_grad else torch.bfloat16
            assert parameter.dtype == wanted, name


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_without_knowing_what_is_trained_weights_stay_as_they_are_stored(
    tiny: Tiny, tmp_path: Path, stored: torch.dtype
) -> None:
    folder = stored_as(tiny("llama"), tmp_path / "model", stored)
    precision = Precision("cpu", "bfloat16", 1)
    learner = load_learner(folder, tiny_info(folder), "text", 0, precision)
    assert {p.dtype for p in learner.parameters()} == {stored}
    learner.requires_grad_(True)
    learner.settle()
    assert {p.dtype for p in learner.parameters()} == {torch.float32}


def test_weights_go_straight_to_the_device(tiny: Tiny) -> None:
    meta, folder = Precision("meta", "bfloat16", 1), tiny("llama")
    with switched(Fast(sequences=False)):  # would be tried out on a card
        learner = load_learner(folder, tiny_info(folder), "classes", 3, meta, trained=())
    assert {p.device.type for p in learner.parameters()} == {"meta"}
    assert {p.dtype for p in learner.body.parameters()} == {torch.bfloat16}
    learner.settle()
    assert {(p.device.type, p.dtype) for p in learner.parameters()} == {("meta", torch.bfloat16)}


def test_every_weight_of_an_encoder_comes_from_the_file(tiny: Tiny) -> None:
    torch.manual_seed(1)
    one = load_learner(tiny("bert"), tiny_info(tiny("bert")), "text", 0, CPU)
    torch.manual_seed(2)
    two = load_learner(tiny("bert"), tiny_info(tiny("bert")), "text", 0, CPU)
    for (name, a), (_, b) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert torch.equal(a, b), name
    # Heads are our own, so a pretrained pooler would only be counted and shipped.
    assert getattr(one.body, "pooler", None) is None


def test_head_follows_kind_and_model(tiny: Tiny) -> None:
    def head(kind: TinyKind) -> ClassificationHead:
        found = empty_learner(tiny_info(tiny(kind)), "classes", 3).head
        assert isinstance(found, ClassificationHead)
        return found

    encoder, decoder = head("bert"), head("llama")
    assert (encoder.pooling, encoder.dropout.p) == ("first", 0.1)
    assert encoder.dense is not None
    assert (decoder.pooling, decoder.dropout.p, decoder.dense) == ("last", 0.0, None)


def test_t34_head_depends_on_the_seed_alone(load: Callable[..., Learner]) -> None:
    one = load("bert", "classes", method="lora")  # seeds before it builds
    torch.rand(17)
    two = load("bert", "classes", method="lora")
    for (name, a), (_, b) in zip(one.named_trained(), two.named_trained(), strict=True):
        assert torch.equal(a, b), name


def test_t5_padding_token_is_found_or_becomes_the_end_token(tiny: Tiny) -> None:
    assert load_tokenizer(tiny("bert")).pad_token == "[PAD]"
    for kind in ("gpt2", "llama"):
        tokenizer = load_tokenizer(tiny(kind))
        assert tokenizer.pad_token_id == tokenizer.eos_token_id


def test_code_of_a_repository_is_never_led_to(tiny: Tiny, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny("gpt2"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    learner = load_learner(folder, tiny_info(folder), "text", 0, CPU)
    assert type(learner.body).__name__ == "GPT2LMHeadModel"


def test_a_model_of_too_many_parts_is_refused_while_it_is_made(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tiny_info(tiny("bert"))
    made = sum(1 for _ in empty_learner(info, "text", 0).body.modules())
    monkeypatch.setattr(module, "MAX_PARTS", made)
    with pytest.raises(BadInput, match=rf"config\.json: a model must have at most {made} modules"):
        empty_learner(info, "text", 0)
    monkeypatch.setattr(module, "MAX_PARTS", 10 * made)
    for _ in range(20):  # what one model has does not count for the next
        empty_learner(info, "text", 0)
    # Leaves count as well, before anything holds them.
    monkeypatch.setattr(module, "MAX_PARTS", 10)
    with pytest.raises(BadInput), module.limited_parts("x"):
        [torch.nn.Linear(1, 1) for _ in range(11)]
    [torch.nn.Linear(1, 1) for _ in range(11)]


@pytest.mark.parametrize(
    "changes", [{"num_attention_heads": 7}, {"hidden_size": -1}, {"hidden_act": "no-such"}]
)
def test_a_configuration_of_no_model_is_bad_input(tiny: Tiny, changes: dict[str, object]) -> None:
    info = tiny_info(tiny("bert"))
    with pytest.raises(BadInput, match=r"config\.json: must describe a model that can be made"):
        empty_learner(replace(info, config={**info.config, **changes}), "text", 0)
