"""A frozen trunk runs once per sequence, and nothing else changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tarazu.catalog import find_method
from tarazu.evaluation.scoring import score_continuations
from tarazu.models.config import info_from_config
from tarazu.models.fast import Fast, switched
from tarazu.models.frozen import (
    FrozenTrunk,
    fingerprint,
    processor,
    split_trunk,
    tokens_together,
)
from tarazu.models.learner import Learner
from tarazu.models.load import make_head
from tarazu.models.precision import Precision
from tarazu.models.states import Shelves
from tarazu.testing.tiny import TINY_KINDS, TinyKind

Load = Callable[..., Learner]
SHAPE = {
    "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
    "intermediate_size": 64, "max_position_embeddings": 64, "pad_token_id": 0,
    "initializer_range": 0.15,
}  # fmt: skip
# Hybrid attention, scaled embeddings, relative positions, positions in the embeddings or in each
# layer: what a cut through the layers could miss.
OTHERS: dict[str, dict[str, Any]] = {
    "deberta-v2": {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    "distilbert": {"dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "gemma2": {"head_dim": 8, "num_key_value_heads": 2, "sliding_window": 4},
    "gpt_neox": {},
    "mistral": {"num_key_value_heads": 2, "sliding_window": 4},
    "modernbert": {"global_attn_every_n_layers": 2, "local_attention": 4},
    "mpnet": {},
    "qwen2": {"num_key_value_heads": 2},
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "xlm-roberta": {},
}


def other(architecture: str, reading: str = "classes") -> Learner:
    """Return a model of another architecture with random weights."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(architecture, **SHAPE, **OTHERS[architecture])
    values = {**config.to_dict(), "architectures": ["ForCausalLM"]}
    decoder = architecture in ("gemma2", "gpt_neox", "mistral", "qwen2", "qwen3")
    if not decoder:
        values["architectures"] = ["ForMaskedLM"]
    info = info_from_config(architecture, values)
    assert info.kind == ("decoder" if decoder else "encoder")
    body = (AutoModelForCausalLM if decoder else AutoModel).from_config(config)
    learner = Learner(body, info, make_head(info, reading, 3), Precision("cpu", "float32", 1))  # type: ignore[arg-type]
    return learner.eval()


def frozen_up_to(learner: Learner, k: int) -> Learner:
    method = find_method("last-k")
    method.attach(learner, method.knobs(k=k))
    learner.settle()
    return learner.eval()


def batch(side: str = "right", rows: Sequence[int] = (11, 4, 7)) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    ids, mask = torch.zeros(len(rows), max(rows), dtype=torch.long), None
    mask = torch.zeros_like(ids)
    for row, length in enumerate(rows):
        place = slice(0, length) if side == "right" else slice(max(rows) - length, None)
        ids[row, place] = torch.randint(3, 90, (length,))
        mask[row, place] = 1
    return ids, mask


def split(learner: Learner, **settings: Any) -> FrozenTrunk:
    assert split_trunk(learner, {}, **settings) is None
    assert learner.frozen is not None
    return learner.frozen


def agree(learner: Learner, k: int) -> None:
    """Check hidden states and gradients of a split model against those of the whole one."""
    assert learner.frozen_layers() == learner.info.layers - k
    sides = ("right", "left") if learner.info.kind == "decoder" else ("right",)
    for side in sides:
        ids, mask = batch(side)
        learner.frozen = None
        found = []
        for _ in range(2):
            learner.zero_grad()
            states = learner.hidden(ids, mask)[mask.bool()]
            if k:
                (states**3).sum().backward()
            found.append((states.detach(), [p.grad for _, p in learner.named_trained()]))
            split(learner)
        (whole, gradients), (parted, again) = found
        torch.testing.assert_close(parted, whole, atol=1e-4, rtol=1e-4)
        for one, expected in zip(again, gradients, strict=True):
            torch.testing.assert_close(one, expected, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("kind", TINY_KINDS)
def test_a_split_model_computes_what_the_whole_one_does(load: Load, kind: TinyKind, k: int) -> None:
    agree(frozen_up_to(load(kind, "classes"), k), k)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("architecture", sorted(OTHERS))
def test_other_architectures_are_split_too(architecture: str, k: int) -> None:
    agree(frozen_up_to(other(architecture), k), k)


@pytest.mark.parametrize("architecture", ["mpnet", "distilbert"])
@torch.no_grad()
def test_states_that_another_run_made_are_enough(architecture: str, tmp_path: Path) -> None:
    shared = Shelves(tmp_path / "learnt", None, disk=2**20)
    ids, mask = batch()
    found = []
    for computed in (3, 0):
        learner = frozen_up_to(other(architecture), 1)
        frozen = split(learner, shelves=shared)
        found.append(learner.hidden(ids, mask))
        frozen.states.flush()
        assert frozen.states.spent.sequences == computed
    assert torch.equal(found[0], found[1])


@torch.no_grad()
def test_token_types_are_part_of_a_sequence(load: Load) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1)
    ids, mask = batch()
    split(learner)
    for types in (torch.zeros_like(ids), mask, None):
        expected = learner.run(ids, mask, types)[mask.bool()]
        found = learner.hidden(ids, mask, types)[mask.bool()]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def rows_of(ids: Tensor, mask: Tensor) -> list[tuple[Tensor, None]]:
    return [(one[real.bool()], None) for one, real in zip(ids, mask, strict=True)]


@pytest.mark.parametrize("kind", ["bert", "gpt2", "llama"])
@torch.no_grad()
def test_states_of_an_expected_sequence_hang_on_no_batch(
    load: Load, monkeypatch: pytest.MonkeyPatch, kind: TinyKind
) -> None:
    monkeypatch.setattr("tarazu.models.frozen._TOGETHER", 20)
    learner = frozen_up_to(load(kind, "classes"), 1)
    ids, mask = batch(rows=(11, 4, 7, 9, 5, 3))
    given: list[Tensor] = []
    above = FrozenTrunk.above

    def noting(self: FrozenTrunk, states: Tensor, *more: Any, **named: Any) -> Tensor:
        given.append(states)
        return above(self, states, *more, **named)

    monkeypatch.setattr(FrozenTrunk, "above", noting)
    seen = []
    for order in ([0, 1, 2, 3, 4, 5], [1, 5, 2, 0, 3, 4], [4, 1, 3, 2, 5, 0]):
        frozen = split(learner)
        # Neither the order in which they are expected nor that in which they come plays a part.
        assert frozen.expect([rows_of(ids, mask)[i] for i in reversed(order)])
        states = {}
        for start in (0, 3):
            rows = order[start : start + 3]
            width = int(mask[rows].sum(dim=1).max())
            given.clear()
            frozen.hidden(ids[rows, :width], mask[rows, :width])
            (batch_states,) = given
            states |= {row: batch_states[i][mask[row, :width].bool()] for i, row in enumerate(rows)}
        assert frozen.states.spent.sequences == 6
        seen.append(states)
    for row in range(6):
        assert torch.equal(seen[0][row], seen[1][row])
        assert torch.equal(seen[0][row], seen[2][row])


def test_states_computed_with_other_company_are_other_states(load: Load, tmp_path: Path) -> None:
    shared = Shelves(tmp_path / "learnt", None, disk=2**20)
    ids, mask = batch()
    computed = []
    for rows in ([0, 1, 2], [0, 1], [2, 1, 0]):
        frozen = split(frozen_up_to(load("bert", "classes"), 1), shelves=shared)
        frozen.expect(rows_of(ids[rows], mask[rows]))
        frozen.hidden(ids[:1], mask[:1])
        frozen.states.flush()
        computed.append(frozen.states.spent.sequences)
    assert computed == [3, 2, 0]


def test_sequences_of_like_length_are_computed_together_and_long_ones_alone(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tarazu.models.frozen._TOGETHER", 20)
    learner = frozen_up_to(load("bert", "classes"), 1)
    frozen = split(learner)
    shapes: list[tuple[int, ...]] = []
    block = learner.blocks()[0]
    original = block.forward

    def noting(states: Tensor, *more: Any, **named: Any) -> Any:
        shapes.append(tuple(states.shape[:2]))
        return original(states, *more, **named)

    block.forward = noting
    frozen.hidden(*batch(rows=(4, 25, 10, 11, 3, 4, 9, 4)))
    assert sorted(shapes) == [(1, 11), (1, 25), (2, 10), (4, 4)]


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
def test_each_frozen_layer_runs_once_per_sequence(load: Load, kind: TinyKind, k: int) -> None:
    learner = frozen_up_to(load(kind, "classes"), k)
    split(learner)
    calls = [0] * learner.info.layers
    for number, layer in enumerate(learner.blocks()):
        original = layer.forward

        def counting(
            *arguments: Any, number: int = number, original: Any = original, **named: Any
        ) -> Any:
            calls[number] += len(arguments[0])
            return original(*arguments, **named)

        layer.forward = counting
    ids, mask = batch()
    for _ in range(5):
        learner.train()
        learner.hidden(ids, mask)
        learner.eval()
        learner.hidden(ids[:2], mask[:2])
    below = learner.info.layers - k
    assert calls == [3] * below + [5 * (3 + 2)] * k


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["bert", "llama"])
@torch.no_grad()
def test_kept_states_are_to_the_bit_those_computed_again(
    load: Load, kind: TinyKind, dtype: str
) -> None:
    learner = frozen_up_to(load(kind, "classes", dtype=dtype), 1)
    ids, mask = batch()
    found = []
    for keep in (True, False):
        frozen = split(learner, keep=keep)
        with learner.compute():
            found.append([learner.hidden(ids, mask) for _ in range(2)])
        assert frozen.states.spent.sequences == (3 if keep else 2 * 3 * 3)
    assert all(torch.equal(found[0][0], one) for pair in found for one in pair)


PROMPTS = [[5, 6, 7, 8, 9, 10], [11, 12], [13, 14, 15, 16]]
WORDS = {"one token": [[20], [21], [22]], "several": [[20], [21, 23], [22, 24, 25]]}


@pytest.mark.parametrize("kind", ["gpt2", "llama", "gemma2", "mistral", "qwen3"])
@pytest.mark.parametrize("words", WORDS)
def test_continuations_are_scored_from_kept_states(load: Load, kind: Any, words: str) -> None:
    learner = other(kind, "text") if kind in OTHERS else load(kind, "text")
    frozen_up_to(learner, 1)

    def score(batch_size: int = 2) -> Tensor:
        asked = [WORDS[words]] * len(PROMPTS)
        rows = score_continuations(learner, PROMPTS, asked, pad_id=0, batch_size=batch_size)
        return torch.tensor(rows)

    whole = score()
    frozen = split(learner)
    first = score()
    torch.testing.assert_close(first, whole, atol=1e-4, rtol=1e-4)
    assert frozen.states.spent.sequences == len(PROMPTS)
    assert torch.equal(score(), first)
    assert frozen.states.spent.sequences == len(PROMPTS)
    split(learner, keep=False)
    assert torch.equal(score(), first)


def test_layers_are_as_before_after_every_pass_also_after_an_error(load: Load) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1)
    ids, mask = batch()
    blocks = list(learner.blocks())
    marked = blocks[0].forward
    blocks[0].forward = marked  # as `accelerate` does
    before = [block.__dict__.get("forward") for block in blocks]
    frozen = split(learner)
    learner.hidden(ids, mask)
    with pytest.raises(RuntimeError):
        frozen.above(torch.zeros(3, 11, 5), mask)  # of the wrong width
    assert [block.__dict__.get("forward") for block in blocks] == before
    assert before[0] is marked
    assert not any(block._forward_hooks for block in blocks)


class Leaking(nn.Module):
    """A layer that reads what a layer below it left behind, beside the states."""

    left: Tensor | None = None

    def __init__(self, layer: nn.Module, writes: bool) -> None:
        super().__init__()
        self.layer = layer
        self.writes = writes

    def forward(self, states: Tensor, *arguments: Any, **named: Any) -> Tensor:
        if self.writes:
            Leaking.left = states
        elif Leaking.left is not None and Leaking.left.shape == states.shape:
            states = states + Leaking.left
        found: Tensor = self.layer(states, *arguments, **named)
        return found


class Paired(nn.Module):
    """A layer that returns a pair."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, states: Any, *arguments: Any, **named: Any) -> Any:
        states = states[0] if isinstance(states, tuple) else states
        return self.layer(states, *arguments, **named), states


def test_a_model_that_cannot_be_split_runs_whole_and_says_why(load: Load) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1)
    blocks = learner.blocks()
    plain = list(blocks)
    blocks[0], blocks[2] = Leaking(plain[0], True), Leaking(plain[2], False)
    ids, mask = batch()
    before = learner.hidden(ids, mask)
    reason = split_trunk(learner, {})
    assert reason is not None
    assert "more than the trunk's states" in reason
    assert learner.frozen is None
    assert torch.equal(learner.hidden(ids, mask), before)
    for number, layer in enumerate(plain):
        blocks[number] = Paired(layer)
    reason = split_trunk(learner, {})
    assert reason is not None
    assert "TypeError" in reason
    assert learner.frozen is None


@pytest.mark.parametrize("method", ["full", "lora", "p-tuning"])
def test_without_a_frozen_trunk_nothing_is_split(load: Load, method: str) -> None:
    learner = load("bert", "classes", method=method)
    assert learner.frozen_layers() == 0
    assert split_trunk(learner, {}) is None
    assert learner.frozen is None


def test_adapters_in_upper_layers_alone_leave_a_trunk(load: Load) -> None:
    targets = tuple(f"layers.2.self_attn.{name}" for name in ("q_proj", "v_proj"))
    learner = load("llama", "classes", method="lora", targets=targets)
    learner.eval()
    assert learner.frozen_layers() == 2
    split(learner)
    ids, mask = batch()
    expected = learner.run(ids, mask)[mask.bool()]
    torch.testing.assert_close(learner.hidden(ids, mask)[mask.bool()], expected)


@pytest.mark.parametrize("training", [True, False])
def test_splitting_draws_nothing_and_keeps_the_mode(load: Load, training: bool) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1).train(training)
    modes = [module.training for module in learner.modules()]
    ids, mask = batch()
    state = torch.get_rng_state()
    split(learner)
    learner.eval().hidden(ids, mask)
    assert torch.equal(torch.get_rng_state(), state)
    learner.train(training)
    assert [module.training for module in learner.modules()] == modes


def test_dropout_above_the_trunk_draws_what_it_draws_in_the_whole_model(load: Load) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1).train()
    ids, mask = batch()
    found = []
    for _ in range(2):
        torch.manual_seed(7)
        found.append(learner.hidden(ids, mask)[mask.bool()])
        split(learner)
    torch.testing.assert_close(found[1], found[0], atol=1e-4, rtol=1e-4)


def test_the_key_tells_weights_layers_and_precision_apart(load: Load) -> None:
    def key(k: int = 1, dtype: str = "float32", **identity: str) -> str:
        learner = frozen_up_to(load("bert", "classes", dtype=dtype), k)
        assert split_trunk(learner, identity) is None
        assert learner.frozen is not None
        return learner.frozen.states.key

    keys = [key(), key(2), key(0), key(dtype="bfloat16"), key(files="other")]
    with switched(Fast(attention=False)):  # another attention rounds differently
        keys.append(key())
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_the_fingerprint_sees_any_change_below_and_none_in_what_is_trained(load: Load) -> None:
    learner = frozen_up_to(load("bert", "classes"), 1)
    blocks, seen = learner.blocks(), [fingerprint(learner)]
    with torch.no_grad():
        blocks[2].attention.self.query.weight.add_(1.0)
        learner.head.out.weight.add_(1.0)  # type: ignore[union-attr, operator]
        assert fingerprint(learner) == seen[0]
        blocks[0].attention.self.query.weight[3, 4] += 1e-6
        seen.append(fingerprint(learner))
        weight = blocks[1].output.dense.weight
        weight.copy_(weight.flip(0).clone())  # the same numbers elsewhere
        seen.append(fingerprint(learner))
        learner.trunk.embeddings.word_embeddings.weight.mul_(2)
        seen.append(fingerprint(learner))
    assert len(set(seen)) == 4


@pytest.mark.parametrize(
    ("gigabytes", "hidden", "inner", "expected"),
    [
        (16, 384, 1536, 8192),
        (16, 4096, 14336, 1024),
        (80, 4096, 14336, 8192),
        (1, 4096, 14336, 512),
    ],
)
def test_a_card_is_given_as_many_tokens_as_its_memory_suffers(
    load: Load,
    monkeypatch: pytest.MonkeyPatch,
    gigabytes: int,
    hidden: int,
    inner: int,
    expected: int,
) -> None:
    learner = load("bert", "classes")
    assert tokens_together(learner) == 512  # on a CPU, whose states others have kept
    config = {**learner.info.config, "intermediate_size": inner}
    learner.info = replace(learner.info, hidden_size=hidden, config=config)
    card = SimpleNamespace(device=torch.device("cuda"))
    monkeypatch.setattr(learner, "parameters", lambda: iter([card]))
    memory = SimpleNamespace(total_memory=gigabytes << 30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: memory)
    assert tokens_together(learner) == expected


def test_other_company_gives_states_another_name(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def names(together: int) -> set[bytes]:
        monkeypatch.setattr("tarazu.models.frozen._TOGETHER", together)
        frozen = split(frozen_up_to(load("bert", "classes"), 1))
        sequences = [(torch.arange(3, 3 + n), None) for n in (5, 6, 7, 8)]
        frozen.expect(sequences)
        return {group.named(one) for group in frozen._groups.values() for one in group.members}

    assert names(512) == names(512)
    assert not names(512) & names(8)


def test_states_of_a_card_do_not_hang_on_the_threads_of_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "some card")
    one, more = (processor(Precision("cuda", "bfloat16", threads)) for threads in (1, 8))
    assert one == more == {"processor": "some card", "deterministic": False}
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "another card")
    assert processor(Precision("cuda", "bfloat16", 1)) != one
    cpu = [processor(Precision("cpu", "float32", threads)) for threads in (1, 8)]
    assert cpu[0] != cpu[1]
