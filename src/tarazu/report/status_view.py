"""How far a study is, in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Group, RenderableType
from rich.text import Text

from tarazu.report.listing import listing
from tarazu.report.plain import one_line, shorten

_WHY_LENGTH = 160


def status_view(
    counts: Mapping[str, int], runs: Iterable[tuple[str, str, str]], notes: Iterable[str]
) -> RenderableType:
    """Return the counts, a table of all runs, and notes.

    Args:
        counts: Runs by state.
        runs: Label, state and reason of each.
        notes: Lines below.
    """
    total = ", ".join(f"{count:,} {state}" for state, count in counts.items() if count)
    rows = [[label, state, shorten(why, _WHY_LENGTH)] for label, state, why in runs]
    return Group(
        Text(f"{total or 'No run is planned'}."),
        listing(["run", "state", "why"], rows),
        *(Text(one_line(note)) for note in notes),
    )
