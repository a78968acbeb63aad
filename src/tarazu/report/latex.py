"""The final table and the table of pairs as LaTeX: a document that compiles, with tables to take.

Made for pdfLaTeX, XeLaTeX and LuaLaTeX with the packages of every TeX distribution (``booktabs``,
``longtable``); where ``lmodern`` is there, pdfLaTeX draws letters as curves and not as dots. Names
in other scripts than Latin need XeLaTeX or LuaLaTeX and a font that has them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tarazu.comparison.entries import EntryResult, entries
from tarazu.comparison.result import leading
from tarazu.report.columns import NOTES, best_rows, columns, splits
from tarazu.report.compared import summary, verdict
from tarazu.report.notes import caption, footnotes
from tarazu.report.numbers import p_text
from tarazu.report.plain import one_line

if TYPE_CHECKING:
    from tarazu.comparison.result import Comparison
    from tarazu.record.record import RunRecord
    from tarazu.text import Text

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "→": r"$\to$",
    "↳": r"$\hookrightarrow$",
}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))
# More columns than this are set smaller.
_MANY = 12

_PREAMBLE = r"""\documentclass{article}
\usepackage{iftex}
\ifPDFTeX
  \usepackage[utf8]{inputenc}
  \usepackage{cmap}
  \usepackage[T1]{fontenc}
  \IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\else
  \usepackage{fontspec}
\fi
\usepackage{textcomp}
\usepackage{booktabs,longtable}
\usepackage[a4paper,landscape,margin=15mm]{geometry}
\begin{document}
"""


def latex_inline(text: object) -> str:
    """Return a text that LaTeX shows literally: no character of it is a command."""
    return _PATTERN.sub(lambda match: _SPECIAL[match[0]], one_line(text))


def latex(
    records: Sequence[RunRecord],
    comparisons: Sequence[Comparison] = (),
    below: Sequence[Text] = (),
) -> str:
    """Return a document with the final table and the table of pairs of every test split.

    Args:
        records: All records of a study.
        comparisons: Its entries held against each other.
        below: Further lines below the tables.
    """
    study = one_line(records[0].spec.study) if records else ""
    parts = [_PREAMBLE, rf"\section*{{{latex_inline(study)}}}"]
    for split, rows in splits(entries(records)):
        comparison = leading(comparisons, split)
        parts += [_results(split, rows, comparison)]
        if comparison is not None and comparison.pairs:
            parts += [_pairs(comparison)]
    if foot := [*footnotes(records), *below]:
        items = "\n".join(rf"\item {latex_inline(line.en)}" for line in foot)
        parts.append(f"\\begin{{itemize}}\n{items}\n\\end{{itemize}}")
    parts.append("\\end{document}\n")
    return "\n".join(parts)


def _results(split: str, rows: Sequence[EntryResult], comparison: Comparison | None) -> str:
    kept = [column for column in columns(rows, comparison) if column.heading != NOTES]
    best = [best_rows(column, rows) for column in kept]
    body = []
    for row in rows:
        cells = [latex_inline(column.cell(row)) for column in kept]
        marked = zip(cells, best, strict=True)
        body.append([rf"\textbf{{{cell}}}" if row.id in top else cell for cell, top in marked])
    told = [caption(rows).en, *(summary(comparison) if comparison is not None else [])]
    align = "".join("r" if column.numeric else "l" for column in kept)
    headings = [latex_inline(column.heading) for column in kept]
    return _table(f"results: {split}", align, headings, body, " ".join(told))


def _pairs(comparison: Comparison) -> str:
    body = [
        [
            latex_inline(pair.a),
            latex_inline(pair.b),
            f"${100 * pair.difference:+.1f}$",
            _ends(pair.low, pair.high),
            latex_inline(p_text(pair.p_value)),
            latex_inline(p_text(pair.p_holm)),
            latex_inline(verdict(pair)),
        ]
        for pair in comparison.pairs
    ]
    headings = ["a", "b", "$a-b$, points", r"95\,\%", "$p$", "$p$ (Holm)", "verdict"]
    told = f"Every two entries on {comparison.split} by {comparison.metric}."
    return _table(f"pairs: {comparison.split}", "llrrrrl", headings, body, told)


def _ends(low: float | None, high: float | None) -> str:
    if low is None or high is None:
        return "--"
    return rf"${100 * low:+.1f}\ldots{100 * high:+.1f}$"


def _size(columns: int) -> str:
    """Return the letters and the gaps with which a table of so many columns fits on the page."""
    if columns <= _MANY:
        return r"\footnotesize\setlength{\tabcolsep}{4pt}"
    return r"\scriptsize\setlength{\tabcolsep}{3pt}"


def _table(name: str, align: str, headings: list[str], body: list[list[str]], told: str) -> str:
    rows = "\n".join(" & ".join(cells) + r" \\" for cells in body)
    return "\n".join(
        [
            f"% begin {one_line(name)}",
            rf"\begingroup{_size(len(align))}",
            rf"\begin{{longtable}}{{{align}}}",
            rf"\caption{{{latex_inline(told)}}}\\",
            r"\toprule",
            " & ".join(headings) + r" \\",
            r"\midrule\endhead",
            rows,
            r"\bottomrule",
            r"\end{longtable}\endgroup",
            f"% end {one_line(name)}",
        ]
    )
