"""What holds for every way of reading an answer: which batches, in which order, what is kept."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tarazu.data.item import Item, Prediction
from tarazu.models.learner import Learner
from tarazu.models.load import HeadName
from tarazu.readings import find_reading
from tarazu.readings._reading import Asking, Decode
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, qa_items


@dataclass
class Reader:
    """A tiny model that answers in one way, and every forward pass it makes."""

    learner: Learner
    asking: Asking
    reading: HeadName
    items: list[Item]
    passes: list[tuple[torch.Size, list[list[int]]]] = field(default_factory=list)
    gradients: list[bool] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.learner.trunk.register_forward_pre_hook(self._note, with_kwargs=True)

    def _note(self, module: Any, inputs: Any, named: dict[str, Any]) -> None:
        ids = named["input_ids"]
        self.passes.append((ids.shape, ids.tolist()))
        self.gradients.append(torch.is_grad_enabled())

    def answer(
        self,
        items: Sequence[Item],
        tick: Callable[[int, int], None] = lambda done, total: None,
    ) -> list[Prediction]:
        """Answer items and forget the passes before."""
        self.passes.clear()
        return find_reading(self.reading).answer(self.learner, items, self.asking, tick)


@pytest.fixture(params=["classes", "spans", "score", "generate"])
def reader(
    request: pytest.FixtureRequest,
    load: Callable[..., Learner],
    tiny: Callable[[TinyKind], Path],
    ask: Callable[..., Asking],
    qa: Task,
) -> Reader:
    kind: TinyKind = "bert" if request.param in ("classes", "spans") else "llama"
    reading: HeadName = "text" if kind == "llama" else request.param
    asking = ask(tiny(kind), batch_size=4)
    if request.param == "spans":
        return Reader(load(kind, reading), replace(asking, task=qa), reading, qa_items(18))
    if kind == "llama":
        decode = Decode(max_new_tokens=4)
        asking = replace(asking, answer=request.param, decode=decode)
    return Reader(load(kind, reading), asking, reading, nli_items(18))


def test_t35_the_same_items_make_the_same_batches(reader: Reader) -> None:
    random.seed(1)
    torch.manual_seed(1)
    answers, passes = reader.answer(reader.items), list(reader.passes)
    random.seed(2)
    torch.manual_seed(2)
    assert reader.answer(reader.items) == answers
    assert reader.passes == passes
    assert len({len(ids[0]) for _, ids in passes}) > 1


def test_t35_the_order_of_the_items_changes_no_answer(reader: Reader) -> None:
    answers, passes = reader.answer(reader.items), list(reader.passes)
    assert [answer.item_id for answer in answers] == [item.id for item in reader.items]
    turned = reader.answer(reader.items[::-1])[::-1]
    # As much padding beside every item as before.
    assert [shape for shape, _ in reader.passes] == [shape for shape, _ in passes]
    alone = [reader.answer([item])[0] for item in reader.items]
    for other in (turned, alone):
        for one, again in zip(answers, other, strict=True):
            assert again.scores == pytest.approx(one.scores, abs=1e-4)
            assert replace(again, scores=()) == replace(one, scores=())
    assert len({(answer.raw, answer.scores) for answer in answers}) > 3


def held() -> int:
    """Return how many numbers all tensors together hold that anything still refers to."""
    gc.collect()
    return sum(one.nelement() for one in gc.get_objects() if issubclass(type(one), torch.Tensor))


def test_t37_nothing_is_kept_of_a_batch_but_its_answers(reader: Reader) -> None:
    """Memory must not grow with the number of items: all are alike here, so it stays the same."""
    items = [replace(reader.items[0], id=str(number)) for number in range(24)]
    at: list[int] = []
    answers = reader.answer(items, lambda done, total: at.append(held()))
    assert len(at) == 6
    assert max(at) <= at[0], at
    widest = max(1, len(reader.asking.task.labels))
    for answer in answers:
        assert all(type(score) is float for score in answer.scores)
        assert len(answer.scores) <= widest
        assert len(answer.raw) < 200
    assert not any(reader.gradients), "activations are kept for a gradient that nobody asks for"
