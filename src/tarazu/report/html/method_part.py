"""Method pages: each method explained with the numbers of its model (N6, N7, Q8, Q10)."""

from __future__ import annotations

from collections.abc import Mapping

from markdown_it import MarkdownIt

from tarazu.record.record import Parameters, RunRecord
from tarazu.record.spec import Setting
from tarazu.report.explanation import setting_value
from tarazu.report.html.parts import Cell, Passage, Row, Table, headings, number, prose, row, words
from tarazu.report.html.source import Source, entry_name
from tarazu.report.html.words import CHOSEN_BY, EVENTS
from tarazu.report.html.writer import Writer
from tarazu.report.plain import plain
from tarazu.report.recorded import recorded, recorded_source


def rendered(markdown: str, *, own: bool = False) -> str:
    """Return Markdown as HTML. HTML within it stays text, and nothing is fetched.

    Args:
        markdown: The text.
        own: Whether the report wrote it in Persian, with all foreign text in it harmless and on
            its own; what comes from a record is not trusted.
    """
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens = reader.parse(markdown if own else plain(markdown))
    for token in tokens:
        if token.type in ("td_open", "th_open"):
            # The page's security policy refuses styles in attributes, which state the alignment.
            numeric = bool(token.attrs)
            token.attrs = {} if own else {"dir": "auto"}
            if numeric:
                token.attrSet("class", "number")
    return str(reader.renderer.render(tokens, reader.options, {}))


def method_passages(source: Source, write: Writer) -> list[Passage]:
    """Build one page per entry whose record explains its method."""
    found = []
    for entry, record in source.named().items():
        text = record.explain.get(write.language) or record.explain.get("en", "")
        if not text and record.parameters is None:
            continue
        about = write.say("of_method", method=write.name(record.method))
        about = "" if record.method == record.entry.partition("@")[0] else about
        tables = (_parameters(record.parameters, write),) if record.parameters else ()
        found.append(Passage(entry, about, html=rendered(text), tables=tables))
    return found


def _parameters(counted: Parameters, write: Writer) -> Table:
    trained = counted.trained + counted.head
    pairs = [
        ("parameters_total", write.number(counted.total)),
        ("parameters_trained", write.number(counted.trained)),
        ("parameters_head", write.number(counted.head)),
        (
            "parameters_share",
            write.share(trained / counted.total, 3) if counted.total else write.say("not_stated"),
        ),
        ("parameters_deployed", write.number(counted.deployed)),
        ("parameters_bytes", write.size(counted.deployed_bytes)),
    ]
    return Table(
        headings(write.say("parameters"), write.say("count"), numeric=(1,)),
        tuple(row(Cell(write.say(key)), number(value, None)) for key, value in pairs),
        write.say("parameters_title"),
    )


def setting_passages(source: Source, write: Writer) -> list[Passage]:
    """Build one table of hyperparameters per entry: value, reason, source, and who chose it."""
    return [
        Passage(
            entry,
            write.say("settings_count", count=write.number(len(record.hyperparameters))),
            tables=(_settings(entry, record.hyperparameters, write),),
        )
        for entry, record in source.named().items()
        if record.hyperparameters
    ]


def _settings(entry: str, settings: Mapping[str, Setting], write: Writer) -> Table:
    titles = [write.say(key) for key in ("name", "value", "reason", "source", "chosen_by")]
    rows = tuple(
        row(
            Cell(name, kind="code"),
            Cell(setting_value(setting.value), kind="code", strong=setting.chosen_by != "default"),
            prose(write.text(recorded(setting.reason))),
            prose(write.text(recorded_source(setting.source))),
            words(write.text(CHOSEN_BY[setting.chosen_by])),
        )
        for name, setting in settings.items()
    )
    return Table(headings(*titles), rows, write.say("settings_title", entry=write.name(entry)))


def event_rows(source: Source, write: Writer) -> Table | None:
    """Return what happened in the runs; None when there is nothing to tell."""
    rows = []
    for record in source.used:
        said: list[tuple[str, str]] = [(event.kind, event.message) for event in record.events]
        if record.status == "failed":
            said.append(("failed", record.error or ""))
        rows += [_event(record, kind, message, write) for kind, message in said]
    if not rows:
        return None
    titles = [write.say(key) for key in ("entry", "seed", "what", "details")]
    return Table(headings(*titles, numeric=(1,)), tuple(rows), write.say("events_title"))


def _event(record: RunRecord, kind: str, message: str, write: Writer) -> Row:
    known = EVENTS.get(kind)
    what = Cell(write.text(known)) if known else Cell(kind, kind="foreign")
    return row(
        Cell(entry_name(record), kind="name"),
        number(write.digits(str(record.seed)), record.seed),
        what,
        prose(write.text(recorded(message)) if message else write.say("no_reason")),
    )
