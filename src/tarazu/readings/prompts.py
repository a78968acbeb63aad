"""Prompts: how an item and its demonstrations become tokens, with or without the answer.

The answer's tokens are the difference between the encoding of prompt + answer and the encoding of
the prompt, never a template searched among tokens (traps T2, T13). When an item is too long, the
task's context is cut: never the question, never the answer (trap T4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from tarazu.data.item import Item
from tarazu.errors import bad
from tarazu.readings._kept import kept
from tarazu.readings._reading import AT_ONCE, Asking
from tarazu.readings.chat import TemplateError, chat_text
from tarazu.readings.tables import Lazy, Row, Table
from tarazu.record.key import sha256_rows

CONTENT_FREE = "N/A"  # Zhao et al. 2021, "Calibrate Before Use", section 5


@dataclass(frozen=True)
class Encoded:
    """A prompt in tokens.

    Attributes:
        prompt: Tokens up to the answer.
        answers: Tokens of every asked answer, without an end token.
        cut_tokens: Tokens of context that were cut.
    """

    prompt: list[int]
    answers: list[list[int]]
    cut_tokens: int


class Prompts(Lazy[Encoded]):
    """Encoded prompts, each made when it is asked for.

    Args:
        table: Holds them.

    Attributes:
        prompt_tokens: Tokens of each, up to the answer.
        answer_tokens: Tokens of all its answers together.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(len(table), lambda place: _encoded(table.row(place)))
        self.prompt_tokens = table.sizes(1)
        self.answer_tokens = table.sizes(2)

    def prompts(self) -> Lazy[list[int]]:
        """Return the tokens of each up to the answer."""
        return Lazy(len(self), lambda place: self[place].prompt)

    def answers(self) -> Lazy[list[list[int]]]:
        """Return the tokens of the answers of each."""
        return Lazy(len(self), lambda place: self[place].answers)


def _cells(encoded: Encoded) -> Row:
    about = (encoded.cut_tokens, *map(len, encoded.answers))
    return about, encoded.prompt, tuple(chain.from_iterable(encoded.answers))


def _encoded(cells: list[list[int]]) -> Encoded:
    (cut_tokens, *sizes), prompt, tokens = cells
    rest = iter(tokens)
    return Encoded(prompt, [list(islice(rest, size)) for size in sizes], cut_tokens)


def has_chat_template(tokenizer: Any) -> bool:
    """Say whether a model was trained to chat, by its own tokenizer."""
    return bool(getattr(tokenizer, "chat_template", None))


def prompt_text(item: Item, asking: Asking) -> str:
    """Return everything that stands before the answer, as one text."""
    shots = asking.demonstrations(item)
    return _chat_text(item, shots, asking) if asking.chat else _plain_text(item, shots, asking)


def answer_text(words: str, asking: Asking) -> str:
    """Return the answer as it continues the prompt: plain prompts separate it by a space."""
    return words if asking.chat else f" {words}"


def _question(item: Item, asking: Asking) -> str:
    template = asking.template
    return f"{asking.task.show(template, item)}\n{template.answer}"


def _plain_text(item: Item, shots: Sequence[Item], asking: Asking) -> str:
    solved = [f"{_question(s, asking)} {asking.task.answer_text(s)}" for s in shots]
    parts = [asking.task.instruction(asking.template), *solved, _question(item, asking)]
    return asking.template.separator.join(part for part in parts if part)


def _chat_text(item: Item, shots: Sequence[Item], asking: Asking) -> str:
    turns = []
    for shot in shots:
        turns.append({"role": "user", "content": _question(shot, asking)})
        turns.append({"role": "assistant", "content": asking.task.answer_text(shot)})
    turns.append({"role": "user", "content": _question(item, asking)})
    system = {"role": "system", "content": asking.task.instruction(asking.template)}
    try:
        return chat_text(asking.tokenizer, [system, *turns], asking.info.name)
    except TemplateError:
        # Some templates have no system role, and not all say so: Mistral's only wants the roles to
        # alternate. The instruction then opens the first question.
        turns[0]["content"] = f"{system['content']}\n\n{turns[0]['content']}"
    try:
        return chat_text(asking.tokenizer, turns, asking.info.name)
    except TemplateError as error:
        remedy = "Set chat: 'off' to ask the model without its template."
        rule = "its chat template must write a dialogue"
        raise bad(f"models.{asking.info.name}", rule, error, remedy) from None


def _token_ids(texts: Sequence[str], asking: Asking) -> list[list[int]]:
    # A chat template already writes the begin-of-text token (trap T7).
    encoded = asking.tokenizer(list(texts), add_special_tokens=not asking.chat)["input_ids"]
    end = asking.tokenizer.eos_token_id
    return [
        ids[:-1] if len(ids) > 1 and ids[-1] == end and not asking.chat else ids for ids in encoded
    ]


def encode_prompts(
    items: Sequence[Item],
    answers: Sequence[Sequence[str]],
    asking: Asking,
    *,
    room: int,
) -> Prompts:
    """Encode prompts, each with the answers that are asked of it.

    Args:
        items: Items.
        answers: For each item, answers in words (one to train on, all labels to score, or none).
        asking: How they are asked.
        room: Tokens to keep free after the prompt when there is no answer.

    Returns:
        One encoding per item, none longer than `asking.max_length`.

    Raises:
        BadInput: A prompt is too long even without its context.
    """
    asked = {"what": "prompts", "answers": sha256_rows(answers), "room": room}

    def rows() -> Iterator[Row]:
        return map(_cells, _encode(items, answers, asking, room))

    return Prompts(kept(asking, items, asked, rows, 3))


def _encode(
    items: Sequence[Item], answers: Sequence[Sequence[str]], asking: Asking, room: int
) -> Iterator[Encoded]:
    for start in range(0, len(items), AT_ONCE):
        some, asked = items[start : start + AT_ONCE], answers[start : start + AT_ONCE]
        prompts = [prompt_text(item, asking) for item in some]
        encoded = _encode_all(prompts, asked, asking)
        for item, words, one in zip(some, asked, encoded, strict=True):
            over = _length(one, room) - asking.max_length
            yield _cut(item, words, asking, room, over) if over > 0 else one


def _length(encoded: Encoded, room: int) -> int:
    longest = max((len(answer) for answer in encoded.answers), default=-1)
    return len(encoded.prompt) + (longest + 1 if longest >= 0 else room)


def _encode_all(
    prompts: Sequence[str], answers: Sequence[Sequence[str]], asking: Asking
) -> list[Encoded]:
    prompt_ids = _token_ids(prompts, asking)
    joined = [
        prompt + answer_text(words, asking)
        for prompt, asked in zip(prompts, answers, strict=True)
        for words in asked
    ]
    full_ids = iter(_token_ids(joined, asking) if joined else [])
    result = []
    for ids, asked in zip(prompt_ids, answers, strict=True):
        fulls = [next(full_ids) for _ in asked]
        # Where prompt and answer share a token, it belongs to the answer.
        shared = min((_common(ids, full) for full in fulls), default=len(ids))
        result.append(Encoded(list(ids[:shared]), [list(full[shared:]) for full in fulls], 0))
    return result


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    length = min(len(a), len(b))
    return next((i for i in range(length) if a[i] != b[i]), length)


def _cut(item: Item, answers: Sequence[str], asking: Asking, room: int, over: int) -> Encoded:
    name = asking.task.cut
    text = item.fields[name]
    spans = asking.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ends = [end for _, end in spans["offset_mapping"]]
    keep = len(ends)
    while over > 0:
        keep -= over
        if keep < 0:
            raise bad(
                f"item {item.id}",
                f"the prompt without its {name} must fit into {asking.max_length} tokens",
                f"{asking.max_length - keep} tokens",
                "Raise max_length, or use fewer demonstrations (k).",
            )
        shorter = item.with_fields(**{name: text[: ends[keep - 1]] if keep else ""})
        one = _encode_all([prompt_text(shorter, asking)], [answers], asking)[0]
        over = _length(one, room) - asking.max_length
    return Encoded(one.prompt, one.answers, len(ends) - keep)


def content_free(item: Item) -> Item:
    """Return an item that says nothing, to see what a model answers without any content."""
    return item.with_fields(**dict.fromkeys(item.fields, CONTENT_FREE))
