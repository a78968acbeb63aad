"""Kill studies again and again; what they end with must be what an unkilled one ends with.

    python tests/faults/kills.py --forked 200 --count 40 --demo 20 --report docs/results/faults.md

A *story* is one output folder: the same command is given until the study has ended, and is killed
on its way. A kill comes at

- a point: before the n-th time that a process opens, renames, removes or syncs a file of one kind
  (`hooks/sitecustomize.py`), each kind as often as every other;
- a phase: after the n-th word of training, of validation or of answering;
- a time: whenever it falls.

It takes the study's own process, or all of them, or the power: then every file that was written
and not synced since the command was given is cut short, as a file system may leave it.

In the end all files of all runs are compared byte by byte, records without their clocks.

Commands of ``--forked`` kills are forks of a Python that has made its imports (`ready.py`), which
takes a fifth of the time; those of ``--count`` are as users give them, and so are those of
``--demo``, of a cut of the embedded study with its real models.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
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
    ROOT,
    TINY_STUDIES,
    Asked,
    Command,
    Folder,
    as_given,
    for_ever,
    made_with,
    make_tiny,
)

from tarazu.testing.folders import contents

WHOM = ("study", "all", "power")
PHASES = ("train", "validate", "evaluate")
KINDS = ("point", "phase", "time")

# Tells of each word of a phase; dies at the one that is asked for.
PROGRAM = """
import json, os, sys
from tarazu.record.progress import Silent
from tarazu.study import run_study
import sitecustomize

plan = json.loads(os.environ["TARAZU_FAULT"])
heard = {}

def say(line):
    with open(plan["log"], "a") as log:
        log.write(line + "\\n")

class Deadly(Silent):
    def planned(self, runs):
        self.runs = runs
        say("at\\tno run")

    def started(self, index):
        say(f"at\\t{self.runs[index].entry}, {self.runs[index].stage}")

    def finished(self, index, record):
        say("at\\tno run")

    def progress(self, index, progress):
        heard[progress.phase] = heard.get(progress.phase, 0) + 1
        if plan.get("dry"):
            say(f"phase\\t{progress.phase}\\t{heard[progress.phase]}")
        elif (progress.phase, heard[progress.phase]) == (plan.get("phase"), plan.get("at")):
            say("died")
            sitecustomize.die(plan["whom"])

asked = json.loads(sys.argv[1])
run_study(asked["study"], out=asked["out"], only=asked["only"], overrides=asked["overrides"],
          checkpoint_every=asked["checkpoint_every"], listener=Deadly())
"""


DEMO = Asked(
    "the embedded study: full, last-k, lora, p-tuning, qlora-text",
    str(ROOT / "studies" / "demo.yaml"),
    ("full", "last-k", "lora", "p-tuning", "qlora-text"),
    (
        "data.sample={train: 16, test: 4}",
        "data.validation={from: train, rows: 4}",
        "training.epochs=2",
        "methods.qlora-text.decode.max_new_tokens=4",
    ),
    checkpoint_every=1 / 60,
)


@dataclass
class Found:
    """What came of all stories.

    Attributes:
        kills: By kind, where and whom.
        runs: By study and what it was making.
        stories: Studies that ended.
        wrong: What differed, or ended otherwise than by a kill.
        cut: Files that were cut short.
        in_training: Kills that left a checkpoint to go on from.
    """

    kills: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    stories: int = 0
    wrong: list[str] = field(default_factory=list)
    cut: int = 0
    in_training: int = 0


class Place:
    """A folder with a study, in which commands are given and killed.

    Args:
        folder: Where the study's file is.
        ready: Gives commands to a Python that has made its imports; without, each makes its own.
    """

    def __init__(self, folder: Path, ready: Ready | None = None) -> None:
        self.folder = folder
        self._folder = Folder(folder, ready)
        self._whole: dict[str, dict[str, Any]] = {}
        self._points: dict[str, Counter[tuple[str, str]]] = {}
        self._seconds: dict[str, float] = {}

    def whole(self, asked: Asked) -> dict[str, Any]:
        """Return what an unkilled study ends with; it is run once, and what it does is noted."""
        if asked.name not in self._whole:
            out, log = self.folder / "whole", self.folder / "log"
            start = time.monotonic()
            process = self.give(asked, out, {"dry": True})
            assert process.wait() == 0, f"{asked.name} does not end"
            self._seconds[asked.name] = time.monotonic() - start
            points: Counter[tuple[str, str]] = Counter()
            for line in log.read_text().splitlines():
                if not line.startswith("at\t"):
                    role, place, number = line.split("\t")
                    points[role, place] = max(points[role, place], int(number))
            self._points[asked.name] = points
            self._whole[asked.name] = contents(out)
            self.clear(out)
        return self._whole[asked.name]

    def give(self, asked: Asked, out: Path, plan: Mapping[str, Any]) -> Command:
        """Give the command."""
        (self.folder / "log").unlink(missing_ok=True)
        roots = [str(root) for root in (out, *self._folder.roots)]
        variables = {
            **HOOKED,
            "TARAZU_FAULT": json.dumps({"roots": roots, "log": str(self.folder / "log"), **plan}),
        }
        words = {
            "study": asked.study,
            "out": str(out),
            "only": list(asked.only) or None,
            "overrides": list(asked.overrides),
            "checkpoint_every": asked.checkpoint_every,
        }
        return self._folder.give(PROGRAM, [json.dumps(words)], variables)

    def plan(self, asked: Asked, dice: random.Random) -> dict[str, Any]:
        """Draw how the next command dies."""
        self.whole(asked)
        points = self._points[asked.name]
        kind, whom = dice.choice(KINDS), dice.choice(WHOM)
        if kind == "time":
            return {
                "kind": kind,
                "whom": whom,
                "after": dice.random() ** 2 * self._seconds[asked.name],
            }
        if kind == "phase":
            # Most of the state that can be lost is a training's, anywhere in it.
            phases = [name for name in (*PHASES, "train", "train") if ("phase", name) in points]
            phase = dice.choice(phases)
            at = dice.randint(1, points["phase", phase])
            return {"kind": kind, "whom": whom, "phase": phase, "at": at}
        role = dice.choice(sorted({role for role, _ in points} - {"phase"}))
        role, place = dice.choice(sorted(key for key in points if key[0] == role))
        at = _early(points[role, place], dice)
        return {"kind": kind, "whom": whom, "role": role, "place": place, "at": at}

    def kill(self, process: Command, plan: Mapping[str, Any]) -> int:
        """Wait for the command's end, which may be brought about here; return its exit code."""
        if plan["kind"] == "time":
            try:
                return process.wait(timeout=plan["after"])
            except subprocess.TimeoutExpired:
                if plan["whom"] == "study":
                    process.kill()
                else:
                    os.killpg(process.pid, signal.SIGKILL)
        return process.wait(timeout=600)

    def cut(self, out: Path, since: float, dice: random.Random) -> int:
        """Cut files short that were written since and not synced; return how many."""
        synced = set()
        for line in self._log():
            if line.startswith("synced"):
                synced.add(tuple(line.split("\t")[1:]))
        count = 0
        for root in (out, *self._folder.roots):
            for file in sorted(root.rglob("*")):
                found = file.lstat()
                if not file.is_file() or file.is_symlink() or found.st_mtime < since:
                    continue
                if found.st_size and (str(found.st_ino), str(found.st_mtime_ns)) not in synced:
                    os.truncate(file, dice.randrange(found.st_size))
                    count += 1
        return count

    def died_in(self) -> str:
        """Return the entry and the stage of the run that the last command was making."""
        at = [line.partition("\t")[2] for line in self._log() if line.startswith("at\t")]
        return at[-1] if at else "no run"

    def goes_on(self, out: Path) -> bool:
        """Say whether there is a checkpoint that a training can go on from."""
        roots = (out, self.folder / "cache")
        return any(True for root in roots for _ in root.rglob("[0-9]*/state.json"))

    def left(self, out: Path) -> list[str]:
        """Return what checkpoints left behind."""
        folders = (out / "checkpoints", self.folder / "cache" / "trials")
        return [str(one.relative_to(self.folder)) for root in folders for one in root.rglob("*.*")]

    def _log(self) -> list[str]:
        """Return what the last command noted; nothing when it died before."""
        file = self.folder / "log"
        return file.read_text().splitlines() if file.exists() else []

    def clear(self, out: Path) -> None:
        """Remove an output folder, and what is left of it elsewhere."""
        self._folder.clear(out)

    def said(self) -> str:
        """Return the last that the command said."""
        return self._folder.said()[-1500:]


def tell_story(place: Place, asked: Asked, most: int, dice: random.Random, found: Found) -> None:
    """Kill one study, at most so many times, and compare what it ends with."""
    whole, out = place.whole(asked), place.folder / "out"
    kills = 0
    while True:
        plan = place.plan(asked, dice) if kills < most else {"kind": "none"}
        since = time.time()
        code = place.kill(place.give(asked, out, plan), plan)
        if code != -signal.SIGKILL:
            break
        kills += 1
        where = plan.get("place") or plan.get("phase") or "any"
        found.kills[plan["kind"], where, plan["whom"]] += 1
        found.runs[asked.name, place.died_in()] += 1
        if plan["whom"] == "power":
            found.cut += place.cut(out, since, dice)
        found.in_training += place.goes_on(out)
    if code != 0:
        found.wrong.append(f"{asked.name}: {plan}: exit code {code}: {place.said()}")
    else:
        ended = contents(out)
        names = sorted(whole.keys() | ended.keys())
        different = [name for name in names if whole.get(name) != ended.get(name)]
        found.wrong += [f"{asked.name}: {name} differs after {kills} kills" for name in different]
        found.wrong += [
            f"{asked.name}: {name} is left after {kills} kills" for name in place.left(out)
        ]
        found.stories += 1
    place.clear(out)


def _early(last: int, dice: random.Random) -> int:
    """Draw a number up to the last one, small ones more often: what is left gets less."""
    return 1 + int(last * dice.random() ** 2)


def feed(
    place: Place, count: int, seed: int, found: Found, studies: Sequence[Asked] = TINY_STUDIES
) -> None:
    """Kill studies until so many kills are made.

    Args:
        place: Where.
        count: Kills.
        seed: Of what is drawn.
        found: What came of it is added here.
        studies: Which, in turn.
    """
    dice, before = random.Random(seed), found.kills.total()
    turns = for_ever(studies)
    while (left := count - found.kills.total() + before) > 0 and len(found.wrong) < 5:
        tell_story(place, next(turns), min(left, dice.randint(3, 9)), dice, found)
        print(
            f"{found.kills.total()} kills, {found.stories} studies, {len(found.wrong)} wrong",
            flush=True,
        )


def table(found: Found) -> str:
    """Return the kills as a Markdown table."""
    lines = ["| kill at | " + " | ".join(WHOM) + " |", "|---|" + "---:|" * len(WHOM)]
    for kind, where in sorted({(kind, where) for kind, where, _ in found.kills}):
        cells = [str(found.kills[kind, where, whom]) for whom in WHOM]
        lines.append(f"| {kind}: {where} | {' | '.join(cells)} |")
    lines += ["", "| study | while it made | kills |", "|---|---|---:|"]
    for (study, run), count in sorted(found.runs.items()):
        lines.append(f"| {study} | {run} | {count} |")
    return "\n".join(lines) + "\n"


def write_report(file: Path, found: Found, seconds: float, command: str) -> None:
    """Write what was found, with machine, date and command."""
    text = (
        f"# Killed studies\n\n{found.kills.total()} kills of {found.stories} studies: "
        f"{len(found.wrong)} differences in what they ended with, and no step by hand. What the "
        f"kinds of kills are stands in `tests/faults/kills.py`; {found.cut} files were cut short "
        f"where the power failed. {found.in_training} kills left a checkpoint to go on from.\n\n"
        f"{table(found)}\n"
        f"{made_with(command, seconds)}"
    )
    file.write_text(text, encoding="utf-8")


def main() -> None:
    """Kill as many as are asked for; exit with 1 when anything differed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=40, help="kills of tiny studies")
    parser.add_argument("--forked", type=int, default=200, help="the same, of forked commands")
    parser.add_argument("--demo", type=int, default=20, help="kills of the embedded study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path)
    args = parser.parse_args()
    start, found = time.monotonic(), Found()
    with tempfile.TemporaryDirectory() as folder:
        make_tiny(tiny := Path(folder) / "tiny")
        with Ready(HOOKED) as ready:
            feed(Place(tiny, ready), args.forked, args.seed, found)
        feed(Place(tiny), args.count, args.seed + 1, found)
        (demo := Path(folder) / "demo").mkdir()
        feed(Place(demo), args.demo, args.seed, found, [DEMO])
    print(table(found))
    for one in found.wrong:
        print(one)
    if args.report is not None:
        command = as_given("kills.py", sys.argv[1:])
        write_report(args.report, found, time.monotonic() - start, command)
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
