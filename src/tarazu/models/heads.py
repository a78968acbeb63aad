"""Heads of our own on top of a backbone. They are never quantised and always train in fp32.

Shapes: b items, s tokens, h hidden size, c classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def last_real_token(attention_mask: Tensor) -> Tensor:
    """Return the index of the last real token of every row, whatever side the padding is on.

    Found from the mask, never from token ids: the padding token may be the end-of-text token, and
    a text may contain it (traps T5, T8).

    Args:
        attention_mask: [b, s], 1 for real tokens.

    Returns:
        [b] indices.
    """
    positions = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (attention_mask * positions).argmax(dim=-1)


def first_real_token(attention_mask: Tensor) -> Tensor:
    """Return the index of the first real token of every row: [b, s] to [b]."""
    return attention_mask.to(torch.int64).argmax(dim=-1)


_PLACES = {"first": first_real_token, "last": last_real_token}


def pool(hidden: Tensor, attention_mask: Tensor, how: str) -> Tensor:
    """Take one vector per item.

    Args:
        hidden: [b, s, h].
        attention_mask: [b, s].
        how: ``first``, ``last`` or ``mean`` (over real tokens).

    Returns:
        [b, h].

    Raises:
        ValueError: `how` is none of these.
    """
    rows = torch.arange(hidden.shape[0], device=hidden.device)
    if how in _PLACES:
        return hidden[rows, _PLACES[how](attention_mask)]
    if how == "mean":
        mask = attention_mask.unsqueeze(-1).to(torch.float32)
        return (hidden.float() * mask).sum(dim=1) / mask.sum(dim=1)
    raise ValueError(f"pooling must be first, last or mean, but got {how!r}")


class ClassificationHead(nn.Module):
    """Classes from one vector per item.

    Encoders: dropout, dense, tanh, dropout, projection, as in RoBERTa (Liu et al. 2019, section 3,
    after BERT's pooler). Decoders: one linear layer on the last real token's hidden state, the only
    position that has seen the whole input.

    Args:
        hidden_size: h.
        classes: c.
        pooling: ``first``, ``mean`` or ``last``.
        dropout: Probability before each linear layer.
        deep: With the dense layer and tanh.
    """

    def __init__(
        self, hidden_size: int, classes: int, *, pooling: str, dropout: float, deep: bool
    ) -> None:
        super().__init__()
        self.pooling = pooling
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden_size, hidden_size) if deep else None
        self.out = nn.Linear(hidden_size, classes)

    def reads(self, attention_mask: Tensor) -> Tensor | None:
        """Return the token that is read, [b, s] to [b, 1]; None for all."""
        place = _PLACES.get(self.pooling)
        return place(attention_mask).unsqueeze(1) if place is not None else None

    def forward(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """Map hidden states [b, s, h] and their mask [b, s] to logits [b, c] in fp32."""
        vector = self.dropout(pool(hidden, attention_mask, self.pooling).to(self.out.weight.dtype))
        if self.dense is not None:
            vector = self.dropout(torch.tanh(self.dense(vector)))
        logits: Tensor = self.out(vector)
        return logits.float()


class SpanHead(nn.Module):
    """Start and end scores for every token (Devlin et al. 2019, section 4.2).

    Args:
        hidden_size: h.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden_size, 2)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map hidden states [b, s, h] to start and end logits [b, s, 2] in fp32."""
        logits: Tensor = self.out(hidden.to(self.out.weight.dtype))
        return logits.float()
