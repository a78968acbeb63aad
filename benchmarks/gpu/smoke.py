"""Does tarazu work on this CUDA card? Every method of both worked studies, then the real sizes.

    pip install --constraint constraints.txt -e .
    python benchmarks/gpu/smoke.py                       # under 8 minutes on one card
    python benchmarks/gpu/smoke.py --device cpu --tiny   # is the script whole? no card needed

No network is used: models are made at random, rows are made up. Every entry of `studies/nli.yaml`
and `studies/squad.yaml` is run by ``tarazu run`` at small size: on the card in fp32 without
dropout, and on the card in the precision that it chooses with dropout. Both are compared with the
plain way (optimisations off) on the CPU in fp32: what is checked and how far apart they may be
stands in `smoke_checks.py`, with reasons. Then a training is killed by SIGKILL and continued, a run
is verified, and memory and tokens per second are measured at the shapes of RoBERTa-large and
Llama-3-8B (17.5 GB of disk; what does not fit the machine is listed as that).

With ``--device cpu`` the fast way on the CPU is compared with the plain one.

All checks are made even if one fails. Verdicts and figures go to one JSON file; a short table is
printed. Exit status: 0 all is well; 1 a check failed; 2 there is no card; 3 none failed, but the
budget of minutes ended before all were reached.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gpu import smoke_checks as checks
from gpu import smoke_sizes as sizes
from gpu import smoke_study as small
from gpu.smoke_checks import Check
from gpu.smoke_study import Done, Side
from side_by_side.results import stamp
from side_by_side.works import ROOT
from tarazu.models.precision import choose
from tarazu.record.disk import write_whole
from tarazu.record.environment import versions
from tarazu.record.record import RunRecord
from tarazu.record.spec import ComputeSpec
from tarazu.record.store import Store

FAILED, UNREACHED = 1, 3
KILLED = "full"
"""Entry of ``nli`` whose training is killed, and which is verified: all of its weights move."""
CHECKPOINT = "checkpoints/*/[!.]*/state.json"
TRIES = 3  # to kill a training before it ends
REFERENCE = Side("plain-cpu", "cpu", "float32", 1, plain=True)
_MARKS = {"ok": "ok", "failed": "FAILED", "not reached": "not reached", "does not fit": "no room"}


@dataclass
class Board:
    """All checks so far, written after every part: what is known survives a kill.

    Attributes:
        file: The JSON file.
        told: What it says beside the checks.
        checks: In the order in which they were made.
    """

    file: Path
    told: dict[str, Any]
    checks: list[Check] = field(default_factory=list)
    start: float = field(default_factory=time.monotonic)

    def add(self, found: Iterable[Check]) -> None:
        """Add checks and write the file."""
        self.checks += found
        self.write(finished=False)

    @property
    def code(self) -> int:
        """The exit status."""
        verdicts = {one.verdict for one in self.checks}
        if "failed" in verdicts or not self.checks:
            return FAILED
        return UNREACHED if "not reached" in verdicts else 0

    def write(self, *, finished: bool) -> None:
        """Write the file, whole or not at all."""
        content = {
            **self.told,
            "finished": finished,
            "seconds": round(time.monotonic() - self.start, 1),
            "exit_status": self.code,
            "counts": Counter(one.verdict for one in self.checks),
            "not_reached": [f"{c.of}: {c.name}" for c in self.checks if c.verdict == "not reached"],
            "checks": [one.to_json() for one in self.checks],
        }
        self.file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.file, json.dumps(content, indent=1) + "\n")


@dataclass(frozen=True)
class Smoke:
    """One pass of the script.

    Attributes:
        folder: Holds all that is made.
        sides: What is compared with `REFERENCE`; the first is killed and verified, too.
        deadline: On `time.monotonic`.
        tiny: Whether real sizes are in miniature.
    """

    folder: Path
    sides: Sequence[Side]
    deadline: float
    tiny: bool

    def out(self, side: Side, study: str) -> Path:
        """Return the output folder of a study on a side."""
        return self.folder / side.name / study

    def records(self, side: Side, study: str) -> dict[str, RunRecord]:
        """Return the records of a study on a side, by entry."""
        return {record.entry: record for record in Store(self.out(side, study)).records()}

    def tarazu(self, words: Sequence[str], side: Side, private: str, **more: Any) -> Done:
        """Give a command of tarazu as a user does."""
        place = self.folder / side.name / f"private-{private}"
        return small.command(["-m", "tarazu", *words], place, side, self.deadline, **more)

    def run_studies(self) -> list[Check]:
        """Run both studies on all sides, some of them at once, and judge them."""
        small.make_models(self.folder / "models")
        jobs = [(side, name) for side in (REFERENCE, *self.sides) for name in small.STUDIES]
        # Runs of tiny models leave cores and card idle; memory is measured for each process.
        with ThreadPoolExecutor(max(1, min(len(os.sched_getaffinity(0)), len(jobs)))) as pool:
            try:
                ended = dict(zip(jobs, pool.map(lambda job: self._run(*job), jobs), strict=True))
            except BaseException:
                small.STOP.set()  # the pool waits for what has begun
                raise
        found = []
        for side in self.sides:
            for name in small.STUDIES:
                found += self.judge(side, name, ended[side, name], ended[REFERENCE, name])
        return found

    def _run(self, side: Side, name: str) -> Done:
        study = small.write_study(name, self.folder, side)
        return self.tarazu(["run", str(study), "--out", str(self.out(side, name))], side, name)

    def judge(self, side: Side, name: str, done: Done, reference: Done) -> list[Check]:
        """Check all runs of a study on a side.

        Args:
            side: The side.
            name: The study.
            done: The command that ran it.
            reference: The command that ran the reference.
        """
        entries = list(small.read_study(name)["methods"])
        of = f"{side.name} {name}"
        if done.code is None or reference.code is None:
            late = side if done.code is None else REFERENCE
            return [Check("run", of, "not reached", f"stopped: {late.name}", {"entries": entries})]
        problems = [f"ended with {done.code}: {done.output[-1500:]}"] * bool(done.code)
        found = [checks.check("run", of, problems, f"{done.seconds:.0f} s", seconds=done.seconds)]
        records = Store(self.out(side, name)).records()
        found.append(checks.check_entries(of, entries, records))
        theirs = self.records(REFERENCE, name)
        for record in records:
            if record.entry in theirs:
                found += self._judge_run(side, name, record, theirs[record.entry])
            else:
                found.append(checks.check("reference", f"{of} {record.entry}", ["there is none"]))
        return found

    def _judge_run(
        self, side: Side, name: str, record: RunRecord, reference: RunRecord
    ) -> list[Check]:
        of = f"{side.name} {name} {record.entry}"
        found = [
            checks.check_done(of, record),
            checks.check_device(of, record, side.device, side.dtype),
            checks.check_memory(of, record, side.device),
            checks.check_events(of, record, reference),
        ]
        if "failed" in (record.status, reference.status):
            return [*found, checks.check("answers", of, ["one of both sides has none"])]
        bounds = checks.bounds_for(record, own_precision=side.dropout)
        ours, theirs = (
            Store(self.out(where, name)).read_predictions(one).to_pylist()
            for where, one in ((side, record), (REFERENCE, reference))
        )
        found.append(checks.check_answers(of, ours, theirs, bounds))
        if reference.epochs or record.epochs:
            found.append(checks.check_losses(of, record, reference, bounds))
        return found

    def kill_and_go_on(self) -> list[Check]:
        """Kill a training after a checkpoint, and check what the same command makes of it."""
        side = self.sides[0]
        of = f"{side.name} nli {KILLED}, killed"
        study = small.write_study("nli", self.folder, side)
        for number in range(TRIES):
            out = self.folder / side.name / f"killed-{number}"
            words = ["run", str(study), "--out", str(out), "--only", KILLED]
            words += ["--checkpoint-every", "0"]
            killed = self.tarazu(
                words, side, "kill", kill_when=lambda out=out: any(out.glob(CHECKPOINT))
            )
            if killed.code is None:
                return [Check("killed", of, "not reached", "before its first checkpoint")]
            if killed.code and not Store(out).records():
                break
        else:
            return [checks.check("killed", of, [f"ended by itself {TRIES} times"])]
        problems = [f"ended with {killed.code}: {killed.output[-1000:]}"] * (killed.code != -9)
        found = [checks.check("killed", of, problems, "by SIGKILL, after a checkpoint")]
        done = self.tarazu(words, side, "kill")
        if done.code is None:
            return [*found, Check("resumed", of, "not reached", "the second command")]
        records = {record.entry: record for record in Store(out).records()}
        if done.code or KILLED not in records:
            problems = [f"ended with {done.code}: {done.output[-1000:]}"]
            return [*found, checks.check("resumed", of, problems)]
        found.append(checks.check_resumed(of, records[KILLED]))
        whole = self.records(side, "nli").get(KILLED)
        if whole is None:
            return [*found, checks.check("losses", of, ["no run that was not killed"])]
        bounds = checks.EXACT if side.device == "cpu" else checks.TRAINED
        return [*found, checks.check_losses(of, records[KILLED], whole, bounds)]

    def verify(self) -> list[Check]:
        """Run one recorded run again by ``tarazu verify``."""
        side = self.sides[0]
        words = ["verify", str(self.out(side, "nli")), "--entry", KILLED]
        done = self.tarazu(words, side, "verify")
        of = f"{side.name} nli {KILLED}"
        if done.code is None:
            return [Check("verify", of, "not reached", f"stopped after {done.seconds:.0f} s")]
        problems = [f"ended with {done.code}: {done.output[-1500:]}"] * bool(done.code)
        seen = " ".join(done.output.split("\n\n")[-1].split())[-400:]
        return [checks.check("verify", f"{of}, verified", problems, seen, seconds=done.seconds)]

    def measure(self, case: sizes.Case) -> list[Check]:
        """Measure one case at real size, in the precision that the device chooses."""
        device = self.sides[0].device
        threads = 1 if self.tiny else min(8, len(os.sched_getaffinity(0)))
        side = Side("sizes", device, "auto", threads)
        return [sizes.measure(case, self.folder, side, self.deadline, tiny=self.tiny)]

    def parts(self) -> dict[str, Callable[[], list[Check]]]:
        """Return all that is done, by name, in order."""
        return {
            "studies": self.run_studies,
            "kill": self.kill_and_go_on,
            "verify": self.verify,
            **{
                case.name: (lambda case=case: self.measure(case))
                for case in map(sizes.in_miniature if self.tiny else replace, sizes.CASES)
            },
        }


def do_all(smoke: Smoke, board: Board) -> None:
    """Do every part that there is time for; a part that breaks is a failed check, not the end.

    Args:
        smoke: What to do.
        board: Gets the checks.
    """
    for name, part in smoke.parts().items():
        if time.monotonic() > smoke.deadline:
            board.add([Check("part", name, "not reached", "the budget of minutes ended")])
            continue
        print(f"{time.monotonic() - board.start:5.0f} s  {name}", file=sys.stderr, flush=True)
        try:
            board.add(part())
        except Exception:
            board.add([checks.check("part", name, [traceback.format_exc()[-2000:]])])
    board.write(finished=True)


def facts(device: str) -> dict[str, Any]:
    """Return what is known of card, driver and packages."""
    known = {**stamp(), "device": device, "versions": versions()}
    precision = choose(ComputeSpec(device=device)).dtype  # type: ignore[arg-type]
    if device == "cpu":
        return {**known, "card": None, "chosen_precision": precision}
    card = torch.cuda.get_device_properties(0)
    return {
        **known,
        "card": card.name,
        "cards": torch.cuda.device_count(),
        "card_bytes": card.total_memory,
        "capability": f"{card.major}.{card.minor}",
        "bf16": card.major >= 8,
        "chosen_precision": precision,
        "cuda": torch.version.cuda,
        "driver": _driver(),
    }


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"unknown: {type(error).__name__}"
    return (done.stdout.strip() or done.stderr.strip() or "unknown").splitlines()[0]


def table(board: Board) -> str:
    """Return a line for every run, with what failed, and one for everything else."""
    rows: dict[str, list[Check]] = {}
    for one in board.checks:
        rows.setdefault(one.of, []).append(one)
    lines = []
    for of, made in rows.items():
        bad = [one for one in made if one.verdict != "ok"]
        seen = [one.detail for one in made if one.name in ("answers", "losses", "size", "verify")]
        said = [f"{_MARKS[one.verdict]} {one.name}: {one.detail}" for one in bad]
        text = "; ".join(said or ["ok", *filter(None, seen)])
        lines.append(f"{of:<34} {' '.join(text.split())[:400]}")
    counts = Counter(one.verdict for one in board.checks)
    lines.append(", ".join(f"{count} {verdict}" for verdict, count in counts.items()))
    return "\n".join(lines)


def sides_of(device: str) -> list[Side]:
    """Return what is compared with the reference on a device."""
    if device == "cpu":
        return [Side("cpu", "cpu", "float32", 1)]
    own = Side("own-precision", device, "auto", 1, dropout=True)
    return [Side("card", device, "float32", 1), own]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="real sizes in miniature")
    parser.add_argument("--minutes", type=float, default=8.0, help="budget; nothing begins later")
    parser.add_argument("--out", type=Path, help="[benchmarks/results/gpu-smoke-CARD.json]")
    parser.add_argument(
        "--work-dir", type=Path, help="keep all that is made here [a temporary one]"
    )
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Do all checks; return the exit status."""
    start = time.monotonic()
    args = parse_arguments(words)
    if args.device == "cuda" and not torch.cuda.is_available():
        print(
            "torch finds no CUDA card here; --device cpu --tiny tries the script", file=sys.stderr
        )
        return 2
    known = facts(args.device)
    slug = re.sub(r"[^a-z0-9]+", "-", (known["card"] or "cpu").lower()).strip("-")
    slug += "-tiny" if args.tiny else ""
    # A try of the script is no result.
    home = ROOT / "out" if args.tiny else ROOT / "benchmarks" / "results"
    file = (args.out or home / f"gpu-smoke-{slug}.json").absolute()
    folder = (args.work_dir or Path(tempfile.mkdtemp(prefix="tarazu-smoke-"))).absolute()
    deadline = start + 60 * args.minutes
    sides = sides_of(args.device)
    told = {
        "facts": known,
        "tiny": args.tiny,
        "minutes": args.minutes,
        "sides": [asdict(side) for side in (REFERENCE, *sides)],
        "studies": {name: list(small.read_study(name)["methods"]) for name in small.STUDIES},
    }
    board = Board(file, told, start=start)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        do_all(Smoke(folder, sides, deadline, args.tiny), board)
    finally:
        if args.work_dir is None:
            shutil.rmtree(folder, ignore_errors=True)
    print(table(board))
    print(f"{file}: {time.monotonic() - start:.0f} s, exit status {board.code}")
    return board.code


if __name__ == "__main__":
    raise SystemExit(main())
