"""Do tarazu and a plain script learn the same? Where nothing is left to chance, losses are equal.

    python benchmarks/losses.py
    python benchmarks/losses.py --works last-k-decoder --examples 32 --epochs 3

Works of `speed.py` that draw nothing, neither weights nor dropout, are trained in fp32 on batches
of all examples, so that there is no order either. What differs then between tarazu and the script
(`trainer-tuned`) is arithmetic: another mistake of either would show in the loss.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from side_by_side.peers import PEERS, python_of
from side_by_side.prepare import prepare
from side_by_side.results import keep_rows, stamp
from side_by_side.sides import Runner
from side_by_side.works import ROOT, WORKS, Work

# Adapters and an encoder's head start at random, on each side from its own draws.
CERTAIN = ("full-squad", "last-k-decoder")
SETTINGS = "fp32, grouped"
EXAMPLES, EPOCHS = 16, 4


def certain(work: Work, examples: int, epochs: int) -> Work:
    """Return a work without chance: every update sees all examples, in fp32.

    Args:
        work: One of `CERTAIN`.
        examples: Training examples; half as many are held out.
        epochs: Updates.
    """
    training = {**work.training, "batch_size": examples, "epochs": epochs}
    return replace(
        work,
        kind="seeds",  # as users train, nothing warmed up
        examples=examples,
        held_out=max(1, examples // 2),
        training=training,
        seeds=(0,),
        dtype="float32",
    )


def compare(work: Work, threads: int, python: Path | None = None) -> dict[str, Any]:
    """Train a work on both sides and compare the held-out losses.

    Args:
        work: As `certain` returns it.
        threads: CPU threads of both sides.
        python: Python of the script's environment; None installs it when it is missing.
    """
    peer = PEERS["trainer-tuned"]
    with tempfile.TemporaryDirectory() as folder:
        runner = Runner(prepare(work, work.seeds, threads, Path(folder)), threads)
        ours = runner.ours(0)
        settings = peer.settings[SETTINGS]
        theirs = runner.theirs(peer, settings, SETTINGS, python or python_of(peer), 0)
    assert ours.loss is not None
    assert theirs.loss is not None
    return {
        "work": work.name,
        "peer": peer.name,
        "settings": SETTINGS,
        "examples": work.examples,
        "updates": [ours.updates, theirs.updates],
        "ours": ours.loss,
        "theirs": theirs.loss,
        "difference": ours.loss - theirs.loss,
        **stamp(),
    }


def main(words: Sequence[str] | None = None) -> None:
    """Compare, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--works", nargs="+", choices=CERTAIN, default=CERTAIN, metavar="WORK")
    parser.add_argument("--examples", type=int, default=EXAMPLES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(words)
    rows = []
    for name in args.works:
        work = certain(WORKS[name], args.examples, args.epochs)
        rows.append(compare(work, len(os.sched_getaffinity(0))))
        print(json.dumps(rows[-1]), flush=True)
    keep_rows(rows, args.out / "losses.json", "work")


if __name__ == "__main__":
    main()
