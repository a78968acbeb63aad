"""The LaTeX report goes through TeX."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from tarazu.comparison.compare import compare_all
from tarazu.comparison.outcomes import read_outcomes
from tarazu.record.store import Store
from tarazu.report.latex import latex
from tarazu.testing.folders import make_folder, make_items
from tarazu.text import Text

pytestmark = pytest.mark.documents

EVIL = r"\input{/etc/passwd} $ & % # _ ~ ^ { } | < > \csname x\endcsname"


def compiled(folder, engine, document):
    """Return TeX's log and the text of its PDF; the tier fails where TeX is missing."""
    assert shutil.which(engine), f"{engine} is missing: see .ci/run"
    (folder / "report.tex").write_text(document, encoding="utf-8")
    command = [engine, "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for _ in range(3):  # longtable measures its columns
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
        log = done.stdout.decode(errors="replace")
        assert done.returncode == 0, log[-2000:]
    shown = subprocess.run(
        ["pdftotext", "-layout", "report.pdf", "-"], cwd=folder, capture_output=True, check=True
    )
    return log, shown.stdout.decode()


def flat(text):
    """Return a text without what TeX sets in another way: spaces, and upright or round accents."""
    signs = {"˜": "~", "∼": "~", "ˆ": "^", "∧": "^", "−": "-"}
    return re.sub(r"\s+", "", "".join(signs.get(sign, sign) for sign in text))


@pytest.fixture(scope="module")
def document(tmp_path_factory):
    """Return a report of two seeds with tables, pairs and names that TeX would obey."""
    store = Store(
        make_folder(
            tmp_path_factory.mktemp("latex") / "out",
            {"lora": 0.9, "tfidf": 0.6, EVIL: 0.5, "majority": 0.33},
            make_items(60),
            seeds=(0, 1),
        )
    )
    records = store.records()
    comparisons = compare_all(read_outcomes(store, records), 0.03)
    below = [Text(f"± – … → ↳ · × {EVIL}", "")]
    return latex(records, comparisons, below)


@pytest.mark.parametrize("engine", ["pdflatex", "lualatex"])
def test_it_compiles_and_shows_every_name_as_it_is(document, tmp_path, engine):
    log, text = compiled(tmp_path, engine, document)
    assert flat(EVIL) in flat(text)
    assert "root:" not in text
    for word in ("lora", "tfidf", "majority", "verdict"):
        assert word in text, word
    assert "Missing character" not in log
    assert re.findall(r"^(?:LaTeX|Package \w+) Warning.*", log, re.MULTILINE) == []


def test_the_reason_of_a_failed_run_does_no_harm(make, failed, tmp_path):
    _, text = compiled(tmp_path, "pdflatex", latex([make(), failed("a_b", reason=EVIL)]))
    assert "a_b" in flat(text)
    assert "root:" not in text


def test_a_table_of_many_columns_stays_on_the_page(make, tmp_path):
    metrics = [
        "accuracy", "macro_f1", "accuracy_calibrated", "accuracy_sum", "accuracy_token", "em", "f1",
    ]  # fmt: skip
    records = []
    for entry in ("one-shot-similar", "lora-decoder"):
        record = make(entry)
        scores = dict.fromkeys(metrics, 0.5)
        variants = [one.model_copy(update={"metrics": scores}) for one in record.variants]
        records.append(record.model_copy(update={"variants": variants}))
    document = latex(records)
    assert len(re.search(r"\\begin\{longtable\}\{([lr]+)\}", document)[1]) > 12
    log, _ = compiled(tmp_path, "pdflatex", document)
    assert "Overfull" not in log
