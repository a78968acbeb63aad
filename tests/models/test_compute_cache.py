"""Key/value caches hold the precision in which attention computes; answers stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache, DynamicLayer

from tarazu.evaluation.generating import generate
from tarazu.evaluation.scoring import score_continuations
from tarazu.models import compute_cache
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.models.load import load_learner, load_tokenizer
from tarazu.models.precision import Precision
from tarazu.models.prefix import _Layer
from tarazu.testing.tiny import tiny_info

SHARED = list(range(5, 45))
PROMPTS = [SHARED + rest for rest in ([50, 51, 52], [50], [53, 54, 55, 56, 57], [50, 51, 58])]
WORDS = [[[7], [8, 9, 10], [8, 9, 11, 12]]] * 4


class Seen:
    """Notes in which precision layers of caches hold keys and values."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.dtypes: set[torch.dtype] = set()
        for kind in (DynamicLayer, _Layer):
            monkeypatch.setattr(kind, "update", self._noting(kind.update))

    def _noting(self, update: Any) -> Any:
        def noting(layer: Any, *told: Any, **more: Any) -> tuple[Tensor, Tensor]:
            result: tuple[Tensor, Tensor] = update(layer, *told, **more)
            self.dtypes |= {layer.keys.dtype, layer.values.dtype}
            return result

        return noting


def like_four_bits(learner: Learner) -> Learner:
    """Let layers answer in the precision that they are given, as 4-bit ones after fp32 norms do."""
    learner.precision = Precision("cpu", "bfloat16", 1)
    learner.requires_grad_(False)
    learner.float()
    for module in learner.body.modules():
        if isinstance(module, torch.nn.Linear) and module is not learner.body.lm_head:
            module.register_forward_hook(lambda _, given, result: result.to(given[0].dtype))
    return learner.eval()


def answered(learner: Learner, tokenizer: Any, way: str) -> Any:
    """Return what a model answers, by one of the ways that have a cache."""
    if way == "score":
        return score_continuations(learner, PROMPTS, WORDS, pad_id=0, batch_size=4).tolist()
    return generate(
        learner, PROMPTS, tokenizer=tokenizer, max_new_tokens=6, batch_size=3, seed=0,
        temperature=1.0 if way == "sample" else 0.0, top_p=0.9,
    )  # fmt: skip


def in_four_bits(folder: Path) -> Learner:
    """Load a 4-bit base, as it answers."""
    precision = Precision("cpu", "bfloat16", 1)
    learner = load_learner(folder, tiny_info(folder), "text", 0, precision, four_bit=True)
    learner.requires_grad_(False)
    learner.settle()
    return learner.eval()


@pytest.mark.parametrize("base", ["like four bits", "four bits"])
@pytest.mark.parametrize("way", ["score", "greedy", "sample"])
@pytest.mark.parametrize("packed", [True, False])
def test_a_cache_is_as_narrow_as_attention_and_answers_do_not_change(
    base: str,
    way: str,
    packed: bool,
    load: Callable[..., Learner],
    tiny: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = load_tokenizer(tiny("llama"))
    real = base == "four bits"
    learner = in_four_bits(tiny("llama")) if real else like_four_bits(load("llama", "text"))
    learner.body.set_attn_implementation("sdpa")  # as on a card
    for module in learner.body.modules():
        module.__dict__.pop("forward", None)
    with switched(Fast(packed=packed)):
        with monkeypatch.context() as patch:
            seen = Seen(patch)
            narrow = answered(learner, tokenizer, way)
        assert seen.dtypes == {torch.bfloat16}
        with monkeypatch.context() as patch:
            seen = Seen(patch)
            patch.setattr(compute_cache, "autocast_dtype", lambda states: states.dtype)
            wide = answered(learner, tokenizer, way)
        assert torch.float32 in seen.dtypes  # else this shows nothing
    assert narrow == wide


def test_without_autocast_a_cache_holds_what_it_is_given() -> None:
    cache = compute_cache.ComputeCache()
    key = torch.rand(1, 2, 3, 4)
    assert all(torch.equal(one, key) for one in cache.update(key, key, 0))
    assert isinstance(cache, DynamicCache)
