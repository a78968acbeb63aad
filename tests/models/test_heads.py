from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tarazu.models.heads import (
    ClassificationHead,
    SpanHead,
    first_real_token,
    last_real_token,
    pool,
)
from tarazu.models.learner import Learner
from tarazu.readings._reading import Feature, collate
from tarazu.readings.classes import logits
from tarazu.testing.tiny import TinyKind

Load = Callable[..., Learner]


def test_first_and_last_real_token_for_every_side_of_padding() -> None:
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 0]])
    assert last_real_token(mask).tolist() == [1, 3, 3, 2, 0]
    assert first_real_token(mask).tolist() == [0, 2, 0, 1, 0]


def test_pooling_reads_real_tokens_only() -> None:
    hidden = torch.tensor([[[9.0], [1.0], [3.0], [9.0]]])
    mask = torch.tensor([[0, 1, 1, 0]])
    assert [pool(hidden, mask, how).item() for how in ("first", "last", "mean")] == [1, 3, 2]
    with pytest.raises(ValueError, match="pooling must be first, last or mean, but got 'cls'"):
        pool(hidden, mask, "cls")


@pytest.mark.parametrize("method", [None, "p-tuning"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@pytest.mark.parametrize("end", [False, True])
@torch.no_grad()
def test_t8_decoder_head_is_the_same_for_every_padding_and_text_with_the_end_token(
    load: Load, kind: TinyKind, end: bool, method: str | None
) -> None:
    learner = load(kind, "classes", method=method)
    eos = {"gpt2": 0, "llama": 1}[kind]  # also the padding token
    text = [300, 301, eos, 302, eos] if end else [300, 301, 302, 303, 304]
    longer = Feature(1, [305] * 9, labels=(0,))
    feature = Feature(0, text, labels=(1,))
    alone = logits(learner, collate([feature], eos))
    for side in ("right", "left"):
        together = logits(learner, collate([feature, longer], eos, side=side))
        torch.testing.assert_close(together[:1], alone, atol=1e-5, rtol=1e-4)


def test_heads_answer_in_fp32_from_half_precision() -> None:
    hidden = torch.randn(2, 4, 8, dtype=torch.bfloat16)
    mask = torch.ones(2, 4, dtype=torch.long)
    head = ClassificationHead(8, 3, pooling="mean", dropout=0.1, deep=True)
    assert head(hidden, mask).shape == (2, 3)
    assert head(hidden, mask).dtype == torch.float32
    assert SpanHead(8)(hidden).shape == (2, 4, 2)
    assert SpanHead(8)(hidden).dtype == torch.float32


def test_deep_head_is_dense_tanh_projection() -> None:
    head = ClassificationHead(8, 3, pooling="first", dropout=0.5, deep=True).eval()
    hidden = torch.randn(2, 4, 8)
    assert head.dense is not None
    expected = head.out(torch.tanh(head.dense(hidden[:, 0])))
    torch.testing.assert_close(head(hidden, torch.ones(2, 4)), expected)
