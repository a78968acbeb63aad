from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional

from tarazu.errors import BadInput
from tarazu.models.learner import Learner
from tarazu.readings import classes
from tarazu.readings._reading import Asking, by_length, collate
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items

Tiny = Callable[[TinyKind], Path]
Ask = Callable[..., Asking]
Load = Callable[..., Learner]


@pytest.mark.parametrize("method", [None, "p-tuning"])
@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2", "llama"])
def test_t35_answers_do_not_depend_on_the_batch_size(
    load: Load, tiny: Tiny, ask: Ask, kind: TinyKind, method: str | None
) -> None:
    learner = load(kind, "classes", method=method)
    found = {
        size: classes.answer(
            learner, nli_items(20), ask(tiny(kind), batch_size=size), lambda done, total: None
        )
        for size in (1, 4, 16)
    }
    for size in (4, 16):
        for one, many in zip(found[1], found[size], strict=True):
            assert one.scores == pytest.approx(many.scores, abs=1e-5)
            assert replace(one, scores=()) == replace(many, scores=())


def test_t35_batches_are_of_like_length_and_always_the_same() -> None:
    lengths = [i % 3 + 1 for i in range(8)]
    batches = list(by_length(lengths, 3))
    assert batches == [[2, 5, 1], [4, 7, 0], [3, 6]]
    assert batches == list(by_length(lengths, 3))


def test_t37_no_logits_are_kept(load: Load, tiny: Tiny, ask: Ask) -> None:
    learner = load("bert", "classes")
    seen: list[weakref.ref[torch.Tensor]] = []
    assert learner.head is not None
    learner.head.register_forward_hook(lambda m, i, output: seen.append(weakref.ref(output)))
    alive: list[int] = []

    def tick(done: int, total: int) -> None:
        gc.collect()
        alive.append(sum(one() is not None for one in seen))

    found = classes.answer(learner, nli_items(12), ask(tiny("bert")), tick)
    assert len(seen) == 3
    assert max(alive) <= 1
    assert not any(isinstance(score, torch.Tensor) for p in found for score in p.scores)


def test_loss_is_the_summed_cross_entropy_of_the_classes(load: Load, tiny: Tiny, ask: Ask) -> None:
    learner = load("bert", "classes")
    asking = ask(tiny("bert"))
    items = nli_items(6)
    features = classes.encode(items, asking)
    answers = classes.answer(learner, items, asking, lambda done, total: None)
    expected = -sum(
        p.scores[asking.task.labels.index(i.gold[0])] for p, i in zip(answers, items, strict=True)
    )
    with torch.no_grad():
        assert float(classes.loss(learner, collate(features, 0))) == pytest.approx(
            expected, abs=1e-4
        )
    assert [p.prompt_tokens for p in answers] == [len(f.input_ids) for f in features]


@torch.no_grad()
def test_scores_are_log_probabilities_in_the_order_of_the_labels(
    load: Load, tiny: Tiny, ask: Ask
) -> None:
    learner = load("bert", "classes")
    assert learner.head is not None
    learner.head.out.bias[2] += 50  # type: ignore[union-attr, index, operator]
    for found in classes.answer(learner, nli_items(3), ask(tiny("bert")), lambda done, total: None):
        assert found.predicted == "contradiction"
        assert found.scores == pytest.approx((-50, -50, 0), abs=5)
        assert functional.softmax(torch.tensor(found.scores), 0).sum() == pytest.approx(1)


@pytest.mark.parametrize("kind", ["bert", "roberta"])
def test_t4_only_the_premise_is_cut(tiny: Tiny, ask: Ask, kind: TinyKind) -> None:
    item = nli_items(1)[0]
    # What is left of the premise is shorter than the hypothesis, which stays whole all the same.
    long = item.with_fields(
        premise="The cat is in the barn. " * 20, hypothesis="The cat is " + "very " * 20 + "old."
    )
    asking = ask(tiny(kind), max_length=40)
    whole = classes.encode([long], replace(asking, max_length=512))[0]
    cut = classes.encode([long], asking)[0]
    assert len(cut.input_ids) == 40
    assert cut.cut_tokens == len(whole.input_ids) - 40
    decoded = asking.tokenizer.decode(cut.input_ids, skip_special_tokens=True)
    assert decoded.lower().replace(" .", ".").endswith(long.fields["hypothesis"].lower())
    if cut.token_types is not None:
        assert sum(cut.token_types) == sum(whole.token_types or ())


@pytest.mark.parametrize("over", [0, 1])
def test_t4_premise_may_be_cut_whole_but_nothing_else(tiny: Tiny, ask: Ask, over: int) -> None:
    item = nli_items(1)[0]
    asking = ask(tiny("bert"))
    least = len(classes.encode([item.with_fields(premise="")], asking)[0].input_ids)
    asking = replace(asking, max_length=least - over)
    if over:
        with pytest.raises(BadInput, match=r"everything but its premise must fit into"):
            classes.encode([item], asking)
    else:
        assert len(classes.encode([item], asking)[0].input_ids) == least


def test_one_text_is_read_as_one(tiny: Tiny, ask: Ask, one_text: Task) -> None:
    asking = ask(tiny("bert"), task=one_text)
    feature = classes.encode(nli_items(1), asking)[0]
    assert list(feature.input_ids).count(asking.tokenizer.sep_token_id) == 1
