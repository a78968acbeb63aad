from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from tarazu.models.learner import Learner
from tarazu.testing.tiny import LAYERS, TinyKind

Load = Callable[..., Learner]
TEXT = [7, 200, 201, 0, 1, 202, 203]  # holds the end-of-text tokens of both tokenizers


def padded(side: str, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    gap = [0] * (width - len(TEXT))
    real = [1] * len(TEXT)
    ids, mask = (gap + TEXT, gap + real) if side == "left" else (TEXT + gap, real + gap)
    return torch.tensor([ids]), torch.tensor([mask])


@pytest.mark.parametrize("method", [None, "p-tuning"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_t11_padding_on_any_side_leaves_hidden_states_as_they_are(
    load: Load, kind: TinyKind, method: str | None
) -> None:
    learner = load(kind, "text", method=method)
    alone = learner.hidden(torch.tensor([TEXT]), torch.ones(1, len(TEXT), dtype=torch.long))
    right = learner.hidden(*padded("right", 12))[:, : len(TEXT)]
    left = learner.hidden(*padded("left", 12))[:, -len(TEXT) :]
    torch.testing.assert_close(right, alone, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(left, alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_vocabulary_logits_are_the_models_own(
    load: Load, tiny: Callable[[TinyKind], Path], kind: TinyKind
) -> None:
    learner = load(kind, "text")
    ids, mask = padded("right", 9)
    model = AutoModelForCausalLM.from_pretrained(tiny(kind), dtype=torch.float32)
    expected = model(input_ids=ids, attention_mask=mask)
    logits = learner.vocabulary_logits(learner.hidden(ids, mask))
    torch.testing.assert_close(logits[:, :7], expected.logits[:, :7], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
@torch.no_grad()
def test_virtual_tokens_are_left_out_of_the_result_and_change_it(
    load: Load, kind: TinyKind
) -> None:
    ids, mask = padded("right", 9)
    prompted = load(kind, "text", method="p-tuning", virtual_tokens=4)
    assert prompted.embed(ids).shape == (1, 4 + 9, 32)
    assert prompted.widen(mask, 1).tolist() == [[1] * 4 + mask.tolist()[0]]
    states = prompted.hidden(ids, mask)
    assert states.shape == (1, 9, 32)
    assert not torch.allclose(states, load(kind, "text").hidden(ids, mask), atol=1e-3)


@torch.no_grad()
def test_token_types_reach_an_encoder_behind_virtual_tokens(load: Load) -> None:
    learner = load("bert", "classes", method="p-tuning")
    ids, mask = padded("right", 9)
    plain = learner.hidden(ids, mask, torch.zeros_like(ids))
    typed = learner.hidden(ids, mask, mask)
    assert not torch.allclose(plain, typed, atol=1e-3)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
def test_blocks_are_the_layers_in_order(load: Load, kind: TinyKind) -> None:
    learner = load(kind, "text")
    assert len(learner.blocks()) == LAYERS
    assert len(list(learner.after_blocks())) == (learner.info.kind == "decoder")


def test_unknown_layout_of_layers_is_an_error(load: Load) -> None:
    learner = load("bert", "text")
    learner.body.encoder.layer = nn.ModuleList([nn.Identity()])
    with pytest.raises(ValueError, match="found no list of 3 layers"):
        learner.blocks()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("method", ["lora", "last-k", "p-tuning"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_t27_trained_parameters_are_fp32_whatever_computes(
    load: Load, kind: TinyKind, method: str, dtype: str
) -> None:
    learner = load(kind, "classes", method=method, dtype=dtype)
    learner.settle()
    for name, parameter in learner.named_parameters():
        wanted = torch.float32 if parameter.requires_grad else getattr(torch, dtype)
        assert parameter.dtype == wanted, name
    assert any(True for _ in learner.named_trained())


def test_settling_keeps_tied_weights_tied(load: Load) -> None:
    learner = load("llama", "text", method="full", dtype="bfloat16")
    learner.settle()
    body = learner.body
    assert body.get_output_embeddings().weight is body.get_input_embeddings().weight
    names = [name for name, _ in learner.named_trained()]
    assert "body.lm_head.weight" not in names
    assert "body.model.embed_tokens.weight" in names


def dropout_modes(learner: Learner) -> tuple[bool, list[bool]]:
    """Return whether dropout is on in the embeddings and in each block."""
    blocks = [
        {m.training for m in b.modules() if isinstance(m, nn.Dropout)} for b in learner.blocks()
    ]
    embeddings = (
        learner.trunk.drop
        if learner.info.architecture == "gpt2"
        else (learner.trunk.embeddings.dropout)
    )
    assert all(len(modes) == 1 for modes in blocks)
    return embeddings.training, [modes.pop() for modes in blocks]


@pytest.mark.parametrize("kind", ["bert", "gpt2"])
@pytest.mark.parametrize(
    ("knobs", "expected"),
    [
        ({"k": 1}, (False, [False, False, True])),
        ({"layers": (1,)}, (False, [False, True, True])),
        ({"layers": (0, 2)}, (True, [True, True, True])),
        ({"k": 0}, (False, [False, False, False])),
    ],
)
def test_frozen_trunk_runs_in_evaluation_mode(
    load: Load, kind: TinyKind, knobs: dict[str, object], expected: tuple[bool, list[bool]]
) -> None:
    learner = load(kind, "classes", method="last-k", **knobs)
    learner.train()
    assert dropout_modes(learner) == expected
    assert learner.head is not None
    assert learner.head.training
    learner.eval()
    assert not any(module.training for module in learner.modules())


@pytest.mark.parametrize("method", ["full", "lora", "p-tuning"])
def test_trunk_with_something_trained_below_it_keeps_its_dropout(load: Load, method: str) -> None:
    learner = load("bert", "classes", method=method)
    learner.train()
    assert dropout_modes(learner) == (True, [True, True, True])


def test_trained_embeddings_keep_everything_above_in_training_mode(load: Load) -> None:
    learner = load("bert", "classes", method="last-k", k=1)
    learner.trunk.embeddings.requires_grad_(True)
    learner.train()
    assert dropout_modes(learner) == (True, [True, True, True])


def test_frozen_trunk_gives_the_same_states_at_every_step(load: Load) -> None:
    learner = load("bert", "classes", method="last-k", k=1)
    learner.train()
    seen: list[torch.Tensor] = []
    learner.blocks()[1].register_forward_hook(
        lambda module, inputs, output: seen.append(
            output[0] if isinstance(output, tuple) else output
        )
    )
    ids, mask = padded("right", 9)
    first, second = learner.hidden(ids, mask), learner.hidden(ids, mask)
    assert torch.equal(seen[0], seen[1])
    assert not torch.equal(first, second)


def test_training_mode_needs_no_list_of_layers(load: Load) -> None:
    learner = load("bert", "classes", method="lora")
    learner.body.encoder.layer = nn.ModuleList([nn.Identity()])
    assert learner.train().training
