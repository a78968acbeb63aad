"""What went wrong, in the terminal."""

from __future__ import annotations

import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tarazu.errors import BadInput
from tarazu.report.plain import escaped, one_line, plain, shorten
from tarazu.scrub import scrub

_VALUE_LENGTH = 200


def complain(message: str) -> None:
    """Print a message on standard error, unbroken so that a log can be searched."""
    Console(stderr=True).print(Text(plain(scrub(message))), soft_wrap=True)


def print_problems(error: BadInput) -> None:
    """Print every mistake with its place, rule, value and remedy.

    Args:
        error: What was raised.
    """
    count = len(error.problems)
    lines = ["The input has a problem:" if count == 1 else f"The input has {count} problems:"]
    for number, problem in enumerate(error.problems, start=1):
        lines.append(f"{number}. {one_line(problem.where)}")
        lines.append(f"   rule:   {one_line(problem.rule)}")
        if problem.value:
            lines.append(f"   found:  {shorten(scrub(problem.value), _VALUE_LENGTH)}")
        if problem.remedy:
            lines.append(f"   remedy: {one_line(problem.remedy)}")
    complain("\n".join(lines))


def write_traceback(error: BaseException) -> Path:
    """Write the traceback of an unexpected error to a file of its own.

    Args:
        error: What was raised.

    Returns:
        The file.
    """
    name = f"error-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.log"
    text = escaped(scrub("".join(traceback.format_exception(error))))
    try:
        import platformdirs

        path = platformdirs.user_log_path("tarazu", ensure_exists=True) / name
        path.write_text(text, encoding="utf-8", errors="replace")
    except OSError:  # no home, or a full one
        path = Path(tempfile.mkdtemp(prefix="tarazu-")) / name
        path.write_text(text, encoding="utf-8", errors="replace")
    return path
