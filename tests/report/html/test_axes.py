"""Tuning, training sizes and costs on the page: numbers, words, and nothing that runs."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tarazu.comparison.costs import Price
from tarazu.comparison.sensitivity import expected_best
from tarazu.comparison.sizes import learning_curves
from tarazu.record.spec import ReportSpec, Setting
from tarazu.report.api import read_results, report_html
from tarazu.report.html.cost_part import cost_tables
from tarazu.report.html.line_chart import Line, LinePoint, line_chart, spread_out
from tarazu.report.html.method_part import setting_passages
from tarazu.report.html.pareto import pareto_parts
from tarazu.report.html.size_part import size_parts
from tarazu.report.html.source import Source
from tarazu.report.html.tuning_part import tuning_part
from tarazu.report.html.words import CHOSEN_BY
from tarazu.report.html.writer import Writer
from tarazu.testing.axes import add_trials, make_sized_folder
from tarazu.testing.folders import make_folder, make_items

EN, FA = Writer("en"), Writer("fa")
ATTACK = "<img src=x onerror=alert(9)> \u202e{{ 7 * 7 }}"
TUNING = {"trials": 4, "seconds": None, "sampler": "qmc", "pruning": True, "seed": 1000}
LORA = (0.40, 0.50, None, 0.60)
FULL = (0.55, 0.55, 0.52, 0.50)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    folder = make_folder(
        tmp_path_factory.mktemp("tuned") / "out",
        {"lora": 0.8, "full": 0.7, "tfidf": 0.5, "majority": 0.33, "plain": 0.4},
        make_items(40),
        seeds=(0, 1),
        study={"tuning": TUNING},
    )
    add_trials(folder, "lora", LORA, share=0.25, failure=ATTACK)
    add_trials(folder, "full", FULL, share=0.25)
    add_trials(folder, "tfidf", (0.5, 0.3), budget=4)
    add_trials(folder, "majority", (), budget=4)
    return read_results(folder)


@pytest.fixture(scope="module")
def sized(tmp_path_factory):
    folder = make_sized_folder(
        tmp_path_factory.mktemp("sized") / "out",
        {"lora": (0.3, 0.6, 0.9), "few-shot": (0.5, 0.5, 0.5), "zero-shot": (0.45,)},
        make_items(60),
        (10, 30, 90),
        seeds=(0, 1, 2),
        study={"report": {"price_per_hour": 3.6, "currency": "EUR"}},
    )
    return read_results(folder)


def source_of(results):
    return Source(results.records, results.study, curves=results.curves, price=results.price)


def rows_of(table):
    return [[cell.text for cell in row.cells] for row in table.rows]


def drawn(svg):
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


# ---- tuning


def test_the_budget_and_how_it_was_spent(tuned):
    part = tuning_part(source_of(tuned), EN)
    assert [value for _, value in part.facts] == [
        "4",
        "a scrambled Sobol sequence; trial 0 is the method's defaults",
        "the better half goes on after a quarter, and again after half, of its updates",
        "1000",
    ]
    asked = {**tuned.study, "tuning": {**TUNING, "seconds": 7200, "pruning": False}}
    facts = dict(tuning_part(Source(tuned.records, asked), EN).facts)
    assert facts["Trials of every entry"] == "4, out of 2 h 00 min in all"
    assert facts["Pruning"] == "none: every trial is trained to its end"


def test_every_entry_says_what_it_uses(tuned):
    rows = {row[0]: row[1:] for row in rows_of(tuning_part(source_of(tuned), EN).overview)}
    rows = {name.partition(" ")[0]: row for name, row in rows.items()}
    lora = "learning_rate=0.00316, targets=all-linear"
    assert rows["lora"] == [
        "4",
        "3",
        lora,
        "60.0",
        "1 min 00 s",
    ]  # four quarters of 30 s, and one whole
    assert rows["majority"] == ["0", "–", "Nothing to tune. It only counts.", "–", "–"]
    assert rows["plain"] == ["0", "–", "untuned", "–", "–"]
    assert rows["tfidf"][:2] == ["2", "0"]


def test_every_trial_is_listed_with_what_came_of_it(tuned):
    lora, full, _ = tuning_part(source_of(tuned), EN).entries
    trials, knobs = lora.tables
    assert [row[1:] for row in rows_of(trials)] == [
        ["0.1", "query-value", "1", "25\u00a0%", "40.0", "–", "7.5 s", "stopped early"],
        ["0.0316", "all-linear", "1", "25\u00a0%", "50.0", "–", "7.5 s", "stopped early"],
        [
            "0.01", "query-value", "1", "25\u00a0%", "–", "–", "7.5 s",
            "failed: <img src=x onerror=alert(9)> {{ 7 * 7 }}",
        ],
        ["0.00316", "all-linear", "2", "100\u00a0%", "60.0", "–", "38 s", "used"],
    ]  # fmt: skip
    assert [row.style for row in trials.rows] == ["", "", "failed", ""]
    assert trials.rows[3].cells[0].strong
    assert lora.lines == ("Not searched, because the study fixes it: r.",)
    rate, targets = rows_of(knobs)
    assert rate[:2] == ["learning_rate", "3"]
    assert targets == [
        "targets",
        "3",
        "–",
        "–",
        "15.0",
        "query-value: 40.0 (1); all-linear: 55.0 (2)",
    ]
    assert rows_of(full.tables[1])[0][2:4] == ["+0.95", "0.167"]
    assert "first 25\u00a0% of the training" in knobs.notes[0]


def test_knobs_of_whole_trainings_say_so(tuned):
    tfidf = tuning_part(source_of(tuned), EN).entries[2]
    assert tfidf.tables[1].notes[0].startswith("Scores after the whole training.")


def test_scores_of_different_shares_stand_in_different_charts(tuned):
    (early, of_early), (whole, of_whole) = tuning_part(source_of(tuned), EN).expected
    names = set(drawn(early.svg))
    assert {"lora (minilm)", "full (minilm)"} <= names
    assert "tfidf (minilm)" not in names
    assert "tfidf (minilm)" in drawn(whole.svg)
    assert "25\u00a0%" in early.title
    lora, full = expected_best([s or 0.0 for s in LORA]), expected_best(FULL)
    assert (lora[0], full[0], lora[-1], full[-1]) == pytest.approx((0.375, 0.53, 0.6, 0.55))
    assert of_early == (
        "With one trial full (minilm) is expected to lead (53.0\u00a0%), with 4 trials "
        "lora (minilm) (60.0\u00a0%): the order depends on how much is tuned. The last trial still "
        "adds half a point or more for lora (minilm): there, more trials may bring more."
    )
    assert of_whole.startswith("The last trial still adds")
    assert "lead" not in of_whole


def test_one_leader_is_called_so_and_a_level_line_too(tmp_path):
    folder = make_folder(tmp_path / "out", {"a": 0.8, "b": 0.7}, make_items(9))
    add_trials(folder, "a", (0.6, 0.6, 0.6))
    add_trials(folder, "b", (0.5, 0.5, 0.5))
    ((_, reading),) = tuning_part(source_of(read_results(folder)), EN).expected
    assert reading.startswith("a (minilm) is expected to lead at every number of trials: 60.0")
    assert reading.endswith("more trials would bring little.")


def test_what_tuning_took_is_not_called_a_run(tmp_path, tuned):
    """The final table has the time of a run alone; the front counts the trials as well."""
    plain = make_folder(tmp_path / "out", {"a": 0.8, "b": 0.7}, make_items(9))
    for results, said in ((tuned, "All trials and one run"), (read_results(plain), "Whole run")):
        headings = [h.text for h in pareto_parts(source_of(results), EN)[0].table.headings]
        assert said in headings
        assert len({"All trials and one run", "Whole run"} & set(headings)) == 1


def test_failed_trials_are_told_of(tuned):
    assert tuning_part(source_of(tuned), EN).lines == ("A failed trial counts as a score of 0.",)


def test_an_untuned_study_says_so(make):
    part = tuning_part(Source([make()]), EN)
    assert part.lines[0].startswith("Nothing was tuned")
    assert (part.overview, part.expected, part.entries, part.facts) == (None, (), (), ())
    waiting = tuning_part(Source([make()], {"tuning": TUNING}), EN)
    assert waiting.lines[0].startswith("The study asks for tuning")


def test_whoever_may_choose_a_setting_has_a_name(make):
    choosers = get_args(Setting.model_fields["chosen_by"].annotation)
    assert set(choosers) == set(CHOSEN_BY)
    for who in choosers:
        setting = Setting(value=1, reason="r", source="s", chosen_by=who)
        (passage,) = setting_passages(Source([make(hyperparameters={"r": setting})]), EN)
        assert passage.tables[0].rows[0].cells[-1].text


# ---- training sizes


def test_scores_by_size_carry_their_intervals(sized):
    (part,) = size_parts(source_of(sized), EN)
    assert [heading.text for heading in part.table.headings[1:]] == [
        "10 rows",
        "30 rows",
        "90 rows",
    ]
    lora, few, zero = rows_of(part.table)
    for cell in (*lora[1:], *few[1:], *zero[1:]):
        mean, low, high = map(
            float, re.match(r"([\d.]+) ± .* \(([\d.]+) … ([\d.]+)\)", cell).groups()
        )
        assert low < mean < high
    assert zero[1] == zero[3]
    assert part.figure.title == "Accuracy by number of training rows, with 95\u00a0% intervals"
    assert {"lora", "few-shot", "zero-shot", "10", "30", "90"} <= set(drawn(part.figure.svg))
    assert "lora is ahead of few-shot from 30 training rows." in part.lines


def test_the_largest_size_has_the_interval_of_the_comparison(sized):
    (comparison,) = [c for c in sized.comparisons if c.metric == "accuracy"]
    for curve in sized.curves:
        interval, last = comparison.intervals[curve.id], curve.points[-1]
        assert (last.low, last.high) == (interval.low, interval.high)
    narrow = [point.high - point.low for point in sized.curves[0].points]
    assert all(width > 0 for width in narrow)


def test_without_answers_there_are_means_only(sized):
    curves = learning_curves(sized.records)
    (part,) = size_parts(Source(sized.records, curves=curves), EN)
    assert part.figure.title.endswith("means only")
    assert not any("(" in cell for cell in rows_of(part.table)[0])


def test_one_size_says_nothing(tuned):
    assert size_parts(source_of(tuned), EN) == []
    assert 'id="sizes"' not in report_html(tuned)


# ---- costs


def test_costs_stand_by_step_and_in_money(sized):
    times, memory = cost_tables(source_of(sized), EN)
    titles = [heading.text for heading in times.headings]
    row = dict(zip(titles, rows_of(times)[0], strict=True))
    # Records by hand: 1 s, 100 to 102 s by seed, 10 s for 60 items; 3.60 an hour is 0.001 a second.
    assert row["Training"] == "1 min 41 s"
    assert row["Training, EUR"] == "0.10"
    assert row["1,000 answers, EUR"] == "0.17"
    assert times.rows[0].cells[titles.index("Training, EUR")].sort == pytest.approx(0.101)
    assert (
        times.notes[-1] == "Money: the time of the same step at 3.60 EUR per hour of the machine."
    )
    assert rows_of(memory)[0][1:] == ["500 MB", "1.5 GB", "900 MB"]


def test_without_a_price_there_is_no_money(make):
    times, _ = cost_tables(Source([make()]), EN)
    assert [heading.text for heading in times.headings] == [
        "Entry", "Loading", "Training", "Evaluation", "Time per 1,000 answers",
    ]  # fmt: skip
    assert len(times.notes) == 1


def test_tuning_is_a_cost_too(tuned):
    paid = Source(tuned.records, price=Price(3600.0, "IRR"))
    times, _ = cost_tables(paid, FA)
    titles = [heading.text for heading in times.headings]
    lora = dict(zip(titles, rows_of(times)[0], strict=True))
    assert lora["تنظیم، \u2068IRR\u2069"] == "۶۰٫۰۰"


def test_older_folders_and_single_entries_have_costs(make):
    assert ReportSpec.model_validate({"languages": ["en"], "text": "full"}).price_per_hour is None
    assert len(cost_tables(Source([make()]), EN)) == 2
    assert cost_tables(Source([]), EN) == []


# ---- the drawing


@given(st.lists(st.floats(0, 300), max_size=15), st.floats(1, 16))
@example([300.0, 300.0, 299.0], 16.0)
def test_names_of_lines_never_meet(places, gap):
    moved = spread_out(places, gap, 300)
    ordered = sorted(moved)
    assert all(b - a >= gap - 1e-6 for a, b in pairwise(ordered))
    assert all(place <= 300 + 1e-6 for place in moved)
    by_place = sorted(range(len(places)), key=lambda n: places[n])
    assert [moved[n] for n in by_place] == ordered  # in the same order
    if all(b - a >= gap for a, b in pairwise(sorted(places))):
        assert moved == pytest.approx(places)


def test_a_name_that_is_markup_stays_text_in_a_drawing():
    line = Line("<script>x</script>", (LinePoint(1, 0.2), LinePoint(2, 0.3, 0.1, 0.4)))
    svg = line_chart([line], [1, 2], "x", "y", "en", "m")
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "style=" not in svg


# ---- the page


@pytest.mark.parametrize("language", ["en", "fa"])
def test_reasons_of_failures_stay_text_in_the_page(tuned, language):
    page = report_html(tuned, language=language)
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x onerror=alert(9)&gt;" in page
    assert "7 * 7" in page
    assert 'id="tuning"' in page


def test_the_persian_sections_are_persian(tuned, sized):
    texts = []
    part = tuning_part(source_of(tuned), FA)
    texts += [value for fact in part.facts for value in fact] + list(part.lines)
    for figure, reading in part.expected:
        texts += [figure.title, figure.about, reading]
    tables = [part.overview, *(table for one in part.entries for table in one.tables)]
    texts += [line for one in part.entries for line in (*one.lines, one.about)]
    for one in size_parts(source_of(sized), FA):
        texts += [one.figure.title, one.figure.about, *one.lines]
        tables.append(one.table)
    tables += cost_tables(source_of(sized), FA)
    for table in tables:
        texts += [table.title, *table.notes, *(h.text for h in table.headings)]
        texts += [
            cell.text
            for row in table.rows
            for cell in row.cells
            if cell.kind not in ("name", "code", "foreign")
        ]
    left = [re.sub(r"\u2068[^\u2066-\u2069]*\u2069", "", text) for text in texts]
    assert [text for text in left if re.search(r"[A-Za-z0-9]", re.sub(r"\bp\b", "", text))] == []
    assert len(left) > 100
