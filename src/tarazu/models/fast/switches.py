"""Which faster ways are on.

All but one leave what is computed as it is, up to rounding. `length_buckets` decides which examples
share an update: without it each update is the same mathematics on another batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields, replace

from tarazu.errors import bad, did_you_mean

VARIABLE = "TARAZU_PLAIN"


@dataclass(frozen=True)
class Fast:
    """The faster ways; all are on.

    Attributes:
        attention: Matrix products over blocks of queries and rotary positions in one pass, on the
            CPU.
        chunked_loss: The loss on words is taken in parts where all scores would take much memory.
        dropout: Masks from 16 random bits per number, on the CPU.
        low_rank: One pass for an adapter's update, on the CPU.
        kept_memory: Memory that training frees is not given back to the system, in a run of its own
            on the CPU.
        last_layer: The last layer is computed only where its states are read.
        norm: Root-mean-square normalisation in few steps, on the CPU.
        packed: Prompts are scored side by side in one row, each with all its continuations.
        prefix_cache: What all prompts of a call begin with is computed once.
        own_greedy: Greedy answers come from a loop of our own, which rows leave at their end;
            it reads packed prompts.
        sequences: Attention without padding and without a mask, on CUDA.
        split_trunk: Frozen layers run over fixed groups of sequences, and training batches start
            above them (`tarazu.models.frozen`).
        trunk_cache: What frozen layers computed is kept. Without, it is computed whenever it is
            needed: equal to the last bit.
        unpadded: A decoder's batch is one row without padding, on the CPU, where no cache is used.
        length_buckets: Training examples of like length share a batch. Without, batches are cut
            from the shuffled order as it comes: other batches, so other losses.
        labelled_only: A loss on words projects onto the vocabulary where there is a label, and asks
            for those states only. Without, every position is projected.
        fused_optimizer: AdamW makes an update in one pass over the weights.
        token_tables: Items are tokenised once per study (`tarazu.readings.tables`). Without, they
            are tokenised whenever they are needed: equal to the last bit.
    """

    attention: bool = True
    chunked_loss: bool = True
    dropout: bool = True
    low_rank: bool = True
    kept_memory: bool = True
    last_layer: bool = True
    norm: bool = True
    packed: bool = True
    prefix_cache: bool = True
    own_greedy: bool = True
    sequences: bool = True
    split_trunk: bool = True
    trunk_cache: bool = True
    unpadded: bool = True
    length_buckets: bool = True
    labelled_only: bool = True
    fused_optimizer: bool = True
    token_tables: bool = True

    def off(self) -> list[str]:
        """Return the names of what is switched off."""
        return [name for name, on in asdict(self).items() if not on]


_switched: ContextVar[Fast | None] = ContextVar("_switched", default=None)


def switches() -> Fast:
    """Return what is on, by `switched` or else by the environment.

    Raises:
        BadInput: The environment variable names something else.
    """
    return _switched.get() or _from_environment(os.environ.get(VARIABLE, ""))


@contextmanager
def switched(fast: Fast) -> Iterator[None]:
    """Use these switches within the block."""
    token = _switched.set(fast)
    try:
        yield
    finally:
        _switched.reset(token)


def _from_environment(text: str) -> Fast:
    known = [field.name for field in fields(Fast)]
    named = [word.strip() for word in text.split(",") if word.strip()]
    for name in named:
        if name not in (*known, "all"):
            raise bad(
                VARIABLE,
                f"must name some of {', '.join(known)}, or all",
                name,
                did_you_mean(name, known) or "Leave it unset.",
            )
    off = known if "all" in named else named
    return replace(Fast(), **dict.fromkeys(off, False))
