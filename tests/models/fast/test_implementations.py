"""Whatever attention is active, prompts are packed, share their beginning, and answer alike."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tarazu.models
from tarazu.data.item import Item
from tarazu.models.fast import Fast, attention, sequences, switched
from tarazu.models.fast.attention import use_block_attention
from tarazu.models.fast.implementations import KNOWN, LIBRARY, OURS
from tarazu.models.fast.sequences import use_sequence_attention
from tarazu.models.learner import Learner
from tarazu.models.precision import Precision
from tarazu.models.prefix import can_share
from tarazu.readings import text
from tarazu.readings._reading import Asking
from tarazu.testing.tiny import TinyKind, nli_items

Load = Callable[..., Learner]
PRECISION = Precision("cpu", "float32", 1)
ACTIVATE: dict[str, Callable[[Learner], None]] = {
    LIBRARY: lambda learner: None,
    attention.NAME: lambda learner: use_block_attention(learner.body, learner.info),
    sequences.NAME: lambda learner: use_sequence_attention(learner.body, learner.info, PRECISION),
}
PLAIN = Fast(packed=False, prefix_cache=False, own_greedy=False)


def registering_modules() -> set[str]:
    """Return the modules of the package that register an attention with `transformers`."""
    found = set()
    root = Path(tarazu.models.__file__).parents[1]
    for file in root.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(
                ("AttentionInterface.register", "ALL_ATTENTION_FUNCTIONS.register")
            ):
                found.add(".".join(file.relative_to(root.parent).with_suffix("").parts))
    return found


def test_every_registered_attention_is_known_and_tried_here() -> None:
    modules = registering_modules()
    assert modules == {attention.__name__, sequences.__name__}
    assert {attention.NAME, sequences.NAME} == OURS
    assert ACTIVATE.keys() == KNOWN


def with_attention(load: Load, kind: TinyKind, name: str, method: str | None = None) -> Learner:
    with switched(Fast(attention=False, dropout=False)):
        learner = load(kind, "text", method=method).eval()
    ACTIVATE[name](learner)
    assert learner.body.config._attn_implementation == name
    return learner


def counted(
    learner: Learner, asking: Asking, items: list[Item], fast: Fast
) -> tuple[list[Any], int]:
    """Return the answers, and how many tokens went through the model, padding included."""
    tokens = 0

    def count(module: Any, arguments: Any, output: Any) -> None:
        nonlocal tokens
        tokens += output.last_hidden_state.shape[:2].numel()

    hook = learner.trunk.register_forward_hook(count)
    try:
        with switched(fast):
            answers = text.answer(learner, items, asking, lambda done, total: None)
    finally:
        hook.remove()
    return list(answers), tokens


@pytest.mark.parametrize("how", ["score", "generate"])
@pytest.mark.parametrize("method", [None, "p-tuning"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("name", sorted(KNOWN))
def test_t11_answers_are_the_same_for_far_fewer_tokens(
    load: Load,
    tiny: Callable[[TinyKind], Path],
    ask: Callable[..., Asking],
    name: str,
    kind: TinyKind,
    method: str | None,
    how: str,
) -> None:
    pool = nli_items(3, seed=5)
    asking = ask(tiny(kind), answer=how, demonstrations=lambda item: pool)
    learner = with_attention(load, kind, name, method)
    assert can_share(learner)
    fast, tokens = counted(learner, asking, nli_items(7), Fast())
    plain, without = counted(learner, asking, nli_items(7), PLAIN)
    for one, other in zip(fast, plain, strict=True):
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
        assert replace(one, scores=()) == replace(other, scores=())
    assert tokens * 2 < without
