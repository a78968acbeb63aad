from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import varlen
from transformers import DynamicCache

from tarazu.models.fast import Fast, sequences, switched
from tarazu.models.fast.last_layer import use_short_last_layer
from tarazu.models.fast.sequences import NAME, Sequences, flash, one_by_one, use_sequence_attention
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.precision import Precision
from tarazu.readings import text
from tarazu.readings._reading import Asking
from tarazu.testing.bodies import small_body
from tarazu.testing.tiny import TINY_KINDS, TinyKind, nli_items

CPU = Precision("cpu", "float32", 1)
OTHERS = ("xlm-roberta", "electra", "distilbert", "gpt_neox", "mistral", "qwen2", "qwen3")
IDS = torch.arange(5, 5 + 3 * 11).view(3, 11)
FULL = torch.ones_like(IDS)
PADDED = FULL.clone()
PADDED[0, 7:] = 0
PADDED[2, :4] = 0  # padding on the left
READ = torch.tensor([[6, 2], [10, 0], [10, 4]])

Load = Callable[..., Learner]


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return how many tokens went through the kernel at a time."""
    counts: list[int] = []

    def counted(query: Tensor, *others: Any) -> Tensor:
        counts.append(len(query))
        return one_by_one(query, *others)

    monkeypatch.setattr(sequences, "_kernel", lambda device: counted)
    return counts


def both(load: Load, kind: TinyKind, **how: Any) -> tuple[Learner, Learner]:
    """Load a model that attends by sequences, and one with the library's attention."""
    with switched(Fast(attention=False, dropout=False)):
        ours, library = (load(kind, "text", **how) for _ in range(2))
    use_sequence_attention(ours.body, ours.info, CPU)
    assert ours.body.config._attn_implementation == NAME
    assert library.body.config._attn_implementation == "sdpa"
    return ours, library


def compared(learner: Learner, mask: Tensor, read: Tensor | None = None) -> list[Tensor]:
    """Return states of real tokens and the gradients that they give."""
    states = learner.hidden(IDS, mask, read=read)
    real = torch.ones_like(READ) if read is not None else mask
    states = states * real.unsqueeze(-1)
    trained = [p for _, p in learner.named_trained()]
    weights = torch.linspace(-1, 1, states.numel()).view_as(states)
    found = torch.autograd.grad((states * weights).sum(), trained, allow_unused=True)
    return [states, *(one for one in found if one is not None)]


def assert_close(one: list[Tensor], other: list[Tensor]) -> None:
    for a, b in zip(one, other, strict=True):
        assert torch.allclose(a, b, atol=1e-4), (a - b).abs().max()
    assert torch.allclose(one[0], other[0], atol=1e-5)


@pytest.mark.parametrize("read", [None, READ], ids=["whole", "read"])
@pytest.mark.parametrize("mask", [PADDED, FULL], ids=["padded", "unpadded"])
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_states_and_gradients_are_those_of_the_library(
    load: Load, tokens: list[int], kind: TinyKind, mask: Tensor, read: Tensor | None
) -> None:
    ours, library = both(load, kind, method="full")
    tokens.clear()
    found = compared(ours, mask, read)
    # Without padding, the library finds the flash kernel by itself.
    short = read is not None and ours.last is not None
    layers = ours.info.layers - short if mask is PADDED else 0
    assert tokens == [int(PADDED.sum())] * layers
    assert_close(found, compared(library, mask, read))


@pytest.mark.parametrize("name", OTHERS)
def test_other_architectures(tokens: list[int], name: str) -> None:
    body = small_body(name)
    kind = "encoder" if name in ("xlm-roberta", "electra", "distilbert") else "decoder"
    info = ModelInfo(name, kind, name, 32, 2, 90, 64, False, {})
    learner = Learner(body, info, None)
    learner.last = use_short_last_layer(learner.blocks()[-1], body, info)
    expected = [compared(learner, PADDED), compared(learner, PADDED, READ)]
    use_sequence_attention(body, info, CPU)
    tokens.clear()
    assert_close(compared(learner, PADDED), expected[0])
    windows = {"mistral": 2, "qwen2": 1}.get(name, 0)  # layers with a window keep their mask
    assert tokens == [int(PADDED.sum())] * (2 - windows)
    assert_close(compared(learner, PADDED, READ), expected[1])


def test_an_item_without_tokens_is_left_out() -> None:
    real = torch.tensor([[1, 1, 0], [0, 0, 0], [0, 1, 1]]).bool()
    rows = Sequences.of(real, causal=True)
    assert (rows.ends.tolist(), rows.longest) == ([0, 2, 2, 4], 2)
    states = torch.randn(3, 4, 3, 8)
    packed = rows.packed(states)
    assert torch.equal(rows.unpacked(packed), states.transpose(1, 2) * real[..., None, None])
    assert one_by_one(packed, packed, packed, rows, 1.0).shape == packed.shape


def test_behind_a_filled_cache_the_library_attends(load: Load, tokens: list[int]) -> None:
    found = []
    for learner in both(load, "llama"):
        tokens.clear()
        cache = DynamicCache(config=learner.body.config)
        learner.hidden(IDS[:, :6], PADDED[:, :6], cache=cache)
        assert tokens == ([int(PADDED[:, :6].sum())] * 3 if not found else [])
        tokens.clear()
        found.append(learner.hidden(IDS[:, 6:], PADDED, cache=cache) * PADDED[:, 6:, None])
        assert tokens == []
    assert torch.allclose(*found, atol=1e-5)


@pytest.mark.parametrize("how", ["score", "generate"])
def test_answers_are_the_same(
    load: Load,
    tiny: Callable[[TinyKind], Path],
    ask: Callable[..., Asking],
    tokens: list[int],
    how: str,
) -> None:
    asking = ask(tiny("llama"), answer=how)
    plain = Fast(attention=False, packed=False, own_greedy=False)
    with switched(plain):
        ours, theirs = (
            text.answer(learner, nli_items(7), asking, lambda done, total: None)
            for learner in both(load, "llama")
        )
    assert len(set(tokens)) > 1
    for one, other in zip(ours, theirs, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
        assert replace(one, scores=()) == replace(other, scores=())


def test_where_dropout_is_on_the_library_attends(load: Load, tokens: list[int]) -> None:
    found = []
    for learner in both(load, "bert", method="full"):
        learner.train()
        torch.manual_seed(2)
        tokens.clear()
        found.append(compared(learner, PADDED))
        assert tokens == []
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))


@pytest.mark.parametrize("causal", [True, False])
def test_the_flash_kernel_takes_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch, causal: bool
) -> None:
    """On tensors without numbers: names, shapes and order of its options, forward and backward."""
    original, options = varlen.varlen_attn, []

    def noted(*given: Any, **how: Any) -> Any:
        options.append(how)
        return original(*given, **how)

    monkeypatch.setattr(varlen, "varlen_attn", noted)
    real = torch.tensor([[1, 1, 1], [0, 1, 1]]).bool()
    rows = Sequences.of(real, causal=causal)
    rows = replace(rows, ends=rows.ends.to("meta"))
    query, key, value = (
        torch.empty(5, heads, 64, device="meta", dtype=torch.bfloat16, requires_grad=True)
        for heads in (4, 2, 2)
    )
    result = flash(query, key, value, rows, 0.125)
    assert (result.shape, result.dtype) == (query.shape, torch.bfloat16)
    gradients = torch.autograd.grad(result.sum(), (query, key, value))
    assert [one.shape for one in gradients] == [query.shape, key.shape, value.shape]
    # To the kernel, causal is a window of any length to the left and none to the right.
    window = (-1, 0) if causal else (-1, -1)
    assert options == [{"scale": 0.125, "window_size": window, "enable_gqa": True}]


def fails(*given: Any) -> Tensor:
    """Be a kernel that this card does not have."""
    raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.")


def looks_ahead(query: Tensor, key: Tensor, value: Tensor, rows: Sequences, scale: float) -> Tensor:
    """Forget that attention is causal."""
    return one_by_one(query, key, value, replace(rows, causal=False), scale)


def without_gradient(query: Tensor, key: Tensor, *others: Any) -> Tensor:
    """Give no gradient to keys."""
    return one_by_one(query, key.detach() + 0 * key, *others)


@pytest.mark.parametrize("kernel", [fails, looks_ahead, without_gradient])
def test_a_kernel_that_does_not_do_what_it_should_is_not_used(
    load: Load, monkeypatch: pytest.MonkeyPatch, kernel: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(sequences, "_kernel", lambda device: kernel)
    with switched(Fast(attention=False)):
        learner = load("llama", "text")
    state = torch.get_rng_state()
    use_sequence_attention(learner.body, learner.info, CPU)
    assert learner.body.config._attn_implementation == "sdpa"
    assert torch.equal(torch.get_rng_state(), state)


def test_an_older_pytorch_has_no_such_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sequences._has_flash()
    monkeypatch.setattr(varlen, "varlen_attn", lambda query, is_causal: query)
    assert not sequences._has_flash()
    monkeypatch.delattr(varlen, "varlen_attn")
    assert not sequences._has_flash()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
def test_on_a_card(tiny: Callable[[TinyKind], Path], kind: TinyKind) -> None:
    from tarazu.models.load import load_learner
    from tarazu.testing.tiny import tiny_info

    precision = Precision("cuda", "bfloat16", 1)
    found = []
    for fast in (Fast(), Fast(sequences=False)):
        with switched(fast):
            learner = load_learner(tiny(kind), tiny_info(tiny(kind)), "text", 3, precision)
        learner.settle()
        name = learner.body.config._attn_implementation
        assert name == (NAME if fast.sequences else "sdpa")
        with learner.compute():
            states = learner.hidden(IDS.cuda(), PADDED.cuda()).float()
        found.append(states[PADDED.cuda().bool()])
    assert (found[0] - found[1]).norm() <= 0.03 * found[1].norm()
