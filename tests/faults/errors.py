"""Let disks fail under studies; nothing finished is lost, the word is clear, and they go on.

    python tests/faults/errors.py --forked 150 --count 10 --report docs/results/disk-errors.md

A *story* is one output folder. The command is given once or twice while the disk fails, and then
once more while it does not. A failure has

- a point: the n-th time that any process of the command opens a file for writing, writes to one,
  renames, syncs, makes or removes something of one kind, each operation on each kind as often as
  every other;
- an error: ENOSPC, EIO or EROFS;
- a spread: that one call; all of its kind from then on; or the whole disk from then on.

`hooks/refusing.c` is loaded into all processes and refuses what libraries in any language ask of
the kernel. After a failure the command must have ended with exit code 2 and a message that names a
path, the cause and what to do, and without a traceback; or with 0 and the same results as ever, as
nothing failed that it needs: caches and checkpoints stop no study. What had come to its place
before is still there. The same command then ends with the same bytes as an untouched study, records
without their clocks and without the word that a run went on without checkpoints.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ready import Ready
from stories import (
    HOOKED,
    HOOKS,
    TINY_STUDIES,
    Asked,
    Folder,
    as_given,
    for_ever,
    made_with,
    make_tiny,
)

from tarazu.testing.folders import contents

sys.path.append(str(HOOKS))
from fault_places import PLACES, REST

OPERATIONS = ("open", "write", "rename", "fsync", "mkdir", "remove")
SPREADS = ("once", "kind", "disk")
KINDS = (("/scratch/", "temporary files"), *PLACES, ("", REST))
ERRORS = {
    **dict.fromkeys(OPERATIONS, (errno.ENOSPC, errno.EIO, errno.EROFS)),
    "fsync": (errno.ENOSPC, errno.EIO),  # what is open for writing was not read-only
    "remove": (errno.EIO, errno.EROFS),  # a full disk lets go of files
}
# What a message may give as the cause, and as what to do.
CAUSES = {
    errno.ENOSPC: ("there is no space left", "No space left on device", "disk is full"),
    errno.EIO: ("the disk reports an error", "Input/output error"),
    errno.EROFS: ("read-only file system", "Read-only file system"),
}
# Without these a study goes on; and without these being on the disk no run is finished.
DISPENSABLE = (
    "tables of tokens",
    "states of a frozen trunk",
    "checkpoints of trials",
    "checkpoints",
)
SYNCED = ("records", "data", "ledger")
REMEDIES = ("again", "--out", "TARAZU_CACHE")
TRACEBACK = "Traceback (most recent call last):"
# Python prints one itself at its end, where it cannot remove the folder of its sockets.
PYTHONS_OWN = "in _run_finalizers\n"
WITHOUT_CHECKPOINTS = "training goes on without checkpoints"
# A fork of a Python that is loaded already maps the plan itself.
PROGRAM = """
import ctypes, os, sys
from tarazu.cli import main

ctypes.CDLL(os.environ["LD_PRELOAD"]).refuse_as(os.environ["TARAZU_REFUSING"].encode())
main()
"""


class Plan(ctypes.Structure):
    """What `hooks/refusing.c` is told, and tells; the same there."""

    _fields_ = (
        *((name, ctypes.c_int32) for name in ("place", "operation", "at", "number", "spread")),
        ("fired", ctypes.c_int32),
        ("told", ctypes.c_uint32),
        ("fired_at", ctypes.c_char * 400),
        ("roots", ctypes.c_char * 400 * 4),
        ("places", ctypes.c_char * 32 * 16),
        ("counts", ctypes.c_uint32 * len(OPERATIONS) * 16),
        ("stored", ctypes.c_char * (1 << 16)),
    )


@dataclass(frozen=True)
class Fault:
    """How a disk fails.

    Attributes:
        place: Kind of files, as in `KINDS`.
        operation: One of `OPERATIONS`.
        at: Which time of these.
        number: The error.
        spread: One of `SPREADS`.
    """

    place: str
    operation: str
    at: int
    number: int
    spread: str

    def __str__(self) -> str:
        """Return it for people."""
        error = errno.errorcode[self.number]
        return f"{error} at {self.operation} {self.at} of {self.place} ({self.spread})"


@dataclass(frozen=True)
class Ended:
    """How a command ended.

    Attributes:
        code: Its exit code.
        said: On standard error.
        failed_at: The path at which the disk failed first; empty where it did not.
        stored: Runs that came to their places.
    """

    code: int
    said: str
    failed_at: str
    stored: frozenset[str]


@dataclass
class Found:
    """What came of all stories.

    Attributes:
        faults: By place, operation and what the command did: ``stopped``, or ``went on``.
        errors: By error and spread.
        missed: Faults whose point was not reached.
        stories: Studies that ended.
        wrong: What was not as it must be.
    """

    faults: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    missed: int = 0
    stories: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, wrong: str) -> None:
        """Keep what was wrong, and print it at once."""
        self.wrong.append(wrong)
        print(wrong, flush=True)


def build(folder: Path) -> Path:
    """Compile what is preloaded.

    Raises:
        FileNotFoundError: There is no C compiler.
    """
    library = folder / "refusing.so"
    source = HOOKS / "refusing.c"
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source, "-ldl"]
    subprocess.run(command, check=True)
    return library


class Disk:
    """A folder with a study, whose commands find a disk that fails.

    Args:
        folder: Where the study's file is.
        library: What is preloaded.
        ready: Gives commands to a Python that has made its imports, and the library.
    """

    def __init__(self, folder: Path, library: Path, ready: Ready | None = None) -> None:
        self.out = folder / "out"
        self._library = library
        self._folder = Folder(folder, ready)
        self._scratch = folder / "scratch"
        self._plan = folder / "plan"
        self._whole: dict[str, dict[str, Any]] = {}
        self._points: dict[str, dict[tuple[str, str], int]] = {}

    def whole(self, asked: Asked) -> dict[str, Any]:
        """Return what a study ends with on a disk that works; it is run once."""
        if asked.name not in self._whole:
            ended = self.give(asked, None)
            assert ended.code == 0, f"{asked.name} does not end: {ended.said}"
            assert ended.stored, "nothing is watched"
            self._whole[asked.name] = results(self.out)
            self._points[asked.name] = self._counted()
            self.clear()
        return self._whole[asked.name]

    def draw(self, asked: Asked, dice: random.Random) -> Fault:
        """Draw how the disk fails."""
        self.whole(asked)
        points = self._points[asked.name]
        place = dice.choice(sorted({place for place, _ in points}))
        operation = dice.choice(sorted(o for p, o in points if p == place))
        at = dice.randint(1, points[place, operation])
        return Fault(place, operation, at, dice.choice(ERRORS[operation]), dice.choice(SPREADS))

    def give(self, asked: Asked, fault: Fault | None) -> Ended:
        """Give the command and wait for its end."""
        self._scratch.mkdir(exist_ok=True)
        roots = (self.out, *self._folder.roots, self._scratch)
        plan = _plan(fault, roots)
        self._plan.write_bytes(bytes(plan))
        words = ["run", asked.study, "--out", str(self.out)]
        words += [word for entry in asked.only for word in ("--only", entry)]
        words += [word for one in asked.overrides for word in ("--set", one)]
        words += ["--checkpoint-every", str(asked.checkpoint_every)]
        variables = {
            "LD_PRELOAD": str(self._library),
            "TARAZU_REFUSING": str(self._plan),
            "TMPDIR": str(self._scratch),
            "TARAZU_DEBUG": "1",  # what nobody expected is a traceback, and seen
        }
        code = self._folder.give(PROGRAM, words, variables).wait(timeout=300)
        after = Plan.from_buffer_copy(self._plan.read_bytes())
        stored = frozenset(filter(None, bytes(_raw(after)).decode().split("\0")))
        return Ended(code, self._folder.said(), after.fired_at.decode(), stored)

    def _counted(self) -> dict[tuple[str, str], int]:
        """Return how often the last command did what."""
        after = Plan.from_buffer_copy(self._plan.read_bytes())
        return {
            (place, operation): after.counts[i][j]
            for i, (_, place) in enumerate(KINDS)
            for j, operation in enumerate(OPERATIONS)
            if after.counts[i][j]
        }

    def left(self) -> list[str]:
        """Return what stands under temporary names, which a command that ended removes."""
        names = (".tmp-", ".old-")
        return [str(p) for p in self.out.rglob(".*") if p.name.startswith(names)]

    def clear(self) -> None:
        """Remove the output folder, and what is left of it elsewhere."""
        self._folder.clear(self.out)


def _plan(fault: Fault | None, roots: Sequence[Path]) -> Plan:
    plan = Plan(place=-1)
    for index, root in enumerate(roots):
        plan.roots[index].value = str(root).encode()
    for index, (part, _) in enumerate(KINDS[:-1]):
        plan.places[index].value = part.encode()
    if fault is not None:
        plan.place = [name for _, name in KINDS].index(fault.place)
        plan.operation = OPERATIONS.index(fault.operation)
        plan.at, plan.number = fault.at, fault.number
        plan.spread = SPREADS.index(fault.spread)
    return plan


def _raw(plan: Plan) -> memoryview:
    """Return the names of stored runs, each with a zero after it."""
    start = Plan.stored.offset
    return memoryview(plan).cast("B")[start : start + plan.told]


def complaints(ended: Ended, fault: Fault, out: Path) -> list[str]:
    """Return what is wrong with how a command ended that was refused something."""
    found = []
    if any(PYTHONS_OWN not in one for one in ended.said.split(TRACEBACK)[1:]):
        found.append("a traceback")
    if ended.code == 0:
        mine = Path(ended.failed_at).is_relative_to(out)  # and not the user's ledger
        if mine and fault.operation == "fsync" and fault.place in SYNCED:
            found.append("it went on although what it wrote may not be on the disk")
        return found
    if fault.spread != "disk" and fault.place in DISPENSABLE:
        found.append("it stopped, and could have done without")
    if ended.code != 2:
        found.append(f"exit code {ended.code}, and the disk is nothing but bad input")
    if str(out.parent) not in ended.said:
        found.append("no path")
    if not any(cause in ended.said for cause in CAUSES[fault.number]):
        found.append("no cause")
    if not any(remedy in ended.said for remedy in REMEDIES):
        found.append("no remedy")
    return found


def results(folder: Path) -> dict[str, Any]:
    """Return what a study came to, without its clocks and the word that checkpoints were refused.

    A record says that its run went on without checkpoints; nothing else may come of that.
    """
    found = contents(folder)
    records = {name: value for name, value in found.items() if isinstance(value, dict)}
    for name, record in records.items():
        found[name] = record | {
            "events": [
                event
                for event in record["events"]
                if not event["message"].startswith(WITHOUT_CHECKPOINTS)
            ]
        }
    return found


def differences(whole: Mapping[str, Any], ended: Mapping[str, Any], runs: Any = None) -> list[str]:
    """Return the files that are not the same.

    Args:
        whole: Of an untouched study.
        ended: What is there.
        runs: Names of runs that are compared; all by default.
    """
    names = {
        name for name in whole.keys() | ended.keys() if runs is None or name.split("/")[1] in runs
    }
    return [f"{n} differs" for n in sorted(names) if whole.get(n) != ended.get(n)]


def tell_story(disk: Disk, asked: Asked, faults: Sequence[Fault], found: Found) -> None:
    """Let the disk fail under one study, once in each command, and compare what it ends with."""
    whole = disk.whole(asked)
    stored: set[str] = set()
    told: list[str] = []
    for fault in faults:
        ended = disk.give(asked, fault)
        told.append(f"{fault}, {ended.failed_at or 'not reached'}")
        if not ended.failed_at:
            found.missed += 1
        else:
            did = "went on" if ended.code == 0 else "stopped"
            found.faults[fault.place, fault.operation, did] += 1
            found.errors[errno.errorcode[fault.number], fault.spread] += 1
        wrong = complaints(ended, fault, disk.out)
        stored |= ended.stored
        wrong += differences(whole, results(disk.out), stored if ended.code else None)
        if ended.code and not ended.failed_at:
            wrong.append("the disk did not fail")
        if wrong:
            found.add(f"{asked.name}: {told}: {'; '.join(wrong)}\n{ended.said[-3000:]}")
    ended = disk.give(asked, None)
    wrong = differences(whole, results(disk.out)) if ended.code == 0 else ["it does not go on"]
    wrong += [f"{name} is left" for name in disk.left()]
    if wrong:
        found.add(f"{asked.name}: {told}, then none: {'; '.join(wrong)}\n{ended.said}")
    found.stories += 1
    disk.clear()


def feed(
    disk: Disk, count: int, seed: int, found: Found, studies: Sequence[Asked] = TINY_STUDIES
) -> None:
    """Tell so many stories.

    Args:
        disk: Where.
        count: Stories.
        seed: Of what is drawn.
        found: What came of it is added here.
        studies: Which, in turn.
    """
    dice, until, turns = random.Random(seed), found.stories + count, for_ever(studies)
    while found.stories < until and len(found.wrong) < 5:
        asked = next(turns)
        faults = [disk.draw(asked, dice) for _ in range(dice.choice((1, 1, 2)))]
        tell_story(disk, asked, faults, found)
        print(
            f"{found.stories} studies, {found.faults.total()} failures, {len(found.wrong)} wrong",
            flush=True,
        )


def table(found: Found) -> str:
    """Return the failures as Markdown tables."""
    cases = ("stopped", "went on")
    lines = ["| disk failed at | " + " | ".join(cases) + " |", "|---|---:|---:|"]
    for place, operation in sorted({(place, operation) for place, operation, _ in found.faults}):
        cells = [str(found.faults[place, operation, case]) for case in cases]
        lines.append(f"| {place}: {operation} | {' | '.join(cells)} |")
    lines += ["", "| error | " + " | ".join(SPREADS) + " |", "|---|" + "---:|" * len(SPREADS)]
    for name in sorted({name for name, _ in found.errors}):
        cells = [str(found.errors[name, spread]) for spread in SPREADS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def report(found: Found, made: str) -> str:
    """Return what was found as Markdown.

    Args:
        found: What.
        made: How it was made.
    """
    return (
        f"# Disks that fail\n\n{found.faults.total()} failures under {found.stories} studies: "
        f"{len(found.wrong)} times something was lost, unclear or different in the end. What fails "
        "and what must hold stands in `tests/faults/errors.py`. A command stopped with a word of "
        "what to do, or went on where it could do without; "
        f"{found.missed} points were not reached, as less was left to do.\n\n"
        f"{table(found)}\n{made}"
    )


def main() -> None:
    """Tell as many as are asked for; exit with 1 when anything was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=10, help="studies")
    parser.add_argument("--forked", type=int, default=150, help="the same, of forked commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    start, found = time.monotonic(), Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = build(folder)
        make_tiny(tiny := folder / "tiny")
        with Ready({**HOOKED, "LD_PRELOAD": str(library)}) as ready:
            feed(Disk(tiny, library, ready), args.forked, args.seed, found)
        feed(Disk(tiny, library), args.count, args.seed + 1, found)
    print(table(found))
    if args.report is not None:
        made = made_with(as_given("errors.py", sys.argv[1:]), time.monotonic() - start)
        args.report.write_text(report(found, made), encoding="utf-8")
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
