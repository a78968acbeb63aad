"""Do the intervals and tests hold what they promise? Simulated studies of which the truth is known.

    python benchmarks/calibration.py

Every scenario is a kind of study (items, items per group, seeds, what luck of the seed does, the
metric). In each simulated study six entries answer the same items, and `tarazu.comparison.compare`
judges them as it judges a real study. Two worlds: in ``equal`` all six are equally good; in
``ahead`` one is better than the five others by exactly the margin (three points).

Reported per scenario, over ``--studies`` studies:

- false separable: share of studies in world ``equal`` that separate any two entries (at most 5 %);
- coverage: share of 95 % intervals of a difference that hold the true one, over all 15 pairs;
- coverage of means: the same for the intervals of the entries themselves;
- false equivalent: share of studies in world ``ahead`` that call the better entry and any other
  one equivalent, although they differ by the margin (at most 5 %);
- power: share of the five true differences that are found, after Holm's correction, and how many
  a single planned comparison would find.

A right answer is a normal variable below a threshold. It is made of how hard the item is for all
entries, how hard it is for this entry, the same two for the item's group, and chance; its variance
is 1, so that an entry is right with exactly the probability wanted. A seed moves that probability.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray
from scipy.special import ndtri

from tarazu.comparison.compare import compare
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.comparison.result import Comparison
from tarazu.record.disk import write_synced

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = 6
RIGHT = 0.7
MARGIN = 0.03
LABELS = ("entailment", "neutral", "contradiction")
# An answer that is not right still shares words with the right one in so many cases, and then so
# much on average (token F1).
PARTLY, PART = 0.4, (0.2, 0.9)
# Shares of the variance: the item and its group, for all entries and for one entry; the rest is
# drawn anew for each seed.
SINGLE = {"item": 0.40, "own item": 0.35, "group": 0.0, "own group": 0.0}
GROUPED = {"item": 0.25, "own item": 0.20, "group": 0.15, "own group": 0.15}


@dataclass(frozen=True)
class Scenario:
    """One kind of study.

    Attributes:
        metric: ``accuracy``, ``f1`` (of tokens, per item) or ``macro_f1``.
        items: Test items.
        per_group: Items per group.
        seeds: Seeds per entry.
        seed_sd: Standard deviation over seeds of an entry's accuracy, in points.
        uneven: Whether that is so for the first entry and the fourth only, and a fifth of it for
            the others: methods do differ in how erratic they are.
    """

    metric: str
    items: int
    per_group: int
    seeds: int
    seed_sd: float
    uneven: bool = False

    @property
    def name(self) -> str:
        """Name in tables and on the command line."""
        return (
            f"{self.metric}-{self.items}-items-by-{self.per_group}-"
            f"{self.seeds}-seeds-sd-{self.seed_sd:g}{'-uneven' if self.uneven else ''}"
        )


@dataclass
class Tally:
    """Counts over simulated studies, each a sum of shares."""

    studies: int = 0
    false_separable: float = 0.0
    coverage: float = 0.0
    coverage_means: float = 0.0
    false_equivalent: float = 0.0
    power: float = 0.0
    power_single: float = 0.0

    def shares(self) -> dict[str, float]:
        """Return all counts as shares of the studies."""
        return {k: v / self.studies for k, v in asdict(self).items() if k != "studies"}


def scenarios() -> Iterator[Scenario]:
    """Yield all scenarios that are reported."""
    for metric, items, per_group, seeds, sd in product(
        ("accuracy", "f1"), (30, 300, 2000), (1, 3), (3, 5, 10), (0.0, 1.0, 3.0)
    ):
        yield Scenario(metric, items, per_group, seeds, sd)
    for items, sd in product((30, 300, 2000), (0.0, 3.0)):
        yield Scenario("macro_f1", items, 1, 3, sd)
    for items, seeds in product((300, 2000), (3, 5, 10)):
        yield Scenario("accuracy", items, 1, seeds, 5.0, uneven=True)
    # One run each, as in a first look: the tests are McNemar's.
    for items, per_group in product((30, 300, 2000), (1, 3)):
        yield Scenario("accuracy", items, per_group, 1, 0.0)


def simulate(
    scenario: Scenario, rng: np.random.Generator, ahead: float
) -> tuple[Outcomes, NDArray[np.float64]]:
    """Return one simulated study.

    Args:
        scenario: The kind of study.
        rng: Source of all randomness.
        ahead: By how much the first entry is better than the others, in the metric.

    Returns:
        The answers, and the true value of the metric of each entry.
    """
    shares = GROUPED if scenario.per_group > 1 else SINGLE
    count, seeds = scenario.items, scenario.seeds
    groups = np.arange(count) // scenario.per_group
    n_groups = int(groups[-1]) + 1

    def normal(share: float, *shape: int) -> NDArray[np.float64]:
        return math.sqrt(share) * rng.standard_normal(shape)

    hard = normal(shares["item"], count) + normal(shares["group"], n_groups)[groups]
    own = normal(shares["own item"], ENTRIES, count)
    own += normal(shares["own group"], ENTRIES, n_groups)[:, groups]
    rest = normal(1 - sum(shares.values()), ENTRIES, seeds, count)
    hardness = hard + own[:, None] + rest

    partial = PARTLY * sum(PART) / 2
    right = np.full(ENTRIES, RIGHT)
    right[0] += ahead / (1 - partial) if scenario.metric == "f1" else ahead
    luck = rng.standard_normal((ENTRIES, seeds)) * scenario.seed_sd / 100
    if scenario.uneven:
        luck[[1, 2, 4, 5]] /= 5
    threshold = ndtri(np.clip(right[:, None] + luck, 1e-6, 1 - 1e-6))
    correct = (hardness < threshold[..., None]).astype(np.float64)
    truth = right
    if scenario.metric == "f1":
        partly = rng.random(correct.shape) < PARTLY
        correct += (1 - correct) * partly * rng.uniform(*PART, correct.shape)
        truth = right + (1 - right) * partial
    gold, predicted = _labels(scenario, correct, rng)
    outcomes = Outcomes(
        split="test",
        primary_metric=scenario.metric,
        labels=LABELS if scenario.metric == "macro_f1" else (),
        item_ids=tuple(map(str, range(count))),
        groups=groups,
        gold=gold,
        slices={},
        texts={},
        entries=tuple(
            Answers(
                id=f"entry-{number}",
                seeds=tuple(range(seeds)),
                seeded=seeds > 1,
                predicted=predicted[number],
                raw=predicted[number],
                scores=None,
                metrics={scenario.metric: correct[number]}
                if scenario.metric != "macro_f1"
                else {"accuracy": correct[number]},
            )
            for number in range(ENTRIES)
        ),
    )
    return outcomes, truth


def _labels(
    scenario: Scenario, correct: NDArray[np.float64], rng: np.random.Generator
) -> tuple[tuple[tuple[str, ...], ...], NDArray[np.object_]]:
    """Return gold labels and answers; a wrong answer is either of the other labels."""
    if scenario.metric != "macro_f1":
        empty = np.empty((ENTRIES, scenario.seeds, 0), dtype=object)
        return ((("",),) * scenario.items), empty
    gold = rng.integers(0, len(LABELS), scenario.items)
    wrong = (gold + rng.integers(1, len(LABELS), correct.shape)) % len(LABELS)
    answers = np.where(correct > 0, gold, wrong)
    return tuple((LABELS[one],) for one in gold), np.array(LABELS, dtype=object)[answers]


def tally(scenario: Scenario, studies: int, seed: int) -> Tally:
    """Simulate a scenario in both worlds.

    Args:
        scenario: The kind of study.
        studies: How many studies of it in each world.
        seed: Seed of the simulation.
    """
    # A scenario's numbers do not depend on which others are simulated beside it.
    entropy = [seed, *scenario.name.encode()]
    rng = np.random.default_rng(np.random.SeedSequence(entropy))
    found = Tally(studies)
    for _ in range(studies):
        outcomes, truth = simulate(scenario, rng, 0.0)
        equal = compare(outcomes, MARGIN)
        found.false_separable += any(pair.separable for pair in equal.pairs)
        found.coverage += _covered(equal, truth)
        found.coverage_means += _means_covered(equal, truth)
        outcomes, truth = simulate(scenario, rng, MARGIN)
        ahead = compare(outcomes, MARGIN)
        true = [pair for pair in ahead.pairs if pair.a == "entry-0"]
        found.false_equivalent += any(pair.equivalent for pair in true)
        found.power += np.mean([pair.separable for pair in true])
        found.power_single += np.mean([(pair.p_value or 0.0) < 0.05 for pair in true])
    return found


def _covered(comparison: Comparison, truth: NDArray[np.float64]) -> float:
    def holds(a: str, b: str, low: float, high: float) -> bool:
        true = truth[int(a.split("-")[1])] - truth[int(b.split("-")[1])]
        return bool(low <= true <= high)

    pairs = comparison.pairs
    return float(np.mean([holds(p.a, p.b, p.low or 0.0, p.high or 0.0) for p in pairs]))


def _means_covered(comparison: Comparison, truth: NDArray[np.float64]) -> float:
    found = []
    for (_, interval), true in zip(comparison.intervals.items(), truth, strict=True):
        assert interval.low is not None
        assert interval.high is not None
        found.append(interval.low <= true <= interval.high)
    return float(np.mean(found))


def _work(job: tuple[Scenario, int, int]) -> dict[str, Any]:
    scenario, studies, seed = job
    start = time.perf_counter()
    shares = tally(scenario, studies, seed).shares()
    seconds = time.perf_counter() - start
    return {"name": scenario.name, **asdict(scenario), **shares, "seconds": round(seconds, 1)}


def verdict(row: dict[str, Any], studies: int) -> str:
    """Return which of the promises a scenario does not hold, beyond the simulation's own error."""
    noise = 1.96 * math.sqrt(0.05 * 0.95 / studies)
    broken = []
    if row["false_separable"] > 0.05 + max(noise, 0.01):
        broken.append("separates too often")
    if not 0.93 <= row["coverage"] <= 0.97:
        broken.append("covers too little" if row["coverage"] < 0.93 else "covers too much")
    if not 0.93 <= row["coverage_means"] <= 0.97:
        few = row["coverage_means"] < 0.93
        broken.append("means: covers too little" if few else "means: covers too much")
    if row["false_equivalent"] > 0.05 + noise:
        broken.append("equivalent too often")
    return ", ".join(broken)


_HEADINGS = (
    "metric", "items", "per group", "seeds", "seed sd", "false separable", "coverage",
    "coverage of means", "false equivalent", "power (Holm)", "power (one)", "not held",
)  # fmt: skip


def page(
    rows: list[dict[str, Any]], scenarios: int, studies: int, command: str, machine: str
) -> str:
    """Return the results as Markdown; it says so when only some scenarios are done."""
    missing = scenarios - len(rows)
    so_far = f" {missing} of {scenarios} scenarios have not been simulated yet." if missing else ""
    lines = [
        "# Calibration of intervals and tests by simulation",
        "",
        f"> Made by `{command}`, {time.strftime('%Y-%m-%d', time.gmtime())}; {machine}.",
        f"> {studies:,} simulated studies per row and world, six entries, 15 pairs; shares in "
        f"%.{so_far}",
        "",
        "What the columns mean, and how studies are simulated, stands at the head of "
        "`benchmarks/calibration.py`.",
        "",
        "| " + " | ".join(_HEADINGS) + " |",
        "|" + "---|" * len(_HEADINGS),
    ]
    for row in rows:
        shares = [
            f"{100 * row[key]:.1f}"
            for key in (
                "false_separable", "coverage", "coverage_means", "false_equivalent", "power",
                "power_single",
            )
        ]  # fmt: skip
        cells = [
            row["metric"], f"{row['items']:,}", row["per_group"], row["seeds"],
            _seed_sd(row), *shares, verdict(row, studies) or "–",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _seed_sd(row: dict[str, Any]) -> str:
    return f"{row['seed_sd']:g}" + (" or a fifth" if row["uneven"] else "")


def main() -> None:
    """Simulate and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--resume", action="store_true", help="Keep the rows of an interrupted run."
    )
    parser.add_argument("--only", default="", help="Scenarios whose name contains this.")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "results" / "calibration.md")
    parser.add_argument(
        "--out", type=Path, default=ROOT / "benchmarks" / "results" / "calibration.json"
    )
    given = parser.parse_args()
    known = _known(given.out, given.studies, given.seed) if given.resume else {}
    chosen = [one for one in scenarios() if given.only in one.name]
    jobs = [(one, given.studies, given.seed) for one in chosen if one.name not in known]
    command = "python benchmarks/calibration.py"
    if given.studies != parser.get_default("studies") or given.only:
        command += f" --studies {given.studies} --only '{given.only}'"
    machine = f"numpy {np.__version__}, scipy {scipy.__version__}"

    def write() -> None:
        rows = [known[one.name] for one in chosen if one.name in known]
        made = {"studies": given.studies, "seed": given.seed, "rows": rows}
        write_synced(given.out.with_suffix(".tmp"), json.dumps(made, indent=1) + "\n", given.out)
        text = page(rows, len(chosen), given.studies, command, machine)
        write_synced(given.page.with_suffix(".tmp"), text, given.page)

    write()
    with ProcessPoolExecutor(given.jobs) as pool:
        for row in pool.map(_work, jobs):
            print(json.dumps(row), flush=True)
            known[row["name"]] = row
            write()


def _known(file: Path, studies: int, seed: int) -> dict[str, dict[str, Any]]:
    """Return the rows that an interrupted simulation of the same size has left."""
    if not file.is_file():
        return {}
    made = json.loads(file.read_text(encoding="utf-8"))
    same = made["studies"] == studies and made["seed"] == seed
    return {row["name"]: row for row in made["rows"]} if same else {}


if __name__ == "__main__":
    main()
