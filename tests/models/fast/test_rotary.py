from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tarazu.models.fast.rotary import _forward, turn
from tarazu.models.learner import Learner


def angles(items: int) -> tuple[torch.Tensor, torch.Tensor]:
    half = torch.randn(items, 5, 4, dtype=torch.double)
    both = torch.cat([half, half], dim=-1)
    return both.cos(), both.sin()


def test_states_turn_as_in_the_library_and_gradients_turn_back() -> None:
    states = torch.randn(3, 2, 5, 8, dtype=torch.double, requires_grad=True)
    for items in (1, 3):
        cos, sin = angles(items)
        theirs, _ = apply_rotary_pos_emb(states, states, cos, sin)
        assert torch.allclose(turn(states, cos, sin), theirs)
        assert torch.autograd.gradcheck(lambda x, c=cos, s=sin: turn(x, c, s), (states,))


def test_layers_are_replaced_and_copied_whole(load: Callable[..., Learner]) -> None:
    learner = load("llama", "text")
    layer = learner.blocks()[0].self_attn
    assert layer.forward.compute is _forward
    copied = copy.deepcopy(learner).blocks()[0].self_attn
    assert copied.forward.layer is copied
    assert getattr(load("gpt2", "text").blocks()[0].attn.forward, "compute", None) is not _forward
