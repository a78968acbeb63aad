from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM

from tarazu.evaluation.scoring import score_continuations
from tarazu.models.config import info_from_config
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.models.prefix import ARCHITECTURES, WORTHWHILE, can_share, shared_length, shared_prefix
from tarazu.models.soft_prompt import SoftPrompt

Load = Callable[..., Learner]
SHARED = list(range(5, 45))
PROMPTS = [SHARED + rest for rest in ([50, 51, 52], [50], [53, 54, 55, 56, 57], [50, 51, 58])]
WORDS = [[[7], [8, 9, 10], [8, 9, 11, 12]]] * 4


def small(architecture: str, **settings: Any) -> Learner:
    """Make a decoder of any architecture with random weights."""
    shape = {
        "vocab_size": 64,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "sliding_window": None,
        **settings,
    }
    if architecture in ("gemma", "qwen3"):
        shape["head_dim"] = 8
    config = AutoConfig.for_model(architecture, **shape)
    torch.manual_seed(0)
    body = AutoModelForCausalLM.from_config(config).eval()
    info = info_from_config("small", config.to_dict(), kind="decoder")
    return Learner(body, info, None).requires_grad_(False)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=5))
def test_shared_tokens_are_the_longest_common_beginning_short_of_a_whole_prompt(
    prompts: list[list[int]],
) -> None:
    places = zip(*prompts, strict=False)
    common = len(list(itertools.takewhile(lambda tokens: len(set(tokens)) == 1, places)))
    assert shared_length(prompts) == min(common, min(map(len, prompts)) - 1)


@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_t11_every_architecture_scores_in_packed_rows_as_in_padded_ones(architecture: str) -> None:
    learner = small(architecture)
    assert can_share(learner)
    found = score_continuations(learner, PROMPTS, WORDS, pad_id=0, batch_size=4)
    with switched(Fast(packed=False)):
        expected = score_continuations(learner, PROMPTS, WORDS, pad_id=0, batch_size=4)
    for row, wanted in zip(found, expected, strict=True):
        assert row == pytest.approx(wanted, abs=1e-4)
    assert len({round(value, 2) for row in found for value in row}) == 12


@pytest.mark.parametrize(
    ("architecture", "settings"),
    [
        ("mistral", {"sliding_window": 16}),
        ("gpt_bigcode", {}),
        ("llama", {"attn": "eager"}),
    ],
)
def test_others_are_asked_in_padded_rows(
    architecture: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    eager = settings.pop("attn", None)
    learner = small(architecture, **settings)
    if eager:
        learner.body.set_attn_implementation(eager)
    assert not can_share(learner)
    shapes = []
    original = Learner.hidden

    def noted(self: Learner, ids: torch.Tensor, *inputs: Any, **more: Any) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        return original(self, ids, *inputs, **more)

    monkeypatch.setattr(Learner, "hidden", noted)
    score_continuations(learner, PROMPTS, [[[7], [8]]] * 4, pad_id=0, batch_size=4)
    assert shapes == [(4, 45)]


def test_a_short_prefix_is_not_worth_a_pass_of_its_own() -> None:
    learner = small("llama")
    pays = WORTHWHILE // 3 + 1
    rest = [[50], [51], [52], [53]]
    assert shared_prefix(learner, [[5] * pays + one for one in rest]).tokens == pays
    assert shared_prefix(learner, [[5] * (pays - 1) + one for one in rest]).length == 0
    assert shared_prefix(learner, [[5] * 100]).length == 0
    with switched(Fast(prefix_cache=False)):
        assert shared_prefix(learner, [[5] * pays + one for one in rest]).length == 0


def test_virtual_tokens_always_stand_before_the_prefix() -> None:
    learner = small("llama")
    learner.prompt = SoftPrompt(6, 32, 8, "MLP")
    alone = shared_prefix(learner, [[5, 6]])
    assert (alone.tokens, alone.length) == (0, 6)
    more = shared_prefix(learner, PROMPTS)
    assert (more.tokens, more.length) == (40, 46)
    assert all(layer is not None and layer[0].shape == (1, 2, 46, 8) for layer in more.layers)


def test_rows_leave_the_cache_and_the_others_keep_what_is_theirs() -> None:
    learner = small("llama")
    cache = shared_prefix(learner, PROMPTS).open(8)
    ids = torch.tensor([[50, 51], [52, 53], [54, 55], [56, 57]])
    learner.hidden(ids, torch.ones(4, 42), cache=cache)
    before = [(layer.keys.clone(), layer.values.clone()) for layer in cache.layers]
    cache.keep([0, 3, 2])
    assert cache.get_seq_length() == 42
    for layer, (keys, values) in zip(cache.layers, before, strict=True):
        assert layer.keys.shape == (3, 2, 48, 8)
        assert torch.equal(layer.keys[:, :, :42], keys[[0, 3, 2], :, :42])
        assert torch.equal(layer.values[:, :, :42], values[[0, 3, 2], :, :42])
    whole = torch.tensor([[*PROMPTS[0][:40], 56, 57, 60]])
    expected = learner.hidden(whole, torch.ones_like(whole))[0, -1]
    found = learner.hidden(torch.full((3, 1), 60), torch.ones(3, 43), cache=cache)[1, 0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
