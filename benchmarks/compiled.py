"""Does `torch.compile` win end to end, the time of compiling included?

    python benchmarks/compiled.py            # four works, the whole model and by layer
    python benchmarks/compiled.py --works full-squad --parts layers --pairs 1 --examples 320
    python benchmarks/compiled.py --rows     # the table of the kept results

The same examples are trained with and without it, in turns, each time in a process of its own with
an empty cache of compiled code: with tarazu's own kernels inside of what is compiled (``own``),
with these left as they are and what lies between them compiled (``apart``), and with the libraries'
in their place, so that the compiler has the plain model to work on (``plain``). All else stays:
batches of like length, the last layer only where it is read.
Before the clock starts, each process trains another model on another batch, never compiled.

Compiled is the forward pass of the model without its vocabulary projection or head, and with it the
backward pass: as a whole (``model``), or layer by layer (``layers``), which compiles one layer and
uses it for all where that is possible. Mode ``default``, ``dynamic=True`` since lengths differ from
batch to batch. The hook is here and not in the product.
"""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import os
import pkgutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch._dynamo.utils import counters, get_compilation_metrics

import tarazu.models.fast
from side_by_side.ours import Clock, instead_of_fit
from side_by_side.prepare import prepare, request_of
from side_by_side.results import stamp, together, write_rows
from side_by_side.works import ROOT, WORKS, Work
from tarazu.models.fast.switches import VARIABLE
from tarazu.models.learner import Learner
from tarazu.record.progress import Progress
from tarazu.training.loop import fit
from tarazu.work import perform

# Some minutes of training each on two cores.
DEFAULT = {"lora-squad": 320, "full-squad": 320, "lora-nli-encoder": 5120, "full-nli-encoder": 5120}
PARTS = ("model", "layers")
LIMIT = 3600  # seconds of one training, compiling included
KINDS = ("own", "apart", "plain")
# What a compiler could do instead of tarazu.
KERNELS = ("attention", "dropout", "low_rank", "norm")


@dataclass(frozen=True)
class Way:
    """One way to train.

    Attributes:
        kernels: ``own``; ``apart``, those but not compiled; or ``plain`` for the libraries'.
        part: What is compiled: ``model``, ``layers``, or nothing.
    """

    kernels: str
    part: str | None = None

    @property
    def without(self) -> Way:
        """The same kernels, nothing compiled."""
        return Way("plain" if self.kernels == "plain" else "own")


@dataclass(frozen=True)
class Trained:
    """What one training came to.

    Attributes:
        seconds: From the begin of training to its last update.
        updates: How many.
        loss: On the held-out items, computed without compiling.
        train_loss: Mean over the last epoch's batches, as they were trained.
        compiling: Seconds that the compiler reports, backward passes included.
        first: Seconds of the first update beyond the median of all.
        graphs: Graphs that were compiled.
        breaks: Places where a graph was left, each time one was met while compiling.
        recompiles: Compilations of what was compiled before, for other shapes or modules.
        reasons: Why graphs were left, first lines.
        failed: Why there are no figures.
    """

    seconds: float = 0.0
    updates: int = 0
    loss: float | None = None
    train_loss: float | None = None
    compiling: float = 0.0
    first: float = 0.0
    graphs: int = 0
    breaks: int = 0
    recompiles: int = 0
    reasons: Sequence[str] = ()
    failed: str = ""


class Watched(Clock):
    """A clock that notes every update, and lets nothing be compiled but training."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def __call__(self, progress: Progress) -> None:
        """Note an update; answering is never compiled."""
        super().__call__(progress)
        training = progress.phase == "train"
        torch.compiler.set_stance("default" if training else "force_eager")
        if training and not progress.done:
            self.times = []  # told twice before the first update
        if training:
            self.times.append(self.last[0])

    def beyond_usual(self) -> float:
        """Return the seconds of the first update beyond the median of all."""
        steps = [after - before for before, after in itertools.pairwise(self.times)]
        return steps[0] - statistics.median(steps) if steps else 0.0


def leave_kernels() -> None:
    """Keep the compiler out of tarazu's own autograd functions, from now on in this process."""
    for one in pkgutil.iter_modules(tarazu.models.fast.__path__, "tarazu.models.fast."):
        importlib.import_module(one.name)  # some only come with the method that needs them
    for function in torch.autograd.Function.__subclasses__():
        module = sys.modules[function.__module__]
        if module.__name__.startswith("tarazu.models.fast."):
            # Everybody finds them by their modules' names.
            apart = SimpleNamespace(apply=torch.compiler.disable(function.apply))
            setattr(module, function.__name__, apart)


@contextmanager
def compiled(part: str | None, backend: str = "inductor") -> Iterator[None]:
    """Compile models when their training begins.

    Args:
        part: ``model``, ``layers``, or None for nothing.
        backend: Of `torch.compile`.
    """

    def compile_and_fit(learner: Learner, *rest: Any) -> Any:
        modules: Iterable[nn.Module] = [learner.trunk] if part == "model" else learner.blocks()
        for module in modules:
            module.compile(dynamic=True, backend=backend)
        return fit(learner, *rest)

    torch._dynamo.reset()
    counters.clear()
    try:
        with nullcontext() if part is None else instead_of_fit(compile_and_fit):
            yield
    finally:
        torch.compiler.set_stance("default")


def train(work: Work, threads: int, part: str | None, backend: str = "inductor") -> Trained:
    """Train once in this process.

    Args:
        work: Of kind ``train``.
        threads: CPU threads.
        part: What is compiled.
        backend: Of `torch.compile`.
    """
    with tempfile.TemporaryDirectory() as name:
        prepared = prepare(work, [0], threads, Path(name))
        (spec,) = prepared.specs
        request = request_of(prepared, spec, Path(name))
        warm = replace(request.splits, train=prepared.warm)
        perform(replace(request, splits=warm), tell=Clock())
        clock = Watched()
        before = len(get_compilation_metrics())
        with compiled(part, backend):
            done = perform(request, tell=clock)
            made = get_compilation_metrics()[before:]
            reasons = dict(counters["graph_break"])
    return Trained(
        seconds=clock.stop()[0],
        updates=clock.updates,
        loss=done.epochs[-1].validation_loss,
        train_loss=done.epochs[-1].train_loss,
        compiling=sum(one.duration_us or 0 for one in made) / 1e6,
        first=clock.beyond_usual(),
        graphs=sum(bool(one.is_forward) and bool(one.graph_op_count) for one in made),
        breaks=sum(reasons.values()),
        recompiles=sum(one.recompile_reason is not None for one in made),
        reasons=sorted({reason.splitlines()[0] for reason in reasons}),
    )


def in_own_process(work: Work, way: Way, plain: str) -> Trained:
    """Train in a new process that finds nothing compiled before.

    Args:
        work: The work.
        way: How.
        plain: What is switched off without tarazu's kernels.
    """
    words = ["--works", work.name, "--examples", str(work.examples), "--once", way.part or "none"]
    words += ["--held-out", str(work.held_out), *(["--apart"] if way.kernels == "apart" else [])]
    with tempfile.TemporaryDirectory() as cache:
        try:
            done = subprocess.run(
                [sys.executable, __file__, *words],
                capture_output=True,
                text=True,
                timeout=LIMIT,
                env={
                    **os.environ,
                    VARIABLE: plain if way.kernels == "plain" else "",
                    "TORCHINDUCTOR_CACHE_DIR": cache,
                },
            )
        except subprocess.TimeoutExpired:
            return Trained(failed=f"not done after {LIMIT:,} seconds")
    return read_answer(done)


def read_answer(done: subprocess.CompletedProcess[str]) -> Trained:
    """Return what a process printed last, or why it printed nothing."""
    if done.returncode == 0:
        return Trained(**json.loads(done.stdout.splitlines()[-1]))
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return Trained(failed=f"ended with {done.returncode}: {lines[-1] if lines else 'no word'}")


def once(work: Work, part: str | None) -> Trained:
    """Train, or say what went wrong: a failure of the compiler is a result."""
    threads = len(os.sched_getaffinity(0))
    torch.set_num_threads(threads)
    try:
        return train(work, threads, part)
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()] or ["no word"]
        return Trained(failed=f"{type(error).__name__}: {lines[0]}")


Run = Callable[[Work, Way], Trained]


def measure(work: Work, pairs: int, parts: Sequence[str], run: Run) -> list[dict[str, Any]]:
    """Return the rows of a work: all ways in turns.

    Args:
        work: The work.
        pairs: How many times each way is taken.
        parts: What is compiled.
        run: Trains once.
    """
    made = [Way(kernels, part) for kernels in KINDS for part in parts]
    ways = [*dict.fromkeys(way.without for way in made), *made]
    taken: dict[Way, list[Trained]] = {way: [] for way in ways}
    for number in range(pairs):
        for way in ways if number % 2 == 0 else reversed(ways):
            taken[way].append(run(work, way))
    return [row_of(work, way, taken) for way in made]


def row_of(work: Work, way: Way, taken: Mapping[Way, Sequence[Trained]]) -> dict[str, Any]:
    """Return what compiling came to against the same kernels without, and tarazu as it is."""
    same, own, mine = taken[way.without], taken[Way("own")], taken[way]
    head = {"work": work.name, **asdict(way), "examples": work.examples, "pairs": len(mine)}
    tail = {**stamp(), "torch": torch.__version__}
    failures = [one.failed for one in (*same, *own, *mine) if one.failed]
    if failures:
        return {**head, "failed": failures[0], **tail}

    def median(name: str, sides: Sequence[Trained]) -> float:
        return statistics.median(getattr(one, name) for one in sides)

    ratios = [a.seconds / b.seconds for a, b in zip(same, mine, strict=True)]
    against_own = [a.seconds / b.seconds for a, b in zip(own, mine, strict=True)]
    gained = [a.seconds - b.seconds + b.compiling for a, b in zip(own, mine, strict=True)]
    gain, compiling = statistics.median(gained) / mine[0].updates, median("compiling", mine)
    return {
        **head,
        "updates": mine[0].updates,
        "without": round(median("seconds", same), 1),
        "with": round(median("seconds", mine), 1),
        "compiling": round(compiling, 1),
        "first_update_beyond_usual": round(median("first", mine), 1),
        "ratio_median": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3),
        "ratio_max": round(max(ratios), 3),
        "against_own_median": round(statistics.median(against_own), 3),
        # Against tarazu as it is; None: never.
        "pays_after_updates": round(compiling / gain) if gain > 0 else None,
        "graphs": mine[0].graphs,
        "breaks": mine[0].breaks,
        "recompiles": mine[0].recompiles,
        "reasons": list(mine[0].reasons),
        "loss_without": same[0].loss,
        "loss_with": mine[0].loss,
        "train_loss_without": same[0].train_loss,
        "train_loss_with": mine[0].train_loss,
        **tail,
    }


COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "work": lambda row: f"`{row['work']}`",
    "examples": lambda row: f"{row['examples']:,}",
    "kernels": lambda row: row["kernels"],
    "compiled": lambda row: row["part"],
    "without, s": lambda row: f"{row['without']:.1f}",
    "with, s": lambda row: f"{row['with']:.1f}",
    "of which compiling, s": lambda row: f"{row['compiling']:.1f}",
    "pays after": lambda row: (
        "never"
        if row["pays_after_updates"] is None
        else f"{row['pays_after_updates']:,} updates of {row['updates']:,}"
    ),
    "graphs, breaks, recompiles": lambda row: (
        f"{row['graphs']}, {row['breaks']}, {row['recompiles']}"
    ),
    "loss without, with": lambda row: f"{row['loss_without']:.4f}, {row['loss_with']:.4f}",
    "machine, date": lambda row: f"{row['machine']}, torch {row['torch']}, {row['date']}",
}
ALWAYS = ("work", "examples", "kernels", "compiled", "machine, date")


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as the Markdown table of ``docs/design/fast-training.md``."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS)]
    for row in rows:
        failed = row.get("failed")
        cells = [
            cell(row) if name in ALWAYS or not failed else "–" for name, cell in COLUMNS.items()
        ]
        if failed:
            cells[list(COLUMNS).index("with, s")] = f"failed: {failed.replace('|', '/')}"
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def merged(file: Path, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a file with newer ones in place of theirs."""
    both = together(file, rows, ("work", "kernels", "part"))
    return sorted(both, key=lambda row: list(WORKS).index(row["work"]))


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    trained = [name for name, work in WORKS.items() if work.kind == "train"]
    parser.add_argument(
        "--works", nargs="+", choices=trained, default=list(DEFAULT), metavar="WORK"
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--examples", type=int, help="of all works; default: some minutes' worth")
    parser.add_argument("--held-out", type=int, default=32, help="items for the loss afterwards")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--plain", default=",".join(KERNELS), help="what 'plain' switches off")
    parser.add_argument("--rows", action="store_true", help="print the kept results, and stop")
    parser.add_argument("--apart", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--once", choices=("none", *PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(words)
    file = args.out / "compiled.json"
    for name in [] if args.rows else args.works:
        count = args.examples or DEFAULT.get(name) or WORKS[name].examples
        work = replace(WORKS[name], examples=count, held_out=args.held_out)
        if args.once is not None:
            part = None if args.once == "none" else args.once
            if args.apart:
                leave_kernels()
            print(json.dumps(asdict(once(work, part))))
            return
        rows = measure(
            work, args.pairs, args.parts, lambda work, way: in_own_process(work, way, args.plain)
        )
        print(json.dumps(rows), flush=True)
        write_rows(merged(file, rows), file)
    print(table(merged(file, [])))


if __name__ == "__main__":
    main()
