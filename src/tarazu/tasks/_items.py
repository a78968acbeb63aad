"""From rows of data to items of a task, with every check that a row has to pass.

All mistakes of a split are reported together, each with its row; rows that carry no answer are
dropped and counted. Row numbers start at 1 and do not count a header.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from tarazu.data.item import Item
from tarazu.errors import BadInput, Problem, bad, did_you_mean
from tarazu.record.key import sha256_text
from tarazu.tasks._cells import (
    Refused,
    answers_cell,
    nearest,
    readable,
    spelling_of,
    text_cell,
)
from tarazu.tasks._task import Row, Task

_OPTIONAL = ("id", "genre")
_NO_LABEL = frozenset(("", "-1", "-", "nan"))
_ONE_CLASS = "scores there cannot show whether classes are told apart"
_SHOWN = 10
_LONG_GROUP = 40


def items_from_rows(
    task: Task,
    rows: Iterable[Row],
    where: str,
    group_by: str | None = None,
    *,
    training: bool = False,
    id_prefix: str = "",
) -> tuple[list[Item], list[str]]:
    """Return the items of a split, and notes on what was dropped or corrected.

    Args:
        task: The task.
        rows: The rows, each a mapping from column to value.
        where: The file or source, for messages.
        group_by: Column that is the unit of splitting; the task's by default.
        training: Whether the rows are trained on. Then a row whose answer does not stand in its
            context is dropped, and labels of one class only are refused; otherwise such rows are
            kept, since a text can still be scored, and noted.
        id_prefix: Stands before ids made from row numbers.

    Raises:
        BadInput: The split is empty, or rows cannot be used.
    """
    table = list(rows)
    group_by = group_by or task.group_by
    if not table:
        raise bad(where, "must hold at least one row", "an empty split")
    present = dict.fromkeys(column for row in table for column in row)
    has = _check_columns(task, present, where, group_by)
    reading = _Reading(task, where, group_by, has, training, id_prefix, width=len(str(len(table))))
    for number, row in enumerate(table, start=1):
        reading.read(number, row)
    return reading.finish(), reading.notes()


def _check_columns(
    task: Task, present: Collection[str], where: str, group_by: str
) -> frozenset[str]:
    """Check which columns are there and return the fields that have one.

    An optional field may be absent only where its column was not named by the user.
    """
    needed = {
        name: column
        for name, column in task.columns.items()
        if name not in _OPTIONAL or column != name
    }
    missing = [
        Problem(where, f"must have column '{column}' ({name})", "", did_you_mean(column, present))
        for name, column in {**needed, "unit of splitting": group_by}.items()
        if column not in present and (name in needed or column not in needed.values())
    ]
    if missing:
        raise BadInput(*missing)
    return frozenset(name for name, column in task.columns.items() if column in present)


@dataclass
class _Reading:
    """The state of reading one split."""

    task: Task
    where: str
    group_by: str
    has: frozenset[str]
    training: bool
    id_prefix: str
    width: int
    items: list[Item] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    ids: dict[str, int] = field(default_factory=dict)

    def read(self, number: int, row: Row) -> None:
        """Read one row: keep it, drop it and count, or note what is wrong with it."""
        try:
            item = self._item(number, row)
        except Refused as refused:
            place = f"{self.where}, row {number}"
            self.problems.append(Problem(place, refused.rule, refused.value, refused.remedy))
            return
        if item is not None:
            self.items.append(item)

    def finish(self) -> list[Item]:
        """Return the items, or raise what is wrong with them."""
        more = len(self.problems) - _SHOWN
        if more > 0:
            rest = Problem(self.where, f"{more} more rows have mistakes like these")
            raise BadInput(*self.problems[:_SHOWN], rest)
        if self.problems:
            raise BadInput(*self.problems)
        if not self.items:
            raise bad(
                self.where, "must hold a row that can be used", "; ".join(self.notes()),
                "Name a split whose rows carry answers.",
            )  # fmt: skip
        if self.task.kind == "classify":
            self._check_classes()
        return self.items

    def notes(self) -> list[str]:
        """Return what was dropped or corrected, in words."""
        return [
            f"{self.where}: {count} {'row' if count == 1 else 'rows'} {what}"
            for what, count in self.counts.items()
        ]

    def _check_classes(self) -> None:
        found = {item.gold[0] for item in self.items}
        if len(found) > 1:
            return
        if self.training and len(self.items) > 1:  # a single row says nothing of the column
            raise bad(
                self.where, "must hold rows of two labels or more",
                f"only '{min(found)}' in all {len(self.items)} rows",
                "Check the label column, or name more data.",
            )  # fmt: skip
        self.counts[f"all with the label '{min(found)}': {_ONE_CLASS}"] = len(self.items)

    def _item(self, number: int, row: Row) -> Item | None:
        identity = self._id(number, row)
        fields = {name: text_cell(row, self.task.columns[name]) for name in self.task.texts}
        gold, starts = self._gold(row, fields)
        if not gold:
            return None
        item = Item(identity, self._group(row), fields, gold, starts, self._given_slices(row))
        return replace(item, slices={**item.slices, **self.task.slices(item)})

    def _id(self, number: int, row: Row) -> str:
        if "id" not in self.has:
            return f"{self.id_prefix}{number:0{self.width}d}"
        column = self.task.columns["id"]
        value = row.get(column)
        if value is None or not str(value).strip():
            raise Refused(f"must have an id in column '{column}'")
        first = self.ids.setdefault(readable(str(value), column), number)
        if first != number:
            raise Refused(
                f"must have an id of its own in column '{column}'",
                f"'{value}', the id of row {first}",
                "Make the ids unique, or leave the column out.",
            )
        return str(value)

    def _group(self, row: Row) -> str:
        value = row.get(self.group_by)
        if value is None or not str(value).strip():
            raise Refused(
                f"must have a value in column '{self.group_by}'", "none",
                "It is the unit of splitting (group_by): every row belongs to a group.",
            )  # fmt: skip
        text = readable(str(value), self.group_by)
        return sha256_text(text)[:12] if len(text) > _LONG_GROUP else text

    def _given_slices(self, row: Row) -> dict[str, str]:
        if "genre" not in self.has:
            return {}
        column = self.task.columns["genre"]
        value = row.get(column)
        genre = "" if value is None else str(value).strip()
        return {"genre": readable(genre, column) or "unknown"}

    def _gold(self, row: Row, fields: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Return the gold answers and their offsets; without any, the row is dropped."""
        if self.task.kind == "classify":
            label = self._label(row)
            return ((), ()) if label is None else ((label,), ())
        return self._spans(row, fields["context"])

    def _label(self, row: Row) -> str | None:
        column = self.task.columns["label"]
        spelling = spelling_of(row.get(column))
        label = self.task.label_names.get(spelling, spelling)
        if label in self.task.labels:
            return label
        if spelling.casefold() in _NO_LABEL:
            self.counts["without gold label dropped"] += 1
            return None
        valid = (*self.task.labels, *self.task.label_names)
        raise Refused(
            f"must have a known label in column '{column}'", f"'{spelling}'",
            did_you_mean(spelling, valid),
        )  # fmt: skip

    def _spans(self, row: Row, context: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        texts, starts = answers_cell(row, self.task.columns["answers"])
        if not texts:
            self.counts["without gold answer dropped"] += 1
            return (), ()
        placed: dict[tuple[str, int], None] = {}
        absent: dict[str, None] = {}
        corrected = False
        for text, start in zip(texts, starts, strict=True):
            place = nearest(context, text, start)
            if place is None:
                absent[text] = None
            else:
                placed[text, place] = None
                corrected |= start is not None and place != start
        if corrected:
            self.counts["with a wrong answer_start, corrected"] += 1
        if absent:
            self._count_absent(dropped=self.training and not placed)
        kept = () if self.training else tuple(absent)
        return tuple(text for text, _ in placed) + kept, tuple(place for _, place in placed)

    def _count_absent(self, *, dropped: bool) -> None:
        what = "whose answer is not in the context"
        self.counts[f"{what} dropped" if dropped else f"{what}, scored as text only"] += 1
