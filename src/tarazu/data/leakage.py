"""Leakage: training rows that also stand in a test split, or share its groups.

Texts are compared after normalisation (NFKC, case, spaces, punctuation), as whole items: the same
premise with another hypothesis is a shared group, not a duplicate.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tarazu.data.item import Item
from tarazu.errors import BadInput, Problem

Policy = Literal["report", "drop", "refuse"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class LeakageReport:
    """What was found, per pair of a split that is learnt from and a test split.

    Attributes:
        duplicates: Ids of the items whose whole text stands in the test split too.
        shared_groups: Ids of the other items whose group stands in the test split too.
        dropped: Ids of the items that were removed, by split.
        notes: The findings in words; empty when there are none.
    """

    duplicates: Mapping[Pair, tuple[str, ...]] = field(default_factory=dict)
    shared_groups: Mapping[Pair, tuple[str, ...]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checked:
    """The splits after the check.

    Attributes:
        train: Training items that stay.
        validation: Validation items that stay.
        report: What was found.
    """

    train: list[Item]
    validation: list[Item]
    report: LeakageReport


def check_leakage(
    train: Sequence[Item],
    validation: Sequence[Item],
    tests: Mapping[str, Sequence[Item]],
    policy: Policy,
) -> Checked:
    """Look for test items among what is learnt from.

    Args:
        train: Training items.
        validation: Validation items, by which an epoch is chosen.
        tests: Test splits by name.
        policy: ``report`` changes nothing, ``drop`` removes what leaks from training and
            validation, ``refuse`` stops.

    Returns:
        The splits that remain, and the report.

    Raises:
        BadInput: The policy is to refuse and something leaks, or dropping leaves nothing.
    """
    learnt = {"train": train, "validation": validation}
    duplicates: dict[Pair, tuple[str, ...]] = {}
    shared: dict[Pair, tuple[str, ...]] = {}
    for test, test_items in tests.items():
        texts = {normalised_item(item) for item in test_items}
        groups = {_group(item) for item in test_items} - {None}
        for split, items in learnt.items():
            same = [item for item in items if normalised_item(item) in texts]
            ids = {id(item) for item in same}
            near = [item for item in items if id(item) not in ids and _group(item) in groups]
            if same:
                duplicates[split, test] = tuple(item.id for item in same)
            if near:
                shared[split, test] = tuple(item.id for item in near)
    notes = _notes(duplicates, shared, learnt)
    if notes and policy == "refuse":
        remedy = "Remove the rows, or set data.leakage to 'drop' or 'report'."
        rule = "nothing that is learnt from may stand in a test split"
        raise BadInput(*(Problem("data.leakage", rule, note, remedy) for note in notes))
    if policy != "drop":
        return Checked(list(train), list(validation), LeakageReport(duplicates, shared, {}, notes))
    return _drop(learnt, LeakageReport(duplicates, shared, {}, notes))


def _drop(learnt: Mapping[str, Sequence[Item]], report: LeakageReport) -> Checked:
    left: dict[str, list[Item]] = {}
    dropped: dict[str, tuple[str, ...]] = {}
    for split, items in learnt.items():
        gone = {
            item_id
            for found in (report.duplicates, report.shared_groups)
            for (source, _), ids in found.items()
            if source == split
            for item_id in ids
        }
        left[split] = [item for item in items if item.id not in gone]
        if gone:
            dropped[split] = tuple(item.id for item in items if item.id in gone)
        if items and not left[split]:
            rule = f"dropping what leaks must leave some of the {split} split"
            remedy = "Use another source, or set data.leakage to 'report'."
            raise BadInput(Problem("data.leakage", rule, f"all {len(items)} rows leak", remedy))
    notes = [
        f"{len(ids)} {split} rows were dropped because they leak" for split, ids in dropped.items()
    ]
    report = LeakageReport(
        report.duplicates, report.shared_groups, dropped, (*report.notes, *notes)
    )
    return Checked(left["train"], left["validation"], report)


def _notes(
    duplicates: Mapping[Pair, tuple[str, ...]],
    shared: Mapping[Pair, tuple[str, ...]],
    learnt: Mapping[str, Sequence[Item]],
) -> tuple[str, ...]:
    kinds = ((duplicates, "stand in"), (shared, "share a group with"))
    return tuple(
        f"{len(ids)} of {len(learnt[split])} {split} rows {words} test split '{test}'"
        for found, words in kinds
        for (split, test), ids in found.items()
    )


def _group(item: Item) -> str | None:
    """Return a comparable group; None where every row is its own group, named by its number."""
    return None if item.group == item.id else normalised(item.group)


def normalised_item(item: Item) -> tuple[tuple[str, str], ...]:
    """Return all texts of an item in the form in which they are compared."""
    return tuple((name, normalised(text)) for name, text in sorted(item.fields.items()))


def normalised(text: str) -> str:
    """Return a text without what does not tell texts apart: case, spaces, punctuation, forms.

    A text of nothing but punctuation stays as it is.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = " ".join(folded.translate(_ignored()).split())
    return bare or " ".join(folded.split())


@functools.cache
def _ignored() -> dict[int, str]:
    """Return the table that blanks punctuation and removes invisible formatting."""
    table: dict[int, str] = {}
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category.startswith("P"):
            table[code] = " "
        elif category == "Cf":  # the zero-width non-joiner of Persian, direction marks
            table[code] = ""
    return table
