"""A page of the report as PDF, with text that can be selected. Nothing is fetched to make it."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from tarazu.errors import bad
from tarazu.report.html.typeset import typeset

_LIBRARIES = "libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0"
_FONTS = "fonts-noto-core (or fonts-dejavu-core)"
# As the layout engine warns of a character that no font has.
_MISSING = re.compile(r"\.notdef.*\(U\+([0-9A-F]+)\)$")
_PERSIAN = range(0x0600, 0x0700)


def pdf(page: str) -> bytes:
    """Lay a page out on paper.

    The same page gives the same bytes where versions and fonts are the same: the file states the
    day of the last run and neither the hour nor the machine.

    Args:
        page: From `tarazu.report.html.paper.paper_page`.

    Raises:
        BadInput: The package or a system library behind it is missing, or a Persian page has no
            font.
    """
    engine = _engine()
    # Pages refer to nothing outside; should a slip ever let one do so, it gets nothing.
    fetcher = engine.URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    # A relative address needs a base; this one is refused like all others.
    document = engine.HTML(string=page, base_url="http://refused.invalid/", url_fetcher=fetcher)
    typeset(document.etree_element)
    with _missing_letters() as missing:
        made: bytes = document.write_pdf(pdf_tags=True)
    if any(ord(letter) in _PERSIAN for letter in missing):
        raise bad("PDF", "needs a font with Persian letters", "none", _debian(_FONTS))
    if missing:
        letters = ", ".join(f"U+{ord(letter):04X}" for letter in sorted(missing))
        warnings.warn(f"No installed font has these characters: {letters}", stacklevel=2)
    return made


def _engine() -> Any:
    """Import the layout engine: it is large, and is installed only where PDF is wanted."""
    try:
        with redirect_stdout(io.StringIO()):  # it prints advice of its own
            import weasyprint
    except ImportError as error:
        remedy = "Install it with `pip install 'tarazu[pdf]'`."
        raise bad("PDF", "needs the package weasyprint", error, remedy) from error
    except OSError as error:
        raise bad("PDF", "needs the system library Pango", error, _debian(_LIBRARIES)) from error
    return weasyprint


def _debian(packages: str) -> str:
    return f"On Debian and Ubuntu: `apt-get install {packages}`."


@contextmanager
def _missing_letters() -> Iterator[set[str]]:
    """Gather the characters that no font has."""
    found: set[str] = set()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            match = _MISSING.search(record.getMessage())
            if match:
                found.add(chr(int(match[1], 16)))

    logger, listener = logging.getLogger("weasyprint"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield found
    finally:
        logger.removeHandler(listener)
