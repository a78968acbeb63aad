"""Reading text: the answer in words, trained token by token, then scored or generated."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tarazu.data.item import Item, Prediction
from tarazu.errors import bad
from tarazu.evaluation.generating import generate
from tarazu.evaluation.scoring import score_continuations
from tarazu.models.fast import switches
from tarazu.models.fast.cross_entropy import summed_cross_entropy
from tarazu.models.learner import Batch, Learner
from tarazu.readings._reading import IGNORED, Asking, Feature, Features, Reading, Tick
from tarazu.readings.prompts import Encoded, Prompts, content_free, encode_prompts
from tarazu.readings.tables import Lazy


def encode(items: Sequence[Item], asking: Asking) -> Features:
    """Encode prompts with their answers, closed by the end-of-text token.

    The loss is on the answer and its end only, unless `asking.loss_on` says otherwise.
    """
    answers = [[asking.task.answer_text(item)] for item in items]
    encoded = encode_prompts(items, answers, asking, room=0)
    ends = [tokens + 1 for tokens in encoded.answer_tokens]
    lengths = [prompt + end for prompt, end in zip(encoded.prompt_tokens, ends, strict=True)]
    counted = lengths if asking.loss_on == "all" else ends
    # The first token is given: nothing predicts it.
    terms = [min(some, length - 1) for some, length in zip(counted, lengths, strict=True)]

    def feature(place: int) -> Feature:
        one = encoded[place]
        answer = [*one.answers[0], asking.tokenizer.eos_token_id]
        prompt = one.prompt if asking.loss_on == "all" else [IGNORED] * len(one.prompt)
        return Feature(
            place,
            [*one.prompt, *answer],
            labels=[*prompt, *answer],
            terms=terms[place],
            cut_tokens=one.cut_tokens,
        )

    return Features(lengths, feature, terms)


def places(counted: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the true ones of each row stand, in order.

    Args:
        counted: [b, s], true or false.

    Returns:
        Indices [b, r], r being the most that a row has, and [b, r] which of them are real.
    """
    counts = counted.sum(dim=1, keepdim=True)
    order = torch.argsort(counted.int(), dim=1, descending=True, stable=True)
    indices = order[:, : int(counts.max())]
    return indices, torch.arange(indices.shape[1], device=counted.device) < counts


def loss(learner: Learner, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of labelled tokens; only they are projected."""
    targets = batch["labels"][:, 1:]
    if not switches().labelled_only:
        states = learner.hidden(batch["input_ids"], batch["attention_mask"])[:, :-1]
        logits = learner.vocabulary_logits(states).flatten(0, 1)
        return functional.cross_entropy(
            logits, targets.flatten(), ignore_index=IGNORED, reduction="sum"
        )
    counted = targets != IGNORED
    read, real = places(counted)
    states = learner.hidden(batch["input_ids"], batch["attention_mask"], read=read)
    words = learner.info.vocab_size
    return summed_cross_entropy(learner.vocabulary_logits, states[real], targets[counted], words)


def answer(
    learner: Learner, items: Sequence[Item], asking: Asking, tick: Tick
) -> Sequence[Prediction]:
    """Answer by the best label word or by generated text, as asked."""
    how = _scored if asking.answer == "score" else _generated
    return how(learner, items, asking, tick)


def _generated(
    learner: Learner, items: Sequence[Item], asking: Asking, tick: Tick
) -> Sequence[Prediction]:
    room = asking.decode.max_new_tokens or asking.task.max_answer_tokens
    encoded = encode_prompts(items, [()] * len(items), asking, room=room)
    texts = generate(
        learner,
        encoded.prompts(),
        tokenizer=asking.tokenizer,
        max_new_tokens=room,
        temperature=asking.decode.temperature,
        top_p=asking.decode.top_p,
        seed=asking.seed,
        batch_size=asking.batch_size,
        tick=tick,
    )

    def prediction(place: int) -> Prediction:
        item, text = items[place], texts[place]
        return Prediction(
            item.id,
            predicted=asking.task.parse(text, item),
            raw=text,
            cut_tokens=encoded[place].cut_tokens,
            prompt_tokens=encoded.prompt_tokens[place],
        )

    return Lazy(len(items), prediction)


def check_label_tokens(encoded: Encoded, labels: Sequence[str]) -> None:
    """Refuse label words of which one is the beginning of another (trap T13).

    Raises:
        BadInput: Their scores could not be compared.
    """
    for i, one in enumerate(encoded.answers):
        for j, other in enumerate(encoded.answers):
            if i != j and other[: len(one)] == one:
                raise bad(
                    "label_words",
                    "no label's tokens may begin another label's",
                    f"'{labels[i]}' and '{labels[j]}'",
                    "Choose other label words, or answer: generate.",
                )


def _scored(
    learner: Learner, items: Sequence[Item], asking: Asking, tick: Tick
) -> Sequence[Prediction]:
    task = asking.task
    words = [task.word(label) for label in task.labels]
    encoded = encode_prompts(items, [words] * len(items), asking, room=0)
    check_label_tokens(encoded[0], words)
    total = len(items)
    sums = _scores(learner, encoded, asking, lambda done, _: tick(done, total))
    empty = _empty_scores(learner, items, words, asking)
    return Lazy(
        total,
        lambda place: _prediction(
            items[place], encoded[place], sums[place].tolist(), empty[place].tolist(), asking
        ),
    )


def _scores(learner: Learner, encoded: Prompts, asking: Asking, tick: Tick) -> NDArray[np.float64]:
    return score_continuations(
        learner,
        encoded.prompts(),
        encoded.answers(),
        pad_id=asking.tokenizer.pad_token_id,
        batch_size=asking.batch_size,
        tick=tick,
    )


def _empty_scores(
    learner: Learner, items: Sequence[Item], words: Sequence[str], asking: Asking
) -> NDArray[np.float64]:
    """Score the labels of items that say nothing; once when all items share their prefix."""
    count = 1 if asking.fixed else len(items)
    asked = Lazy(count, lambda place: content_free(items[place]))
    encoded = encode_prompts(asked, [list(words)] * len(asked), asking, room=0)
    rows = _scores(learner, encoded, asking, lambda done, all_: None)
    return np.broadcast_to(rows, (len(items), len(words)))


def _prediction(
    item: Item, one: Encoded, sums: Sequence[float], prior: Sequence[float], asking: Asking
) -> Prediction:
    labels = asking.task.labels
    by_rule = {
        "sum": list(sums),
        "token": [s / len(tokens) for s, tokens in zip(sums, one.answers, strict=True)],
        "calibrated": [s - p for s, p in zip(sums, prior, strict=True)],
    }
    best = {
        rule: labels[max(range(len(labels)), key=values.__getitem__)]
        for rule, values in by_rule.items()
    }
    # All three are kept; which one decides was fixed before (trap T14).
    return Prediction(
        item.id,
        predicted=best[asking.label_score],
        raw=best[asking.label_score],
        scores=tuple(by_rule[asking.label_score]),
        cut_tokens=one.cut_tokens,
        prompt_tokens=len(one.prompt),
        metrics={f"accuracy_{rule}": float(label == item.gold[0]) for rule, label in best.items()},
    )


READING = Reading("text", encode, loss, answer)
