"""What does this machine's arithmetic allow? A work's matrix products, and nothing else.

    python benchmarks/limit.py --works lora-squad full-squad lora-nli-encoder full-nli-encoder

A work of `speed.py` is trained once and timed, and once more while all matrix products are noted
with their shapes and layouts. These alone are then made again on numbers that mean nothing. Their
time is a floor: no program that multiplies the same matrices with the same library in this
precision can train faster, and the quotient says how far tarazu is from it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from side_by_side.ours import Clock
from side_by_side.prepare import prepare, request_of
from side_by_side.results import keep_rows, stamp
from side_by_side.works import ROOT, WORKS, Work
from tarazu.record.progress import Progress
from tarazu.work import perform

aten = torch.ops.aten
PRODUCTS = {
    aten.mm.default: (0, 1),
    aten.bmm.default: (0, 1),
    aten.addmm.default: (1, 2),
    aten.baddbmm.default: (1, 2),
}
Made = tuple[Any, ...]
REPEATS = 3


class Products(TorchDispatchMode):
    """Notes the matrix products of training: shapes, strides, precision."""

    def __init__(self) -> None:
        super().__init__()
        self.made: Counter[Made] = Counter()
        self.trains = False

    def hear(self, progress: Progress) -> None:
        """Note nothing of loading and answering."""
        self.trains = progress.phase == "train"

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), named: Any = None
    ) -> Any:
        """Note a product and make it."""
        if self.trains and (places := PRODUCTS.get(function)) is not None:
            sides = [arguments[place] for place in places]
            self.made[tuple((tuple(s.shape), tuple(s.stride()), s.dtype) for s in sides)] += 1
        return function(*arguments, **(named or {}))


def operations(made: Counter[Made]) -> int:
    """Return the multiplications and additions of products."""
    total = 0
    for (one, other), count in made.items():
        items = one[0][0] if len(one[0]) == 3 else 1
        total += 2 * count * items * one[0][-2] * one[0][-1] * other[0][-1]
    return total


def made_again(made: Counter[Made]) -> float:
    """Return the seconds that products take by themselves."""
    total = 0.0
    for sides, count in made.items():
        one, other = (_like(*side) for side in sides)
        product = torch.bmm if one.dim() == 3 else torch.mm
        out = product(one, other)
        times = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            product(one, other, out=out)
            times.append(time.perf_counter() - start)
        total += count * statistics.median(times)
    return total


def _like(shape: tuple[int, ...], stride: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    size = 1 + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    return torch.rand(size).to(dtype).as_strided(shape, stride)


def measure(work: Work, threads: int) -> dict[str, Any]:
    """Train a work twice, and make its products once more.

    Args:
        work: Of kind ``train``.
        threads: CPU threads.

    Returns:
        Seconds per example of training and of its products alone, and what they are.
    """
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(work, [0], threads, Path(folder))
        (spec,) = prepared.specs
        whole = request_of(prepared, spec, Path(folder))
        mine = replace(whole.splits, validation=whole.splits.validation[:1])
        request = replace(whole, splits=mine)
        perform(request, tell=Clock())  # warms up
        clock, products = Clock(), Products()
        perform(request, tell=clock)
        with products:
            perform(request, tell=products.hear)
    seconds, examples = clock.stop()[0], len(mine.train)
    alone = made_again(products.made)
    done = operations(products.made)
    return {
        "work": work.name,
        "examples": examples,
        "updates": clock.updates,
        "dtype": spec.dtype,
        "seconds_per_example": round(seconds / examples, 5),
        "products_per_example": round(alone / examples, 5),
        "gigaflops": round(done / alone / 1e9, 1),
        "times_the_floor": round(seconds / alone, 3),
        **stamp(),
    }


def main() -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trained = [name for name, work in WORKS.items() if work.kind == "train"]
    parser.add_argument("--works", nargs="+", choices=trained, default=trained, metavar="WORK")
    parser.add_argument("--examples", type=int)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    rows = []
    for name in args.works:
        work = WORKS[name]
        if args.examples is not None:
            work = replace(work, examples=args.examples, held_out=1)
        rows.append(measure(work, threads))
        print(json.dumps(rows[-1]), flush=True)
    keep_rows(rows, args.out / "limit.json", "work")


if __name__ == "__main__":
    main()
