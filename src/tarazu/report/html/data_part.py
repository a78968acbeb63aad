"""What the data are (requirement N1): sizes, labels, lengths, kinds of items, origin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tarazu.report.data_card import Lengths
from tarazu.report.html.parts import Cell, Table, headings, name, number, prose, row
from tarazu.report.html.slice_names import field_name, slice_name, slice_value, split_name
from tarazu.report.html.source import Source
from tarazu.report.html.words import LANGUAGE_NAMES
from tarazu.report.html.writer import Writer
from tarazu.report.plain import shorten
from tarazu.report.recorded import recorded

_EXAMPLES, _EXAMPLE_LENGTH = 3, 300


@dataclass(frozen=True)
class DataPart:
    """The section.

    Attributes:
        facts: Pairs of a label and a value.
        tables: Sizes, labels, lengths, and the kinds of items.
        notes: What should be known.
    """

    facts: tuple[tuple[str, Cell], ...]
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()


def data_part(source: Source, write: Writer) -> DataPart:
    """Build the section."""
    tables = [_sizes(source, write)]
    notes = []
    if source.items is None:
        notes.append(write.say("no_items"))
    else:
        splits = _by_split(source.items)
        labels = _labels(source)
        if labels:
            tables.append(_balance(splits, labels, write))
        lengths = _lengths(splits, bool(labels), write)
        if lengths is not None:
            tables.append(lengths)
        tables += _slices(splits, write)
        if source.redacted:
            notes.append(write.say("redacted_lengths"))
        elif any(name.startswith("text_") for name in source.items.column_names):
            tables.append(_examples(splits, write))
    return DataPart(_facts(source, write), tuple(tables), tuple(notes))


def _by_split(items: pa.Table) -> dict[str, pa.Table]:
    names = dict.fromkeys(items["split"].to_pylist())
    return {split: items.filter(pc.equal(items["split"], split)) for split in names}


def _labels(source: Source) -> list[str]:
    """Return the task's labels; older records do not name them, but every item has its own."""
    if source.used and source.used[0].labels:
        return list(source.used[0].labels)
    if source.items is None or "slice_label" not in source.items.column_names:
        return []
    return sorted({label for label in source.items["slice_label"].to_pylist() if label})


def _facts(source: Source, write: Writer) -> tuple[tuple[str, Cell], ...]:
    if not source.used:
        return ()
    record = source.used[0]
    data, known = record.spec.data, record.attribution
    spoken = LANGUAGE_NAMES.get(record.spec.language)
    language = write.text(spoken) if spoken else write.name(record.spec.language)
    facts = [
        (write.say("fact_language"), Cell(language)),
        (write.say("fact_source"), _stated(known.data_source, write)),
        (write.say("fact_licence"), _stated(known.data_licence, write)),
        (write.say("fact_group"), _stated(data.group_by, write, "default_of_task")),
        (write.say("fact_seed"), Cell(write.digits(str(data.seed)))),
        (write.say("fact_leakage"), Cell(write.say(f"leakage_{data.leakage}"))),
    ]
    sampled = {
        split: amount for split, amount in data.sample.model_dump().items() if amount is not None
    }
    if sampled:
        text = " · ".join(
            f"{split_name(split, write)}: {_amount(amount, write)}"
            for split, amount in sampled.items()
        )
        facts.append((write.say("fact_sample"), Cell(text)))
    return tuple(facts)


def _amount(amount: float | list[float], write: Writer) -> str:
    if isinstance(amount, list):
        return write.listed(_amount(one, write) for one in amount)
    if isinstance(amount, float):
        return write.share(amount, 0)
    return write.say("rows_of", count=write.number(amount))


def _stated(value: str | None, write: Writer, otherwise: str = "not_stated") -> Cell:
    return prose(write.text(recorded(value))) if value else Cell(write.say(otherwise))


def _sizes(source: Source, write: Writer) -> Table:
    given = {name: found for record in source.used for name, found in record.inputs.items()}
    groups = {
        split: len(set(table["group_id"].to_pylist()))
        for split, table in (_by_split(source.items) if source.items is not None else {}).items()
    }
    rows = tuple(
        row(
            Cell(split_name(split, write)),
            number(write.number(found.rows), found.rows),
            number(write.number(groups[split]) if split in groups else "", groups.get(split)),
            Cell(found.sha256[:16], kind="code"),
        )
        for split, found in given.items()
    )
    titles = [write.say(key) for key in ("split", "items", "groups", "sha")]
    return Table(headings(*titles, numeric=(1, 2)), rows, write.say("sizes_title"))


def _balance(splits: Mapping[str, pa.Table], labels: Sequence[str], write: Writer) -> Table:
    rows = []
    for split, table in splits.items():
        counts = Counter(gold[0] for gold in table["gold"].to_pylist() if gold)
        cells = [_share(counts[label], table.num_rows, write) for label in labels]
        rows.append(row(Cell(split_name(split, write)), *cells))
    names = [write.name(label) for label in labels]
    return Table(
        headings(write.say("split"), *names, numeric=range(1, 1 + len(labels))),
        tuple(rows),
        write.say("balance_title"),
    )


def _share(count: int, total: int, write: Writer) -> Cell:
    share = f" ({write.share(count / total)})" if total else ""
    return number(f"{write.number(count)}{share}", count)


def _lengths(splits: Mapping[str, pa.Table], labelled: bool, write: Writer) -> Table | None:
    rows = []
    for split, table in splits.items():
        texts = {
            column.removeprefix("text_"): table[column].to_pylist()
            for column in table.column_names
            if column.startswith("text_")
        }
        if not labelled and texts:
            texts["gold"] = [gold[0] for gold in table["gold"].to_pylist() if gold]
        for field, values in texts.items():
            length = Lengths.of(value for value in values if value is not None)
            rows.append(
                row(
                    Cell(split_name(split, write)),
                    name(write.say("gold") if field == "gold" else field_name(field, write)),
                    number(write.number(length.mean, 1), length.mean),
                    number(write.number(length.p95), length.p95),
                    number(write.number(length.maximum), length.maximum),
                )
            )
    if not rows:
        return None
    titles = [write.say(key) for key in ("split", "field", "mean", "at_most", "longest")]
    return Table(headings(*titles, numeric=(2, 3, 4)), tuple(rows), write.say("lengths_title"))


def _slices(splits: Mapping[str, pa.Table], write: Writer) -> list[Table]:
    """Show of each slice how many items of each split it has; the label has its own table."""
    columns: dict[str, Any] = dict.fromkeys(
        column
        for table in splits.values()
        for column in table.column_names
        if column.startswith("slice_") and column != "slice_label"
    )
    found = []
    for column in columns:
        counts = {
            split: Counter(table[column].to_pylist())
            for split, table in splits.items()
            if column in table.column_names
        }
        values = sorted(
            {value for count in counts.values() for value in count if value}, key=_place
        )
        titles = [split_name(split, write) for split in counts]
        title = slice_name(column.removeprefix("slice_"), write)
        rows = tuple(
            row(
                Cell(slice_value(value, write), kind="name"),
                *(_share(count[value], sum(count.values()), write) for count in counts.values()),
            )
            for value in values
        )
        found.append(
            Table(
                headings(title, *titles, numeric=range(1, 1 + len(titles))),
                rows,
                write.say("slice_title", name=title),
            )
        )
    return found


def _examples(splits: Mapping[str, pa.Table], write: Writer) -> Table:
    """Show the first items of the training split, or of the only one there is."""
    items = splits.get("train", next(iter(splits.values()))).slice(0, _EXAMPLES)
    fields = [column for column in items.column_names if column.startswith("text_")]
    rows = tuple(
        row(
            Cell(item["item_id"], kind="code"),
            *(
                Cell(shorten(item[field] or "", _EXAMPLE_LENGTH), kind="foreign")
                for field in fields
            ),
            Cell(shorten(" / ".join(dict.fromkeys(item["gold"])), _EXAMPLE_LENGTH), kind="foreign"),
        )
        for item in items.to_pylist()
    )
    names = [write.name(field.removeprefix("text_")) for field in fields]
    titles = write.say("item"), *names, write.say("gold")
    return Table(headings(*titles), rows, write.say("examples_title"))


def _place(value: str) -> tuple[int, int, str]:
    """Order ranges such as ``11-20`` by their numbers and everything else by its letters."""
    first = value.rstrip("+").split("-")[0]
    return (0, int(first), "") if first.isdigit() else (1, 0, value)
