"""Progress of downloads, shown where a person looks: a model of 16 GB takes many minutes."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def on_terminal() -> bool:
    """Say whether somebody sees what this process says: not a run's own, and not into a file."""
    stream = sys.stderr
    return multiprocessing.parent_process() is None and stream is not None and stream.isatty()


def _in_notebook() -> bool:
    return multiprocessing.parent_process() is None and "ipykernel" in sys.modules


@contextmanager
def hub_bars() -> Iterator[None]:
    """Let the Hub's client show its bars within the block.

    They are off otherwise: transformers' own, of which reading weights has many, share the switch.
    `HF_HUB_DISABLE_PROGRESS_BARS` of the user goes before.
    """
    from huggingface_hub import constants
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    wanted = constants.HF_HUB_DISABLE_PROGRESS_BARS is not True
    if not (wanted and are_progress_bars_disabled() and (on_terminal() or _in_notebook())):
        yield
        return
    enable_progress_bars()
    try:
        yield
    finally:
        disable_progress_bars()
