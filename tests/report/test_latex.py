from __future__ import annotations

import re

from tarazu.report.latex import latex, latex_inline


def test_commands_in_names_are_shown_and_not_run():
    evil = r"\input{/etc/passwd} $x$ & 100% #1 a_b ~^ {}"
    shown = latex_inline(evil)
    assert r"\input" not in shown
    # Every special character stands behind a backslash or has become a command of ours.
    bare = re.sub(r"\\text[a-z]+\{\}|\\[{}$&#_%]", "", shown)
    assert not re.search(r"[\\{}$&#_%~^]", bare)


def test_every_entry_is_a_row_and_the_best_is_bold(make, failed):
    text = latex([make(accuracy=0.7), make("full", accuracy=0.8), failed("a_b")])
    assert r"\textbf{80.0}" in text
    assert r"a\_b" in text
    assert text.startswith(r"\documentclass")
    assert text.rstrip().endswith(r"\end{document}")
    assert text.count(r"\begin{longtable}") == text.count(r"\end{longtable}") == 1


def test_columns_and_cells_agree(make):
    text = latex([make(seed=seed) for seed in range(3)])
    align = re.search(r"\\begin\{longtable\}\{([lr]+)\}", text)[1]
    row = next(line for line in text.splitlines() if line.startswith("lora"))
    assert len(re.split(r"(?<!\\)&", row)) == len(align)
