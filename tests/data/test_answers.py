"""The answers of a run: they come back as they were, and take little memory until then."""

from __future__ import annotations

import gc
import math
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tarazu.data import answers as module
from tarazu.data.answers import Answers, mean_metrics
from tarazu.data.item import Item, Prediction
from tarazu.models.learner import Learner
from tarazu.models.states import Shelves
from tarazu.readings import classes, spans, text
from tarazu.readings._reading import Asking
from tarazu.readings.tables import Tables
from tarazu.record import tables
from tarazu.record.tables import predictions_table, to_bytes
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, qa_items
from tarazu.work import scored

TEXTS = st.text(st.characters(codec=None), max_size=20)  # halves of surrogate pairs, too
PREDICTIONS = st.builds(
    Prediction,
    item_id=TEXTS,
    predicted=st.none() | TEXTS,
    raw=TEXTS,
    scores=st.lists(st.floats(), max_size=3).map(tuple),
    cut_tokens=st.integers(0, 10**6),
    prompt_tokens=st.integers(0, 10**6),
    split=st.sampled_from(["a", "b"]),
    variant=st.sampled_from(["main", "merged"]),
    metrics=st.dictionaries(st.sampled_from(["f1", "accuracy"]), st.floats()),
)


def some(count: int, *, length: int = 3, start: int = 0) -> Iterator[Prediction]:
    """Yield predictions like those of a run; the metrics of later ones differ."""
    for number in range(start, start + count):
        yield Prediction(
            f"test-{number}",
            predicted=None if number % 7 == 0 else f"answer {number}",
            raw=" ".join(f"word{number % 97}" for _ in range(length)),
            scores=() if number % 5 == 0 else (-number / 3, math.nan),
            cut_tokens=number % 3,
            prompt_tokens=number,
            split="test" if number < 1800 else "other",
            metrics={"f1": number / 7} if number < 1500 else {"exact": 1.0, "f1": 0.5},
        )


@given(st.lists(PREDICTIONS, max_size=8), st.integers(1, 4))
def test_answers_come_back_as_they_were(predictions: list[Prediction], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "AT_ONCE", size)
        found = Answers.of(iter(predictions))
        sent = ForkingPickler.loads(ForkingPickler.dumps(found))  # as between processes
        split = Answers.of(predictions[:3]) + Answers.of(predictions[3:])
        for one in (found, sent, split):
            assert len(one) == len(predictions)
            assert repr(list(one)) == repr(predictions)  # makes NaN equal to itself
        assert [repr(found[place]) for place in range(len(found))] == list(map(repr, predictions))
        assert repr(found[1:3]) == repr(predictions[1:3])
        with pytest.raises(IndexError):
            found[len(predictions)]
        groups = found.groups()
        assert list(groups) == list(dict.fromkeys((p.split, p.variant) for p in predictions))
        for (name, variant), several in groups.items():
            wanted = [p for p in predictions if (p.split, p.variant) == (name, variant)]
            assert repr(list(several)) == repr(wanted)


def test_answers_equal_a_list_of_the_same() -> None:
    predictions = [Prediction("a", "x", "x"), Prediction("b", None, "")]
    assert Answers.of(predictions) == predictions
    assert Answers.of(predictions) == Answers.of(predictions)
    assert Answers.of(predictions) != predictions[::-1]
    assert Answers.of(predictions) != predictions[:1]


def at_once(predictions: Sequence[Prediction]) -> pa.Table:
    """Return the table of predictions that are all in memory, each column made whole."""
    names = sorted({name for p in predictions for name in p.metrics})
    texts = ("item_id", "split", "variant", "predicted", "raw")
    return pa.table(
        {
            **{
                name: pa.array([getattr(p, name) for p in predictions], pa.string())
                for name in texts
            },
            "scores": pa.array([list(p.scores) for p in predictions], pa.list_(pa.float32())),
            **{
                f"m_{name}": pa.array([p.metrics.get(name) for p in predictions], pa.float64())
                for name in names
            },
            "cut_tokens": pa.array([p.cut_tokens for p in predictions], pa.int64()),
            "prompt_tokens": pa.array([p.prompt_tokens for p in predictions], pa.int64()),
        }
    )


@pytest.mark.parametrize("count", [0, 1, 1024, 2500])
def test_a_file_has_the_bytes_of_a_table_that_is_made_at_once(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictions = list(some(count))
    expected = to_bytes(at_once(predictions))
    for size in (100, 1024, 4096):
        monkeypatch.setattr(tables, "AT_ONCE", size)
        assert to_bytes(predictions_table(predictions)) == expected
        assert to_bytes(predictions_table(Answers.of(predictions))) == expected


def test_means_are_over_the_items_that_have_a_metric() -> None:
    found = mean_metrics([{"b": 1.0, "a": 0.1}, {"b": 0.0, "a": 0.2}, {"c": 3.0, "a": 0.3}])
    assert found == {"b": 0.5, "a": sum([0.1, 0.2, 0.3]) / 3, "c": 3.0}
    assert list(found) == ["b", "a", "c"]
    assert mean_metrics([]) == {}


def growth(work: Callable[[int], Any], few: int, many: int) -> tuple[float, float]:
    """Return the bytes by which one more item raises what is held afterwards, and the peak."""
    work(few)  # what comes once for all
    found = []
    for count in (few, many):
        gc.collect()
        tracemalloc.start()
        held = work(count)
        gc.collect()
        found.append(tracemalloc.get_traced_memory())
        tracemalloc.stop()
        del held
    held_more, peak_more = (
        (after - before) / (many - few) for before, after in zip(*found, strict=True)
    )
    return held_more, peak_more


def test_t37_little_is_held_of_an_answer() -> None:
    held, peak = growth(lambda count: Answers.of(some(count, length=60)), 1024, 8192)
    assert held < 60, held
    assert peak < 60, peak


def zeros(learner: Learner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Stand for the logits of three classes."""
    return torch.zeros(len(batch["input_ids"]), 3)


def edges(learner: Learner, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Stand for the logits of starts and ends."""
    return torch.zeros(*batch["input_ids"].shape, 2)


def flat(learner: Learner, prompts: Sequence[Any], words: Sequence[Any], **more: Any) -> Any:
    """Stand for the scores of label words."""
    return np.zeros((len(prompts), len(words[0])))


def spoken(learner: Learner, prompts: Sequence[Any], **more: Any) -> list[str]:
    """Stand for what is generated: the same for all, so that the texts are not measured."""
    return ["neutral"] * len(prompts)


@pytest.mark.parametrize("how", ["classes", "spans", "score", "each", "generate"])
def test_t37_memory_of_answering_does_not_grow_with_objects(
    load: Callable[..., Learner],
    tiny: Callable[[TinyKind], Path],
    ask: Callable[..., Asking],
    nli: Task,
    qa: Task,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    """The model's own work is left out; the tokens of the items are in their files by then."""
    reading = {"classes": classes, "spans": spans}.get(how, text)
    monkeypatch.setattr(classes, "logits", zeros)
    monkeypatch.setattr(spans, "logits", edges)
    monkeypatch.setattr(text, "score_continuations", flat)
    monkeypatch.setattr(text, "generate", spoken)
    kind: TinyKind = "llama" if reading is text else "bert"
    learner = load(kind, reading.READING.name)
    task, items = (qa, qa_items(2100)) if reading is spans else (nli, nli_items(2100))
    asking = ask(
        tiny(kind),
        task=task,
        batch_size=64,
        answer="generate" if how == "generate" else "score",
        fixed=how != "each",
        tables=Tables({}, Shelves(tmp_path / "learnt", None, disk=2**30)),
    )

    def answered(count: int) -> Answers:
        found = reading.answer(learner, items[:count], asking, lambda done, total: None)
        return scored(found, items[:count], task, "test", "main")

    answered(2100)
    held, peak = growth(answered, 600, 2100)
    assert held < 80, held
    assert peak < 330, peak


def test_t37_scores_of_label_words_are_numbers_beside_each_other(
    load: Callable[..., Learner],
) -> None:
    from tarazu.evaluation.scoring import score_continuations

    prompts, words = [[5, 6, 7], [8, 9]], [[[5], [6, 7]]] * 2
    found = score_continuations(load("llama", "text"), prompts, words, pad_id=1, batch_size=2)
    assert (found.shape, found.dtype) == ((2, 2), np.float64)


def test_t37_viewed_items_are_answered_as_themselves(nli: Task) -> None:
    items: list[Item] = nli_items(3)
    shown = [replace(item, gold=("neutral",)) for item in items]
    predictions = [Prediction(item.id, item.gold[0], item.gold[0]) for item in shown]
    found = scored(predictions, items, nli, "test", "main")
    assert [p.metrics["accuracy"] for p in found] == [float(i.gold[0] == "neutral") for i in items]
