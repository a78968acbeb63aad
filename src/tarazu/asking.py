"""From the settings of a run to how its items are asked, and what the record keeps of it (N8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tarazu.data.item import Item
from tarazu.errors import bad, did_you_mean
from tarazu.methods._method import Demonstrations, Method
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.readings._reading import Asking, Decode
from tarazu.readings.prompts import has_chat_template, prompt_text
from tarazu.tasks._task import Task, Template


def find_template(task: Task, name: str) -> Template:
    """Return a task's template by name.

    Raises:
        BadInput: The task has none of that name.
    """
    if name not in task.templates:
        raise bad(
            "template",
            f"must name a template of {task.name}",
            name,
            did_you_mean(name, task.templates),
        )
    return task.templates[name]


def make_asking(
    *,
    task: Task,
    info: ModelInfo,
    tokenizer: Any,
    knobs: Any,
    demonstrations: Demonstrations | None,
    max_length: int | None,
    virtual_tokens: int,
    batch_size: int,
    seed: int,
    loss_on: str,
) -> Asking:
    """Say how items are asked.

    Args:
        task: The task.
        info: The model.
        tokenizer: Of the model.
        knobs: `AnswerKnobs` of the method.
        demonstrations: Solved examples, or None.
        max_length: Longest sequence; None takes the model's context.
        virtual_tokens: Trained vectors in front of the input; they take room in the context.
        batch_size: Items per forward pass when answering.
        seed: Of sampling.
        loss_on: ``answer`` or ``all``.
    """
    answer = knobs.answer
    if answer == "auto":
        answer = "score" if task.kind == "classify" else "generate"
    longest = info.context_length - virtual_tokens
    return Asking(
        task=task,
        tokenizer=tokenizer,
        info=info,
        max_length=min(max_length or longest, longest),
        template=find_template(task, knobs.template),
        chat=knobs.chat == "on" or (knobs.chat == "auto" and has_chat_template(tokenizer)),
        demonstrations=demonstrations.choose if demonstrations else lambda item: (),
        fixed=demonstrations.fixed if demonstrations else True,
        answer=answer,
        decode=Decode(**knobs.decode.model_dump()),
        label_score=knobs.label_score,
        batch_size=batch_size,
        seed=seed,
        loss_on="all" if loss_on == "all" else "answer",
    )


def describe_prompt(
    asking: Asking,
    method: Method,
    demonstrations: Demonstrations | None,
    items: Sequence[Item],
    learner: Learner,
    *,
    show_text: bool,
) -> dict[str, Any]:
    """Return what the record keeps of the prompt.

    The frame shows the prompt with the names of the fields in place of an item's text, so that it
    holds nothing of the data set; the text itself is kept only when the study shows text.

    Args:
        asking: How items are asked.
        method: The method.
        demonstrations: Solved examples, or None.
        items: Items of the first test split.
        learner: The model after training.
        show_text: Keep the first item's prompt as asked.
    """
    told: dict[str, Any] = {}
    if asking.info.kind == "decoder":
        told |= _words(asking, demonstrations, items, show_text)
    if learner.prompt is not None:
        told["virtual_tokens"] = {
            "count": learner.prompt.virtual_tokens,
            "nearest_words": nearest_words(learner, asking.tokenizer),
            "how": "trained vectors in front of the input, no words; the nearest words by cosine "
            "are shown for curiosity and need not mean anything",
        }
    return told


def _words(
    asking: Asking, demonstrations: Demonstrations | None, items: Sequence[Item], show_text: bool
) -> dict[str, Any]:
    shots = list(asking.demonstrations(items[0]))
    frame = replace(
        asking, demonstrations=lambda item: [_placeholder(asking.task, shot) for shot in shots]
    )
    told: dict[str, Any] = {
        "frame": prompt_text(_placeholder(asking.task, items[0]), frame),
        "chat_template": asking.chat,
        "answer": asking.answer,
        "label_words": {label: asking.task.word(label) for label in asking.task.labels},
    }
    if asking.answer == "generate":
        room = asking.decode.max_new_tokens or asking.task.max_answer_tokens
        told["decode"] = {
            "temperature": asking.decode.temperature,
            "top_p": asking.decode.top_p,
            "max_new_tokens": room,
        }
    else:
        told["label_score"] = asking.label_score
    if demonstrations is not None:
        told["demonstrations"] = {
            "how": demonstrations.how,
            "ids": [shot.id for shot in shots],
            "of_item": items[0].id,
        }
    if show_text:
        told["text"] = prompt_text(items[0], asking)
    return told


def _placeholder(task: Task, item: Item) -> Item:
    gold = item.gold if task.kind == "classify" else ("⟨answer⟩",)
    return replace(item.with_fields(**{name: f"⟨{name}⟩" for name in item.fields}), gold=gold)


def nearest_words(learner: Learner, tokenizer: Any) -> list[str]:
    """Return the vocabulary entry nearest to each virtual token, by cosine."""
    import torch
    from torch.nn import functional

    assert learner.prompt is not None
    with torch.no_grad():
        words = learner.trunk.get_input_embeddings().weight
        vectors = functional.normalize(learner.prompt().float(), dim=-1)
        scores = vectors @ functional.normalize(words.float(), dim=-1).T
    return [tokenizer.decode([index]) for index in scores.argmax(dim=-1).tolist()]
