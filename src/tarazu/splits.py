"""The splits of a study: read, checked, cut by groups, sampled, and looked over for leaks."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tarazu.data.item import Item
from tarazu.data.leakage import check_leakage
from tarazu.data.read import read_rows
from tarazu.data.split import fingerprint, sample_items, split_by_group
from tarazu.errors import bad
from tarazu.record.spec import DataSpec, ValidationSpec
from tarazu.tasks._items import items_from_rows
from tarazu.tasks._task import Task


@dataclass(frozen=True)
class Splits:
    """Items by split.

    Attributes:
        train: To train on, and the only source of demonstrations.
        validation: To choose on.
        tests: To score once, by name.
        notes: What should be known: dropped rows, leaks.
    """

    train: list[Item]
    validation: list[Item]
    tests: dict[str, list[Item]]
    notes: list[str] = field(default_factory=list)

    def named(self) -> dict[str, list[Item]]:
        """Return all splits by name."""
        return {"train": self.train, "validation": self.validation, **self.tests}

    def hashes(self) -> dict[str, str]:
        """Return the fingerprint of each split."""
        return {name: fingerprint(items) for name, items in self.named().items()}


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
    checked = check_leakage(train, validation, tests, data.leakage)
    notes.extend(checked.report.notes)
    train, validation = checked.train, checked.validation
    if data.sample.validation is not None:
        validation = sample_items(
            validation, data.sample.validation, data.seed, where="data.sample.validation"
        )
    if data.sample.train is not None:
        train = sample_items(train, data.sample.train, data.seed, where="data.sample.train")
    return Splits(train, validation, tests, notes)
