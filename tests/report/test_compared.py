from __future__ import annotations

import json

import numpy as np
import pytest
from rich.console import Console

from tarazu.comparison.compare import compare
from tarazu.comparison.outcomes import Answers, Outcomes
from tarazu.report.compared import pairs_table, summary, verdict
from tarazu.report.json_report import json_report
from tarazu.report.markdown import markdown
from tarazu.report.numbers import p_text
from tarazu.report.table import FinalTable


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    hard = rng.random(300)
    scores = {"lora": 0.8, "full": 0.8, "majority": 0.3}
    entries = tuple(
        Answers(
            id=name,
            seeds=(0, 1, 2),
            seeded=True,
            predicted=np.full((3, 300), None),
            raw=np.full((3, 300), ""),
            scores=None,
            metrics={"accuracy": (hard + rng.normal(0, 0.05, (3, 300)) < share) * 1.0},
        )
        for name, share in scores.items()
    )
    outcomes = Outcomes(
        "test", "accuracy", (), tuple(map(str, range(300))), np.arange(300), (("",),) * 300,
        {}, {}, entries,
    )  # fmt: skip
    return compare(outcomes, 0.05)


@pytest.fixture
def records(make):
    return [make(name, seed=seed) for name in ("lora", "full", "majority") for seed in range(3)]


def shown(records, comparison, width=200):
    console = Console(width=width, no_color=True)
    with console.capture() as capture:
        console.print(FinalTable(records, [comparison]))
    return capture.get()


def test_the_table_shows_intervals_and_groups(records, comparison):
    text = shown(records, comparison)
    assert "Group" in text
    low, high = comparison.intervals["lora"].low, comparison.intervals["lora"].high
    assert f"{100 * low:.1f} … {100 * high:.1f}" in text
    line = next(line for line in text.splitlines() if line.startswith("majority"))
    assert " b " in line
    assert "2 of 3 pairs can be" in text


def test_a_narrow_page_keeps_the_group_longest(records, comparison):
    text = shown(records, comparison, width=60)
    assert "Group" in text
    assert " … " not in text.split("\n\n")[0].splitlines()[3]


def test_markdown_names_every_two_entries(records, comparison):
    text = markdown(records, [comparison])
    assert "## Every two entries" in text
    assert text.count("| lora | full |") + text.count("| full | lora |") == 1
    assert "Equivalent within 5 points: lora = full." in text


def test_json_has_comparisons_groups_and_intervals(records, comparison):
    told = json.loads(json_report(records, [comparison]))
    assert {"a", "b", "metric", "difference", "ci95", "p_value", "p_holm", "separable",
            "equivalent"} <= set(told["comparisons"][0])  # fmt: skip
    assert len(told["comparisons"]) == 3
    (group,) = told["groups"]
    assert group["letters"] == {"lora": "a", "full": "a", "majority": "b"}
    entry = next(one for one in told["entries"] if one["id"] == "lora")
    interval = comparison.intervals["lora"]
    assert entry["ci95"] == {"accuracy": [interval.low, interval.high]}


def test_verdicts(comparison):
    said = {frozenset((p.a, p.b)): verdict(p) for p in comparison.pairs}
    assert said[frozenset(("lora", "full"))] == "equivalent"
    assert said[frozenset(("lora", "majority"))] == "differ"
    assert "differ" in pairs_table(comparison)


def test_persian_sentences(comparison):
    said = " ".join(summary(comparison, "fa"))
    assert "هم‌ارز" in said
    assert "Equivalent" not in said


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.5, "0.500"), (0.0499, "0.0499"), (0.0081, "0.0081"), (0.00001, "< 0.0001"), (None, "–")],
)
def test_p_values(value, text):
    assert p_text(value) == text
