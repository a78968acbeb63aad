"""Tables of words for the terminal: nothing in them is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.text import Text

from tarazu.report.plain import one_line


def listing(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table whose first column is never broken: it holds what one types.

    Args:
        headings: Column headings.
        rows: Cells by row.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(one_line(cell)) for cell in row))
    return table


class _FoldingTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class FoldingMarkdown(Markdown):
    """Markdown whose tables break long words rather than cutting them."""

    elements: ClassVar = {**Markdown.elements, "table_open": _FoldingTable}
