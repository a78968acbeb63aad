from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from tarazu.data.item import Item
from tarazu.errors import BadInput
from tarazu.models.learner import Learner
from tarazu.readings import spans
from tarazu.readings._reading import Asking, Feature, collate
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, qa_items

Tiny = Callable[[TinyKind], Path]
Ask = Callable[..., Asking]
Load = Callable[..., Learner]
CONTEXT = "Nora bought a lamp. Omid bought a very old drum"
QUESTION = "Who bought a lamp?"


def item(gold: str, start: int | None = None, context: str = CONTEXT) -> Item:
    starts = () if start is None else (start,)
    return Item("i", "g", {"context": context, "question": QUESTION}, (gold,), starts)


def marked(feature: Feature, context: str) -> str:
    first, last = feature.labels
    return context[feature.offsets[first][0] : feature.offsets[last][1]].strip()


@pytest.fixture(params=["bert", "roberta"])
def asking(request: pytest.FixtureRequest, tiny: Tiny, ask: Ask, qa: Task) -> Asking:
    # The tokenizer of the tiny RoBERTa counts the space before a word to the word.
    return ask(tiny(request.param), task=qa, max_length=384)


@pytest.mark.parametrize("gold", ["Nora", "Omid", "lamp", "a very old drum", "drum", CONTEXT])
def test_t18_gold_span_is_found_from_the_first_token_to_the_last(asking: Asking, gold: str) -> None:
    feature = spans.encode([item(gold, CONTEXT.find(gold))], asking)[0]
    assert feature.labels != (0, 0)
    assert marked(feature, CONTEXT) == gold


def test_t18_offsets_that_include_the_space_mark_the_same_words(
    tiny: Tiny, ask: Ask, qa: Task
) -> None:
    asking = ask(tiny("roberta"), task=qa)
    feature = spans.encode([item("Omid", CONTEXT.find("Omid"))], asking)[0]
    first, _ = feature.offsets[feature.labels[0]]
    assert CONTEXT[first] == " "
    assert feature.labels[0] == feature.labels[1]


def test_t18_the_stated_place_decides_between_equal_words(asking: Asking) -> None:
    second = CONTEXT.rfind("bought")
    feature = spans.encode([item("bought", second)], asking)[0]
    assert feature.offsets[feature.labels[0]][1] == second + len("bought")


def test_t18_gold_with_space_around_it_is_still_found(asking: Asking) -> None:
    feature = spans.encode([item(" lamp. ", CONTEXT.find(" lamp"))], asking)[0]
    assert marked(feature, CONTEXT) == "lamp."


def test_t18_absent_gold_is_marked_as_absent(asking: Asking) -> None:
    assert spans.encode([item("Sara")], asking)[0].labels == (0, 0)


def test_t18_windows_lose_no_token_and_overlap(asking: Asking) -> None:
    asking = replace(asking, max_length=64)
    long = item("Omid", None, " ".join(f"{CONTEXT}." for _ in range(12)))
    features = spans.encode([long], asking)
    assert len(features) > 3
    whole = asking.tokenizer(
        long.fields["context"], add_special_tokens=False, return_offsets_mapping=True
    )["offset_mapping"]
    seen = [[o for o in f.offsets if o != spans.OUTSIDE] for f in features]
    assert sorted({o for window in seen for o in window}) == sorted(set(whole))
    for one, following in pairwise(seen):
        assert one[-1] >= following[0]
        assert len(set(one) & set(following)) >= 16
    assert all(len(f.input_ids) <= 64 for f in features)


def test_t18_window_without_the_gold_is_marked_as_absent(asking: Asking) -> None:
    asking = replace(asking, max_length=64)
    context = " ".join(["The cat is in the barn."] * 20 + ["Sara bought a kite."])
    features = spans.encode([item("Sara", context.find("Sara"), context)], asking)
    labels = [feature.labels for feature in features]
    assert labels[0] == (0, 0)
    assert marked(features[-1], context) == "Sara"


def test_t4_the_context_is_cut_and_never_the_question(asking: Asking) -> None:
    question = f"Who bought a {'very ' * 40}old drum?"
    one = item("Omid", None, f"{CONTEXT}. " * 3).with_fields(question=question)
    words = asking.tokenizer(question, add_special_tokens=False)["input_ids"]
    # What is left for the context is shorter than the question.
    room = len(asking.tokenizer(question)["input_ids"]) + 2 + 16
    features = spans.encode([one], replace(asking, max_length=room))
    assert len(features) > 1
    for feature in features:
        assert list(feature.input_ids[1 : 1 + len(words)]) == words
        assert len(feature.input_ids) <= room


def test_too_little_room_for_the_context_is_refused(asking: Asking) -> None:
    with pytest.raises(BadInput, match="must leave room for the context beside the longest"):
        spans.encode([item("Nora", 0)], replace(asking, max_length=20))


def test_best_span_is_the_best_ordered_pair_inside_the_context() -> None:
    offsets = [(-1, -1), (0, 2), (2, 5), (5, 9), (-1, -1)]
    scores = torch.zeros(6, 2)  # one column of padding
    scores[0] = 99.0
    scores[4:] = 99.0
    scores[3, 0] = 5.0  # the best start stands behind the best end
    scores[1, 1] = 4.0
    assert spans.best_span(scores, offsets) == (5.0, 5, 9)
    scores[1, 0] = 2.0
    assert spans.best_span(scores, offsets) == (6.0, 0, 2)


def test_answers_are_not_longer_than_allowed() -> None:
    offsets = [(i, i + 1) for i in range(spans.LONGEST + 5)]
    scores = torch.zeros(len(offsets), 2)
    scores[0, 0] = scores[-1, 1] = 9.0
    scores[spans.LONGEST - 1, 1] = 8.0
    assert spans.best_span(scores, offsets) == (17.0, 0, spans.LONGEST)


@torch.no_grad()
def test_t18_answers_at_the_first_and_last_token_can_be_given(
    load: Load, asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load(asking.info.architecture, "spans")
    for gold in ("Nora", "drum"):
        one = item(gold, CONTEXT.rfind(gold))
        feature = spans.encode([one], asking)[0]
        first, last = feature.labels
        scores = torch.zeros(1, len(feature.input_ids), 2)
        scores[0, first, 0] = scores[0, last, 1] = 9.0
        monkeypatch.setattr(spans, "logits", Mock(return_value=scores))
        found = spans.answer(learner, [one], asking, lambda done, total: None)[0]
        assert (found.predicted, found.scores) == (gold, (18.0,))


@pytest.mark.parametrize("method", [None, "p-tuning"])
def test_t35_answers_do_not_depend_on_the_batch_size(
    load: Load, asking: Asking, method: str | None
) -> None:
    learner = load(asking.info.architecture, "spans", method=method)
    items = qa_items(9)
    items[3] = items[3].with_fields(context=items[3].fields["context"] * 6)
    asking = replace(asking, max_length=64)
    found = {
        size: spans.answer(
            learner, items, replace(asking, batch_size=size), lambda done, total: None
        )
        for size in (1, 4, 16)
    }
    for size in (4, 16):
        for one, many in zip(found[1], found[size], strict=True):
            assert one.scores == pytest.approx(many.scores, abs=1e-5)
            assert replace(one, scores=()) == replace(many, scores=())
    assert found[1][3].prompt_tokens > 64
    assert [p.item_id for p in found[1]] == [i.id for i in items]


@torch.no_grad()
def test_loss_is_the_mean_of_start_and_end(load: Load, asking: Asking) -> None:
    learner = load(asking.info.architecture, "spans")
    features = spans.encode(qa_items(3), asking)
    batch = collate(features, asking.tokenizer.pad_token_id)
    expected = 0.0
    for feature in features:
        alone = spans.logits(learner, collate([feature], 0))[0].log_softmax(dim=0)
        expected -= float(alone[feature.labels[0], 0] + alone[feature.labels[1], 1]) / 2
    assert float(spans.loss(learner, batch)) == pytest.approx(expected, abs=1e-4)
