"""Does bf16 harm what is learnt, or only the answers? Adapters of each precision, judged in both.

    python benchmarks/judged.py                                  # LoRA and QLoRA on SQuAD
    python benchmarks/judged.py --works lora-squad --examples 16 --held-out 8

A work of `speed.py` is trained without dropout in fp32 and in bf16, on the same batches from the
same start. Both results are then judged in both precisions: the loss on the same held-out items.
What rounding does to learning shows between the rows that are judged in fp32, what it does to
answers between the two rows of the same weights.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from side_by_side.ours import Clock, instead_of_fit
from side_by_side.prepare import prepare, request_of
from side_by_side.results import keep_rows, stamp
from side_by_side.works import ROOT, WORKS, Work
from tarazu.models.learner import Learner
from tarazu.training.loop import fit, mean_loss
from tarazu.work import perform

DEFAULT = ("lora-squad", "qlora-squad")
PRECISIONS = ("float32", "bfloat16")
Weights = Mapping[str, Tensor]


class _Judged(Exception):
    """All is known; nobody needs answers."""


def judge(
    work: Work, dtype: str, given: Mapping[str, Weights], threads: int, *, train: bool
) -> tuple[dict[str, float], Weights]:
    """Judge trained weights in a precision, and train in it before if that is wanted.

    Args:
        work: Of kind ``train``.
        dtype: Precision of training and of judging.
        given: Weights by the precision in which they were trained.
        threads: CPU threads.
        train: Whether to train; the result is judged, too.

    Returns:
        Mean losses per answer token by the precision of training, and what was trained.
    """
    weights, losses = dict(given), {}

    def train_and_judge(learner: Learner, loss: Any, rows: Any, held_out: Any, *rest: Any) -> None:
        trained = dict(learner.named_trained())
        if train:
            fit(learner, loss, rows, None, *rest)
            weights[dtype] = {name: one.detach().clone() for name, one in trained.items()}
        else:
            learner.settle()
        learner.eval()
        for name, values in weights.items():
            with torch.no_grad():
                for one, parameter in trained.items():
                    parameter.copy_(values[one])
                losses[name] = mean_loss(learner, loss, held_out, 16)
        raise _Judged

    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(replace(work, dtype=dtype), [0], threads, Path(folder))
        with suppress(_Judged), instead_of_fit(train_and_judge):
            perform(request_of(prepared, prepared.specs[0], Path(folder)), tell=Clock())
    return losses, weights.get(dtype, {})


def measure(work: Work, threads: int) -> list[dict[str, Any]]:
    """Return the rows of a work: every precision of training in every precision of judging.

    Args:
        work: Of kind ``train``.
        threads: CPU threads.
    """
    calm = {name: {**knobs, "dropout": 0.0} for name, knobs in work.entries.items()}
    work = replace(work, entries=calm)
    wide, narrow = PRECISIONS
    _, narrow_weights = judge(work, narrow, {}, threads, train=True)
    found = {}
    found[wide], wide_weights = judge(work, wide, {narrow: narrow_weights}, threads, train=True)
    both = {wide: wide_weights, narrow: narrow_weights}
    found[narrow], _ = judge(work, narrow, both, threads, train=False)
    return [
        {
            "work": work.name,
            "trained": trained,
            "judged": judged,
            "loss": round(found[judged][trained], 6),
            "examples": work.examples,
            "held_out": work.held_out,
            **stamp(),
        }
        for trained in PRECISIONS
        for judged in PRECISIONS
    ]


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--works", nargs="+", choices=DEFAULT, default=DEFAULT, metavar="WORK")
    parser.add_argument("--examples", type=int, default=48)
    parser.add_argument("--held-out", type=int, default=64)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(words)
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    for name in args.works:
        work = replace(WORKS[name], examples=args.examples, held_out=args.held_out)
        rows = measure(work, threads)
        for row in rows:
            print(json.dumps(row), flush=True)
        keep_rows(rows, args.out / "judged.json", "work", "trained", "judged")


if __name__ == "__main__":
    main()
