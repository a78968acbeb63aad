"""Write the report of an output folder under docs/results/, with machine, date and commands.

Usage: python tools/write_results.py STUDY_FILE OUTPUT_FOLDER RESULT_FILE

The text of the data set is left out; item ids stand for it.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from tarazu.record.store import Store
from tarazu.report.api import report


def processor() -> str:
    """Return the processor's name as the system states it."""
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor()


def memory() -> str:
    """Return the machine's memory in GiB."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / 2**30:.0f} GiB"


def main(study: str, folder: str, result: str) -> None:
    """Write the file."""
    records = Store(Path(folder)).records()
    finished = sorted(record.finished or "" for record in records)
    # Where it lay on the machine that made it is nobody's business.
    shown = "FOLDER" if Path(folder).is_absolute() else folder
    head = [
        f"> Made by `tarazu run {study}` and `python {sys.argv[0]} {study} {shown} {result}`, "
        f"runs finished {finished[0][:10]} to {finished[-1][:10]}.",
        f"> Machine: {processor()}, {os.cpu_count()} cores, {memory()}, no GPU, "
        f"{platform.system()}, Python {platform.python_version()}. It is shared: read times as "
        "rough.",
    ]
    text = report(folder, "markdown", redacted=True)
    title, _, rest = text.partition("\n")
    Path(result).write_text(f"{title}\n\n" + "\n>\n".join(head) + f"\n{rest}", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
