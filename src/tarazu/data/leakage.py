"""Leakage: rows that are learnt from and also stand in a held-out split, or share its groups.

Texts are compared after normalisation (NFKC, case, spaces, punctuation, and the forms of Persian
letters and digits), as whole items: the same premise with another hypothesis is a shared group, not
a duplicate. Near duplicates: `tarazu.data.near`.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tarazu.data.item import Item
from tarazu.data.near import Near, NearIndex, Texts, signatures
from tarazu.errors import BadInput, Problem

Policy = Literal["report", "drop", "refuse"]
Pair = tuple[str, str]


@dataclass(frozen=True)
class LeakageReport:
    """What was found, per pair of a split that is learnt from and one that is held out.

    Training items are compared with validation and with the tests, validation items with the tests.
    An item stands under the first of the three headings that applies.

    Attributes:
        duplicates: Ids of the items whose whole text stands in the held-out split too.
        near_duplicates: Items that are nearly the same as one of the held-out split.
        shared_groups: Ids of the other items whose group stands in the held-out split too.
        repeated: Per test split, ids of the items that repeat an earlier one, word for word.
        nearly_repeated: Per test split, items that nearly repeat an earlier one.
        dropped: Ids of the items that were removed, by split.
        notes: The findings in words; empty when there are none.
    """

    duplicates: Mapping[Pair, tuple[str, ...]] = field(default_factory=dict)
    near_duplicates: Mapping[Pair, tuple[Near, ...]] = field(default_factory=dict)
    shared_groups: Mapping[Pair, tuple[str, ...]] = field(default_factory=dict)
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    nearly_repeated: Mapping[str, tuple[Near, ...]] = field(default_factory=dict)
    dropped: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def leaking(self, split: str) -> set[str]:
        """Return the ids of all items of a split that leak."""
        near = {pair: tuple(n.id for n in found) for pair, found in self.near_duplicates.items()}
        return {
            item_id
            for found in (self.duplicates, near, self.shared_groups)
            for (source, _), ids in found.items()
            if source == split
            for item_id in ids
        }

    def to_json(self) -> dict[str, Any]:
        """Return the findings with the ids of all items, without any text."""

        def near(found: Iterable[Near]) -> list[list[Any]]:
            return [[n.id, n.other, round(n.similarity, 4)] for n in found]

        pairs = dict.fromkeys((*self.duplicates, *self.near_duplicates, *self.shared_groups))
        tests = dict.fromkeys((*self.repeated, *self.nearly_repeated))
        return {
            "overlaps": [
                {
                    "split": pair[0],
                    "held_out": pair[1],
                    "duplicates": list(self.duplicates.get(pair, ())),
                    "near_duplicates": near(self.near_duplicates.get(pair, ())),
                    "shared_groups": list(self.shared_groups.get(pair, ())),
                }
                for pair in pairs
            ],
            "repeated": {
                test: {
                    "duplicates": list(self.repeated.get(test, ())),
                    "near_duplicates": near(self.nearly_repeated.get(test, ())),
                }
                for test in tests
            },
            "dropped": {split: list(ids) for split, ids in self.dropped.items()},
        }


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
    near: float | None = None,
) -> Checked:
    """Look for held-out items among what is learnt from.

    Args:
        train: Training items.
        validation: Validation items, by which an epoch is chosen.
        tests: Test splits by name.
        policy: ``report`` changes nothing, ``drop`` removes what leaks from training and
            validation, ``refuse`` stops. A test split is never touched.
        near: The Jaccard similarity from which an item is a near duplicate; None looks for none.

    Returns:
        The splits that remain, and the report.

    Raises:
        BadInput: The policy is to refuse and something leaks, or dropping leaves nothing.
    """
    rows = {"train": list(train), "validation": list(validation)}
    # Every text is normalised once.
    told = {name: _told(items) for name, items in rows.items()}
    held_out = {name: _HeldOut(_told(items), near) for name, items in tests.items()}
    found = _Found()
    for name, one in held_out.items():
        found.within(name, one)
    found.between("validation", told["validation"], held_out, near)
    found.between(
        "train", told["train"], {**held_out, "validation": _HeldOut(told["validation"], near)}, near
    )
    notes = _notes(found, {name: len(items) for name, items in rows.items()}, near)
    repeats = _repeats(found, {name: len(items) for name, items in tests.items()})
    report = LeakageReport(
        found.duplicates,
        found.near_duplicates,
        found.shared_groups,
        found.repeated,
        found.nearly_repeated,
        notes=(*notes, *repeats),
    )
    if notes and policy == "refuse":
        remedy = "Remove the rows, or set data.leakage to 'drop' or 'report'."
        rule = "nothing that is learnt from may stand in a held-out split"
        raise BadInput(*(Problem("data.leakage", rule, note, remedy) for note in notes))
    if policy != "drop":
        return Checked(rows["train"], rows["validation"], report)
    return _drop(rows, report)


@dataclass(frozen=True)
class _Told:
    """An item in the form in which it is compared."""

    id: str
    texts: Texts
    group: str | None


def _told(items: Sequence[Item]) -> list[_Told]:
    groups: dict[str, str] = {}
    told = []
    for item in items:
        # None where every row is its own group, named by its number.
        group = None
        if item.group != item.id:
            if item.group not in groups:
                groups[item.group] = normalised(item.group)
            group = groups[item.group]
        told.append(_Told(item.id, tuple(text for _, text in normalised_item(item)), group))
    return told


class _HeldOut:
    """A held-out split, to be asked whether it holds an item."""

    def __init__(self, items: Sequence[_Told], near: float | None) -> None:
        self.items = items
        self.texts = {item.texts for item in items}
        self.groups = {item.group for item in items} - {None}
        ids, texts = [item.id for item in items], [item.texts for item in items]
        self.near = NearIndex(ids, texts, near) if near is not None and items else None


class _Found:
    """What was found so far; see `LeakageReport`."""

    def __init__(self) -> None:
        self.duplicates: dict[Pair, tuple[str, ...]] = {}
        self.near_duplicates: dict[Pair, tuple[Near, ...]] = {}
        self.shared_groups: dict[Pair, tuple[str, ...]] = {}
        self.repeated: dict[str, tuple[str, ...]] = {}
        self.nearly_repeated: dict[str, tuple[Near, ...]] = {}

    def between(
        self,
        split: str,
        items: Sequence[_Told],
        held_out: Mapping[str, _HeldOut],
        near: float | None,
    ) -> None:
        """Compare a split with all that is held out from it; its MinHashes are made once."""
        marks = signatures([item.texts for item in items]) if near is not None else None
        same: dict[str, list[str]] = {name: [] for name in held_out}
        nearly: dict[str, list[Near]] = {name: [] for name in held_out}
        shared: dict[str, list[str]] = {name: [] for name in held_out}
        for item in items:
            mark = next(marks) if marks is not None else None
            for name, other in held_out.items():
                if item.texts in other.texts:
                    same[name].append(item.id)
                elif other.near and (found := other.near.nearest(item.id, item.texts, mark)):
                    nearly[name].append(found)
                elif item.group in other.groups:
                    shared[name].append(item.id)
        for name in held_out:
            if same[name]:
                self.duplicates[split, name] = tuple(same[name])
            if nearly[name]:
                self.near_duplicates[split, name] = tuple(nearly[name])
            if shared[name]:
                self.shared_groups[split, name] = tuple(shared[name])

    def within(self, test: str, held_out: _HeldOut) -> None:
        """Look for items of a test split that repeat each other."""
        seen: set[Texts] = set()
        again = []
        for item in held_out.items:
            if item.texts in seen:
                again.append(item.id)
            seen.add(item.texts)
        if again:
            self.repeated[test] = tuple(again)
        known = set(again)
        nearly = held_out.near.repeats() if held_out.near is not None else ()
        if found := tuple(near for near in nearly if near.id not in known):
            self.nearly_repeated[test] = found


def _drop(learnt: Mapping[str, list[Item]], report: LeakageReport) -> Checked:
    left: dict[str, list[Item]] = {}
    dropped: dict[str, tuple[str, ...]] = {}
    for split, items in learnt.items():
        gone = report.leaking(split)
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
    report = replace(report, dropped=dropped, notes=(*report.notes, *notes))
    return Checked(left["train"], left["validation"], report)


def _notes(found: _Found, rows: Mapping[str, int], near: float | None) -> tuple[str, ...]:
    nearly = f"nearly stand (similarity of at least {near:g}) in" if near is not None else ""
    kinds: tuple[tuple[Mapping[Pair, Sequence[object]], str], ...] = (
        (found.duplicates, "stand in"),
        (found.near_duplicates, nearly),
        (found.shared_groups, "share a group with"),
    )
    return tuple(
        f"{len(ids)} of {rows[split]} {split} rows {words} {_named(other)}"
        for overlaps, words in kinds
        for (split, other), ids in sorted(overlaps.items(), key=lambda pair: pair[0][0])
    )


def _named(held_out: str) -> str:
    return "the validation split" if held_out == "validation" else f"test split '{held_out}'"


def _repeats(found: _Found, rows: Mapping[str, int]) -> tuple[str, ...]:
    kinds: tuple[tuple[Mapping[str, Sequence[object]], str], ...] = (
        (found.repeated, "repeat"),
        (found.nearly_repeated, "nearly repeat"),
    )
    return tuple(
        f"{len(ids)} of {rows[test]} rows of test split '{test}' {word} an earlier row of it"
        for again, word in kinds
        for test, ids in again.items()
    )


def normalised_item(item: Item) -> tuple[tuple[str, str], ...]:
    """Return all texts of an item in the form in which they are compared."""
    return tuple((name, normalised(text)) for name, text in sorted(item.fields.items()))


def normalised(text: str) -> str:
    """Return a text without what does not tell texts apart: case, spaces, punctuation, forms.

    A text of nothing but punctuation stays as it is. Arabic and Persian forms of a letter or digit
    are one: the same Persian text is typed with either on different keyboards.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    bare = " ".join(folded.translate(_ignored()).split())
    return bare or " ".join(folded.split())


# ي and ى for ی, ك for ک; ة is read, and today written, as ه.
_PERSIAN_FORMS = {0x064A: "ی", 0x0649: "ی", 0x0643: "ک", 0x0629: "ه"}
_TATWEEL = 0x0640


@functools.cache
def _ignored() -> dict[int, str]:
    """Return the table that blanks punctuation, and drops or unifies what is only a form."""
    table: dict[int, str] = {**_PERSIAN_FORMS, _TATWEEL: ""}
    for code in range(sys.maxunicode + 1):
        category = unicodedata.category(chr(code))
        if category.startswith("P"):
            table[code] = " "
        elif category == "Cf":  # the zero-width non-joiner of Persian, direction marks
            table[code] = ""
        elif category == "Nd" and code > 127:
            table[code] = str(unicodedata.decimal(chr(code)))
        elif 0x064B <= code <= 0x0655 or code == 0x0670:  # vowel signs, hamza above and below
            table[code] = ""
    return table
