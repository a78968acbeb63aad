"""Reading classes: a head on one vector of the model, for encoders and decoders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tarazu.data.item import Item, Prediction
from tarazu.models.heads import ClassificationHead
from tarazu.models.learner import Batch, Learner
from tarazu.readings._reading import (
    Asking,
    Feature,
    Features,
    Reading,
    Tick,
    by_length,
    collate,
    to_device,
)
from tarazu.readings.pairs import encode_texts
from tarazu.readings.prompts import encode_prompts
from tarazu.readings.tables import Lazy


def _inputs(items: Sequence[Item], asking: Asking) -> Features:
    if asking.info.kind == "encoder":
        return encode_texts(items, asking)
    encoded = encode_prompts(items, [()] * len(items), asking, room=0)

    def feature(place: int) -> Feature:
        one = encoded[place]
        return Feature(place, one.prompt, cut_tokens=one.cut_tokens)

    return Features(encoded.prompt_tokens, feature)


def encode(items: Sequence[Item], asking: Asking) -> Features:
    """Encode items with their class."""
    inputs, labels = _inputs(items, asking), asking.task.labels
    classes = [labels.index(item.gold[0]) for item in items]

    def labelled(place: int) -> Feature:
        feature = inputs[place]
        return replace(feature, labels=(classes[feature.item],))

    return Features(inputs.lengths, labelled)


def logits(learner: Learner, batch: Batch) -> Tensor:
    """Return class logits, [b, c]."""
    assert isinstance(learner.head, ClassificationHead)
    mask = batch["attention_mask"]
    read = learner.head.reads(mask)
    states = learner.hidden(batch["input_ids"], mask, batch.get("token_type_ids"), read=read)
    result: Tensor = learner.head(states, mask if read is None else torch.ones_like(read))
    return result


def loss(learner: Learner, batch: Batch) -> Tensor:
    """Return the summed cross-entropy."""
    return functional.cross_entropy(logits(learner, batch), batch["labels"][:, 0], reduction="sum")


@torch.no_grad()
def answer(
    learner: Learner, items: Sequence[Item], asking: Asking, tick: Tick
) -> Sequence[Prediction]:
    """Answer every item with the most probable class."""
    features, labels = _inputs(items, asking), asking.task.labels
    found = np.empty((len(items), len(labels)))
    done = 0
    for indices in by_length(features.lengths, asking.batch_size):
        rows = [features[i] for i in indices]
        batch = to_device(collate(rows, asking.tokenizer.pad_token_id), learner)
        with learner.compute():
            scores = functional.log_softmax(logits(learner, batch), dim=-1).cpu()
        found[indices] = scores.tolist()
        done += len(indices)
        tick(done, len(items))

    def prediction(place: int) -> Prediction:
        label = labels[int(found[place].argmax())]
        return Prediction(
            items[place].id,
            predicted=label,
            raw=label,
            scores=tuple(found[place].tolist()),
            cut_tokens=features[place].cut_tokens,
            prompt_tokens=features.lengths[place],
        )

    return Lazy(len(items), prediction)


READING = Reading("classes", encode, loss, answer)
