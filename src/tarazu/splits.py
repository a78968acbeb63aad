"""The splits of a study: read, checked, cut by groups, sampled, and looked over for leaks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tarazu.data.item import Item
from tarazu.data.leakage import LeakageReport, check_leakage
from tarazu.data.read import read_rows
from tarazu.data.split import fingerprint, sample_items, split_by_group
from tarazu.errors import bad
from tarazu.record.spec import Amount, DataSpec, ValidationSpec
from tarazu.tasks._items import items_from_rows
from tarazu.tasks._task import Task


@dataclass(frozen=True)
class Splits:
    """Items by split.

    Attributes:
        train: To train on, and the only source of demonstrations; the largest sample where the
            study asks for several sizes.
        validation: To choose on.
        tests: To score once, by name.
        notes: What should be known: dropped rows, leaks.
        samples: Training samples by size, each within the next, where the study asks for several.
        leakage: What the splits shared before anything was dropped or sampled.
    """

    train: list[Item]
    validation: list[Item]
    tests: dict[str, list[Item]]
    notes: list[str] = field(default_factory=list)
    samples: Mapping[int, list[Item]] = field(default_factory=dict)
    leakage: LeakageReport = field(default_factory=LeakageReport)

    def named(self) -> dict[str, list[Item]]:
        """Return all splits by name."""
        return {"train": self.train, "validation": self.validation, **self.tests}

    def hashes(self) -> dict[str, str]:
        """Return the fingerprint of each split."""
        return {name: fingerprint(items) for name, items in self.named().items()}

    def sample_hashes(self) -> dict[int, str]:
        """Return the fingerprint of each training sample by size; empty when there is one size."""
        return {rows: fingerprint(items) for rows, items in self.samples.items()}

    def at_every_size(self) -> list[Splits]:
        """Return the splits once per training sample, the smallest first; themselves without."""
        return [self.at_size(rows) for rows in self.samples] or [self]

    def at_size(self, rows: int | None) -> Splits:
        """Return the splits as a run of that size sees them: with one of the training samples.

        Args:
            rows: The size of a sample; None for a run of no particular size.
        """
        if rows is None:
            return self
        return replace(self, train=self.samples[rows], samples={}, leakage=LeakageReport())


def test_sources(data: DataSpec) -> dict[str, str]:
    """Return the sources of the test splits by name.

    Raises:
        BadInput: A test split is named like another split.
    """
    named = {"test": data.test} if isinstance(data.test, str) else dict(data.test)
    for name in ("train", "validation"):
        if name in named:
            raise bad("data.test", "must not name a test split so", name, "Choose another name.")
    return named


def load_splits(data: DataSpec, task: Task, base: Path) -> Splits:
    """Read and split the data of a study.

    Validation items are cut from the training split by whole groups *before* anything is sampled,
    so that no premise or context stands on both sides.

    Args:
        data: Sources and how to split.
        task: The task.
        base: Folder to which relative paths refer.

    Raises:
        BadInput: A source cannot be read, or has not what the task needs.
    """
    notes: list[str] = []

    def read(name: str, source: str) -> list[Item]:
        rows = read_rows(source, base=base, where=f"data.{name}")
        items, said = items_from_rows(
            task,
            rows,
            source,
            data.group_by,
            training=name in ("train", "validation"),
            id_prefix=f"{name}-",
        )
        notes.extend(f"{name}: {line}" for line in said)
        return items

    train = read("train", data.train)
    tests = {name: read(name, source) for name, source in test_sources(data).items()}
    if isinstance(data.validation, ValidationSpec):
        train, validation = split_by_group(train, data.validation.rows, data.seed)
    else:
        validation = read("validation", data.validation)
    for name, items in tests.items():
        if data.sample.test is not None:
            tests[name] = sample_items(
                items,
                data.sample.test,
                data.seed,
                whole_groups=True,
                where=f"data.sample.test ({name})" if len(tests) > 1 else "data.sample.test",
            )
    if data.leakage == "report":
        # Rows that are not used do no harm, and near duplicates among many take a minute to find.
        validation, samples = _sampled(train, validation, data)
        train = samples[max(samples)]
    checked = check_leakage(train, validation, tests, data.leakage, data.near_duplicates)
    notes.extend(checked.report.notes)
    if data.leakage != "report":
        validation, samples = _sampled(checked.train, checked.validation, data)
        train = samples[max(samples)]
    notes += _disjoint(train, validation, tests, data)
    several = isinstance(data.sample.train, list)
    return Splits(
        train, validation, tests, notes, samples if several else {}, leakage=checked.report
    )


def _sampled(
    train: list[Item], validation: list[Item], data: DataSpec
) -> tuple[list[Item], dict[int, list[Item]]]:
    """Return the validation sample, and the training samples by their rows."""
    if data.sample.validation is not None:
        validation = sample_items(
            validation, data.sample.validation, data.seed, where="data.sample.validation"
        )
    return validation, _train_samples(train, data)


def _train_samples(train: list[Item], data: DataSpec) -> dict[int, list[Item]]:
    """Return the training samples that are asked for by their rows, the smallest first."""
    asked = data.sample.train
    if asked is None:
        return {len(train): train}
    amounts: list[tuple[str, Amount]] = (
        [(f"data.sample.train.{place}", amount) for place, amount in enumerate(asked)]
        if isinstance(asked, list)
        else [("data.sample.train", asked)]
    )
    samples = [sample_items(train, amount, data.seed, where=where) for where, amount in amounts]
    return {len(sample): sample for sample in sorted(samples, key=len)}


def _disjoint(
    train: list[Item], validation: list[Item], tests: Mapping[str, list[Item]], data: DataSpec
) -> list[str]:
    """Look over the splits as they will be used, after all dropping and sampling.

    Returns:
        What remains in two splits, where the study leaves it in; otherwise nothing may remain.
    """
    overlaps = check_leakage(train, validation, tests, "report").report
    rows: Counter[tuple[str, str]] = Counter()
    for found in (overlaps.duplicates, overlaps.shared_groups):
        rows.update({pair: len(ids) for pair, ids in found.items()})
    if not rows:
        return []
    counts = ", ".join(
        f"{count} {split} rows with {held_out}" for (split, held_out), count in rows.items()
    )
    if data.leakage != "report":
        raise RuntimeError(
            f"the splits must be disjoint with data.leakage {data.leakage}: {counts}"
        )
    return [
        "Train, validation and test are not disjoint as used: "
        f"{counts} share texts or groups ('leakage: drop' in the study's data parts them)"
    ]
