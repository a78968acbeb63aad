"""How long until tarazu answers? ``tarazu --help`` and ``tarazu methods``, beside bare Python.

    python benchmarks/startup.py

Commands take turns; each is a new process with warm files (one uncounted round comes first).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from side_by_side.results import keep_rows, stamp

RESULTS = Path(__file__).resolve().parent / "results"
# Median seconds that are aimed at; bare Python is what no program can undercut.
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "python": (["-c", "pass"], None),
    "tarazu --help": (["-m", "tarazu", "--help"], 0.3),
    "tarazu methods": (["-m", "tarazu", "methods"], 1.0),
}


def seconds_of(arguments: list[str]) -> float:
    """Return how long a command of this Python takes.

    Raises:
        CalledProcessError: It fails.
    """
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def measure(rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every command in every round."""
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(rounds + 1):
        for name, (arguments, _) in COMMANDS.items():
            seconds = seconds_of(arguments)
            if number:
                taken[name].append(seconds)
    return taken


def rows_of(taken: dict[str, list[float]]) -> list[dict[str, object]]:
    """Return one row per command: median, range, aim, and whether it is reached."""
    rows = []
    for name, seconds in taken.items():
        median, aim = statistics.median(seconds), COMMANDS[name][1]
        rows.append(
            {
                "command": name,
                "rounds": len(seconds),
                "median": round(median, 4),
                "min": round(min(seconds), 4),
                "max": round(max(seconds), 4),
                "aim": aim,
                "reached": None if aim is None else median < aim,
                **stamp(),
            }
        )
    return rows


def main() -> None:
    """Measure, print and write the rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args()
    rows = rows_of(measure(args.rounds))
    keep_rows(rows, args.out / "startup.json", "command")
    for row in rows:
        said = "" if row["aim"] is None else f"  (aim: under {row['aim']} s)"
        print(f"{row['command']:<15} {row['median']:.3f} s [{row['min']}, {row['max']}]{said}")


if __name__ == "__main__":
    main()
