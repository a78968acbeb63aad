from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from tarazu.data.item import Prediction
from tarazu.errors import BadInput
from tarazu.models.fast import Fast, switched
from tarazu.models.fast.last_layer import taken
from tarazu.models.learner import Batch, Learner
from tarazu.readings import text
from tarazu.readings._reading import IGNORED, Asking, Decode, collate
from tarazu.readings.prompts import encode_prompts
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, qa_items

Tiny = Callable[[TinyKind], Path]
Ask = Callable[..., Asking]
Load = Callable[..., Learner]


def answered(learner: Learner, asking: Asking, count: int = 9) -> list[Prediction]:
    items = nli_items(count) if asking.task.kind == "classify" else qa_items(count)
    return text.answer(learner, items, asking, lambda done, total: None)


def states_gradient(
    learner: Learner, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> torch.Tensor:
    """Return the gradient of the loss with respect to every hidden state, [b, s, h]."""
    kept = []
    original = Learner.hidden

    def hidden(self: Learner, *inputs: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
        kept.append(original(self, *inputs).detach().requires_grad_())
        return taken(kept[-1], read)

    monkeypatch.setattr(Learner, "hidden", hidden)
    torch.autograd.backward(text.loss(learner, batch))
    assert kept[0].grad is not None
    return kept[0].grad


@pytest.mark.parametrize("loss_on", ["answer", "all"])
def test_t1_prompt_has_no_gradient_unless_asked_for(
    load: Load, tiny: Tiny, ask: Ask, monkeypatch: pytest.MonkeyPatch, loss_on: str
) -> None:
    asking = ask(tiny("llama"), loss_on=loss_on)
    features = text.encode(nli_items(4), asking)
    gradient = states_gradient(load("llama", "text"), collate(features, 1), monkeypatch)
    moved = gradient.abs().sum(dim=-1) > 0
    for row, feature in enumerate(features):
        size = len(feature.input_ids)
        predicts = [label != IGNORED for label in feature.labels[1:]]
        assert moved[row].tolist() == predicts + [False] * (moved.shape[1] - size + 1)
        assert sum(predicts) == feature.terms
        assert feature.terms < 6 if loss_on == "answer" else feature.terms == size - 1


@torch.no_grad()
def test_t1_loss_is_the_mean_over_answer_tokens(load: Load, tiny: Tiny, ask: Ask) -> None:
    learner = load("gpt2", "text")
    asking = ask(tiny("gpt2"))
    items = nli_items(5)
    features = text.encode(items, asking)
    expected = []
    for item in items:
        one = encode_prompts([item], [[item.gold[0]]], asking, room=0)[0]
        ids = [*one.prompt, *one.answers[0], asking.tokenizer.eos_token_id]
        logits = learner.body(torch.tensor([ids])).logits[0, len(one.prompt) - 1 : -1]
        expected.append(functional.cross_entropy(logits, torch.tensor(ids[len(one.prompt) :])))
        assert len(logits) == len(one.answers[0]) + 1
    terms = torch.tensor([feature.terms for feature in features])
    summed = text.loss(learner, collate(features, 0))
    torch.testing.assert_close(summed, (torch.stack(expected) * terms).sum())


@pytest.mark.parametrize("loss_on", ["answer", "all"])
def test_labelled_positions_alone_are_projected_unless_it_is_switched_off(
    load: Load, tiny: Tiny, ask: Ask, monkeypatch: pytest.MonkeyPatch, loss_on: str
) -> None:
    features = text.encode(nli_items(4), ask(tiny("llama"), loss_on=loss_on))
    batch = collate(features, 1)
    learner = load("llama", "text", method="lora").eval()  # without dropout
    projected: list[int] = []
    project = Learner.vocabulary_logits

    def counted(self: Learner, states: torch.Tensor) -> torch.Tensor:
        projected.append(states[..., 0].numel())
        return project(self, states)

    monkeypatch.setattr(Learner, "vocabulary_logits", counted)
    short = text.loss(learner, batch)
    with switched(Fast(labelled_only=False)):
        whole = text.loss(learner, batch)
    rows, tokens = batch["input_ids"].shape
    assert projected == [sum(feature.terms for feature in features), rows * (tokens - 1)]
    assert short.item() == pytest.approx(whole.item(), rel=1e-5)
    weights = [weight for _, weight in learner.named_trained()]
    for one, other in zip(
        torch.autograd.grad(short, weights), torch.autograd.grad(whole, weights), strict=True
    ):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_t3_one_token_label_trains_exactly_the_label_and_the_end(tiny: Tiny, ask: Ask) -> None:
    asking = ask(tiny("gpt2"))
    item = next(item for item in nli_items(3) if item.gold == ("neutral",))
    feature = text.encode([item], asking)[0]
    label = asking.tokenizer(" neutral")["input_ids"]
    assert len(label) == 1
    end = asking.tokenizer.eos_token_id
    assert feature.labels == [IGNORED] * (len(feature.input_ids) - 2) + [*label, end]
    assert feature.terms == 2


@pytest.mark.parametrize("kind", ["gpt2", "llama", "llama-chat"])
def test_t5_end_after_the_answer_is_trained_and_padding_is_not(
    tiny: Tiny, ask: Ask, kind: TinyKind
) -> None:
    asking = ask(tiny(kind), chat=kind == "llama-chat")
    end = asking.tokenizer.eos_token_id
    assert asking.tokenizer.pad_token_id == end
    features = text.encode(nli_items(6), asking)
    batch = collate(features, end)
    for row, feature in enumerate(features):
        size = len(feature.input_ids)
        assert feature.input_ids[-1] == end
        assert batch["labels"][row, size - 1] == end
        assert batch["attention_mask"][row].sum() == size
        assert (batch["labels"][row, size:] == IGNORED).all()
    assert int((batch["labels"] == end).sum()) == len(features)


def test_t13_colliding_label_words_are_refused(load: Load, tiny: Tiny, ask: Ask, nli: Task) -> None:
    words = dict(zip(nli.labels, ("contra", "contradiction", "neutral"), strict=True))
    asking = ask(tiny("gpt2"), task=replace(nli, label_words=words))
    with pytest.raises(BadInput, match=r"no label's tokens may begin another label's.*'contra'"):
        answered(load("gpt2", "text"), asking, 1)


def test_t14_sum_token_and_calibrated_are_all_reported_and_the_choice_is_fixed(
    load: Load, tiny: Tiny, ask: Ask
) -> None:
    learner = load("gpt2", "text")
    asking = ask(tiny("gpt2"))
    items = nli_items(9)
    by_rule = {
        rule: answered(learner, replace(asking, label_score=rule))
        for rule in ("sum", "token", "calibrated")
    }
    labels = asking.task.labels
    tokens = [len(a) for a in encode_prompts(items[:1], [labels], asking, room=0)[0].answers]
    assert tokens == [1, 1, 2]
    empty = text._empty_scores(learner, items, labels, asking)
    for index, item in enumerate(items):
        rows = {rule: found[index] for rule, found in by_rule.items()}
        sums = torch.tensor(rows["sum"].scores)
        torch.testing.assert_close(torch.tensor(rows["token"].scores), sums / torch.tensor(tokens))
        torch.testing.assert_close(
            torch.tensor(rows["calibrated"].scores), sums - torch.tensor(empty[index].tolist())
        )
        for row in rows.values():
            assert row.predicted == labels[max(range(3), key=row.scores.__getitem__)]
            assert row.metrics == {
                f"accuracy_{rule}": float(other.predicted == item.gold[0])
                for rule, other in rows.items()
            }
    assert len({tuple(p.predicted for p in found) for found in by_rule.values()}) > 1


def test_calibration_with_demonstrations_of_each_item_uses_its_own_prompt(
    load: Load, tiny: Tiny, ask: Ask
) -> None:
    learner = load("gpt2", "text")
    pool = nli_items(9, seed=4)
    own = ask(tiny("gpt2"), fixed=False, demonstrations=lambda i: [pool[int(i.id[-1])]])
    rows = text._empty_scores(learner, nli_items(3), own.task.labels, own)
    assert len({tuple(row) for row in rows}) == 3


@pytest.mark.parametrize("answer", ["score", "generate"])
@pytest.mark.parametrize("method", [None, "p-tuning"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t11_t35_answers_do_not_depend_on_the_batch_size(
    load: Load, tiny: Tiny, ask: Ask, kind: TinyKind, method: str | None, answer: str
) -> None:
    learner = load(kind, "text", method=method)
    asking = ask(tiny(kind), answer=answer)
    found = {size: answered(learner, replace(asking, batch_size=size)) for size in (1, 4, 16)}
    for size in (4, 16):
        for one, many in zip(found[1], found[size], strict=True):
            assert one.scores == pytest.approx(many.scores, abs=1e-5)
            assert replace(one, scores=()) == replace(many, scores=())
    if answer == "generate":
        assert len({prediction.raw for prediction in found[1]}) > 1


def demonstrations(how: str) -> dict[str, Any]:
    """Return no demonstrations, the same for all items, or others for each."""
    pool = nli_items(9, seed=4)
    return {
        "none": {},
        "fixed": {"demonstrations": lambda item: pool[:2]},
        "similar": {"demonstrations": lambda item: [pool[int(item.id[-1])]], "fixed": False},
    }[how]


@pytest.mark.parametrize("answer", ["score", "generate"])
@pytest.mark.parametrize("shots", ["none", "fixed", "similar"])
@pytest.mark.parametrize(
    ("kind", "method"), [("llama", None), ("llama-chat", None), ("gpt2", "p-tuning")]
)
def test_every_way_of_asking_is_answered_alike_fast_and_slow(
    load: Load, tiny: Tiny, ask: Ask, kind: TinyKind, method: str | None, shots: str, answer: str
) -> None:
    learner = load(kind, "text", method=method)
    chat = kind == "llama-chat"
    asking = ask(
        tiny(kind), answer=answer, chat=chat, label_score="calibrated", **demonstrations(shots)
    )
    expected = answered(learner, asking)
    slow = Fast(packed=False, prefix_cache=False, own_greedy=False)
    for choice in (slow, Fast(prefix_cache=False)):
        with switched(choice):
            found = answered(learner, asking)
        for one, other in zip(expected, found, strict=True):
            assert one.scores == pytest.approx(other.scores, abs=1e-4)
            assert replace(one, scores=()) == replace(other, scores=())


@pytest.mark.parametrize("kind", ["llama", "llama-chat"])
def test_instructions_and_fixed_demonstrations_are_computed_once(
    load: Load, tiny: Tiny, ask: Ask, kind: TinyKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load(kind, "text")
    shapes = []
    original = Learner.hidden

    def noted(self: Learner, ids: torch.Tensor, *inputs: Any, **more: Any) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        return original(self, ids, *inputs, **more)

    monkeypatch.setattr(Learner, "hidden", noted)
    told = {}
    for shots in ("none", "fixed", "similar"):
        asking = ask(tiny(kind), chat=kind == "llama-chat", **demonstrations(shots))
        prompts = encode_prompts(nli_items(9), [()] * 9, asking, room=0)
        shapes.clear()
        answered(learner, asking)
        told[shots] = shapes[0]
        assert all(len(one.prompt) > shapes[0][1] for one in prompts)
    head = asking.tokenizer.apply_chat_template if asking.chat else None
    instruction = asking.task.instruction(asking.template)
    first = (
        head([{"role": "system", "content": instruction}], tokenize=False) if head else instruction
    )
    shortest = len(asking.tokenizer(first, add_special_tokens=not asking.chat)["input_ids"])
    # Not to the token: what follows may begin alike in all prompts, and tokens may merge.
    assert told["none"][0] == told["fixed"][0] == 1
    assert shortest - 1 <= told["none"][1] <= shortest + 12
    assert told["similar"][1] <= told["none"][1] + 1
    assert told["fixed"][1] > told["none"][1] + 30


def test_t17_text_that_is_no_answer_is_none_and_never_a_class(
    load: Load, tiny: Tiny, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {" Entailment.": "entailment", " I do not know": None, " neutral or entailment": None}
    said |= {"": None}
    monkeypatch.setattr(text, "generate", lambda *inputs, **settings: list(said))
    found = answered(load("gpt2", "text"), ask(tiny("gpt2"), answer="generate"), len(said))
    assert {prediction.raw: prediction.predicted for prediction in found} == said


def test_t4_generated_answers_fit_into_the_context(
    load: Load, tiny: Tiny, ask: Ask, qa: Task
) -> None:
    item = qa_items(1)[0]
    long = item.with_fields(context=item.fields["context"] * 40)
    asking = ask(tiny("gpt2"), task=qa, answer="generate", decode=Decode(max_new_tokens=20))
    found = text.answer(load("gpt2", "text"), [long], asking, lambda done, total: None)[0]
    assert found.cut_tokens > 0
    assert found.prompt_tokens + 20 <= 512
