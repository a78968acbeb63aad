from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tarazu.catalog import find_method
from tarazu.models.count import count_parameters
from tarazu.models.load import empty_learner
from tarazu.record.record import Parameters
from tarazu.testing.tiny import HIDDEN as H
from tarazu.testing.tiny import LAYERS, POSITIONS, TinyKind, tiny_info, tiny_tokenizer

HEAD = H * H + H + 3 * H + 3  # dense and projection to three classes
BLOCK = 4 * (H * H + H) + 2 * (H * 2 * H) + 2 * H + H + 4 * H  # attention, feed-forward, norms


def counted(
    tiny: Callable[[TinyKind], Path], kind: TinyKind, method: str, **knobs: object
) -> Parameters:
    chosen = find_method(method)
    info = tiny_info(tiny(kind))
    learner = empty_learner(info, "classes" if info.kind == "encoder" else "text", 3)
    chosen.attach(learner, chosen.knobs(**knobs))
    return count_parameters(learner, chosen.deployed(learner))


def test_full_counts_every_parameter_and_ships_the_whole_model(
    tiny: Callable[[TinyKind], Path],
) -> None:
    vocabulary = len(tiny_tokenizer("bert"))
    body = (vocabulary + POSITIONS + 2) * H + 2 * H + LAYERS * BLOCK
    found = counted(tiny, "bert", "full")
    assert found == Parameters(
        total=body + HEAD, trained=body, head=HEAD, deployed=body + HEAD,
        deployed_bytes=4 * (body + HEAD),
    )  # fmt: skip


def test_last_k_counts_its_layers(tiny: Callable[[TinyKind], Path]) -> None:
    found = counted(tiny, "bert", "last-k", k=2)
    assert (found.trained, found.head, found.deployed) == (2 * BLOCK, HEAD, 2 * BLOCK + HEAD)


def test_lora_counts_both_factors(tiny: Callable[[TinyKind], Path]) -> None:
    found = counted(tiny, "bert", "lora", r=4)
    assert found.trained == LAYERS * 2 * 4 * (H + H)
    # Llama's value projection is narrower: two key/value heads for four query heads.
    assert counted(tiny, "llama", "lora", r=4).trained == LAYERS * 4 * ((H + H) + (H + H // 2))


def test_soft_prompt_ships_its_vectors_only(tiny: Callable[[TinyKind], Path]) -> None:
    found = counted(tiny, "gpt2", "p-tuning", virtual_tokens=7)
    assert found.deployed == 7 * H < found.trained
    assert found.deployed_bytes == 4 * 7 * H


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_tied_output_embeddings_count_once(
    tiny: Callable[[TinyKind], Path], kind: TinyKind
) -> None:
    info = tiny_info(tiny(kind))
    found = counted(tiny, kind, "full")
    assert info.tied_embeddings
    words = len(tiny_tokenizer(kind)) * H
    without_words = found.total - words
    assert found.total == found.trained
    assert without_words > 0
    learner = empty_learner(info, "text", 0)
    assert without_words == sum(
        p.numel()
        for n, p in learner.named_parameters()
        if "wte" not in n and "embed_tokens" not in n
    )
