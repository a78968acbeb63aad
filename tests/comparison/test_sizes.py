from __future__ import annotations

import pytest

from tarazu.comparison.entries import current, entries, every_size
from tarazu.comparison.sizes import break_even, learning_curves
from tarazu.record.key import content_key
from tarazu.record.record import Input, RunRecord
from tarazu.report.markdown import markdown
from tarazu.report.notes import footnotes

SIZES = {100: "a" * 64, 300: "b" * 64, 1000: "c" * 64}


@pytest.fixture
def sized(make):
    def make_sized(
        entry: str, rows: int, accuracy: float, *, axis: bool = True, seed: int = 0, **more: object
    ) -> RunRecord:
        family = "prompting" if entry in ("few-shot", "zero-shot") else "adapter"
        record = make(entry, seed=seed, accuracy=accuracy, family=family, **more)
        inputs = {**record.spec.inputs, "train": SIZES.get(rows, f"{rows:064}")}
        changes = {"inputs": inputs, "train_sizes": SIZES if axis else {}}
        spec = record.spec.model_copy(update=changes)
        told = {**record.inputs, "train": Input(rows=rows, sha256=inputs["train"])}
        return record.model_copy(update={"spec": spec, "key": content_key(spec), "inputs": told})

    return make_sized


@pytest.fixture
def study(sized):
    def of(entry: str, *scores: float, **more: object) -> list[RunRecord]:
        return [
            sized(entry, rows, score + seed / 50, seed=seed, **more)
            for rows, score in zip(SIZES, scores, strict=True)
            for seed in range(2)
        ]

    return [
        *of("lora", 0.40, 0.60, 0.70),
        *of("full", 0.30, 0.35, 0.45),
        *of("p-tuning", 0.52, 0.30, 0.60),
        *of("few-shot", 0.50, 0.50, 0.50),
        sized("zero-shot", 1000, 0.45, axis=False),
    ]  # fmt: skip


def test_the_largest_size_stands_for_the_entry(study):
    rows = entries(study)
    assert [row.id for row in rows] == ["lora", "full", "p-tuning", "few-shot", "zero-shot"]
    assert rows[0].metrics["accuracy"].mean == pytest.approx(0.71)
    assert rows[0].seeds == (0, 1)
    assert {record.inputs["train"].rows for record in current(study)} == {1000}
    assert len(every_size(study)) == len(study)
    assert not any("older settings" in line.en for line in footnotes(study))
    told = [line.en for line in footnotes(study)]
    assert "Trained on 1,000 rows, the largest of the sizes 100, 300, 1,000." in told


def test_a_curve_per_entry_with_its_spread(study):
    lora, *_, few, zero = learning_curves(study)
    assert [(p.rows, p.seeds) for p in lora.points] == [(rows, (0, 1)) for rows in SIZES]
    assert [p.score.mean for p in lora.points] == pytest.approx([0.41, 0.61, 0.71])
    assert [p.score.sd for p in lora.points] == pytest.approx([0.02 / 2**0.5] * 3)
    assert (few.learns, zero.learns) == (True, False)
    assert [zero.at(rows).mean for rows in SIZES] == [0.45] * 3
    assert lora.at(200) is None


def test_one_size_is_no_curve(make):
    assert learning_curves([make("lora"), make("full")]) == []


def test_from_how_many_rows_training_pays(study):
    found = {(b.trained, b.prompted): (b.rows, b.stays) for b in break_even(learning_curves(study))}
    assert found == {
        ("lora", "few-shot"): (300, True),
        ("lora", "zero-shot"): (300, True),
        ("full", "few-shot"): (None, False),
        ("full", "zero-shot"): (1000, True),
        ("p-tuning", "few-shot"): (100, False),
        ("p-tuning", "zero-shot"): (100, False),
    }


def test_equal_means_are_no_lead_and_other_models_are_not_compared(sized):
    records = [sized("lora", rows, 0.5) for rows in SIZES]
    records += [sized("zero-shot", 1000, 0.5, axis=False)]
    records += [sized("few-shot", rows, 0.1, model="another") for rows in SIZES]
    (only,) = break_even(learning_curves(records))
    assert (only.prompted, only.rows) == ("zero-shot", None)


def test_prompting_shows_no_more_rows_than_training_had(sized):
    records = [sized("lora", rows, s) for rows, s in zip(SIZES, (0.4, 0.5, 0.7), strict=True)]
    records += [sized("few-shot", rows, s) for rows, s in zip(SIZES, (0.3, 0.6, 0.6), strict=True)]
    (only,) = break_even(learning_curves(records))
    assert (only.rows, only.stays) == (100, False)


def test_a_size_at_which_all_runs_failed_has_no_point(study, sized):
    rest = [r for r in study if (r.entry, r.inputs["train"].rows) != ("lora", 300)]
    lost = sized("lora", 300, 0.0).model_copy(
        update={"status": "failed", "error": "out of memory", "variants": []}
    )
    lora = learning_curves([*rest, lost])[0]
    assert [point.rows for point in lora.points] == [100, 1000]
    assert break_even(learning_curves([*rest, lost]))[0].rows == 1000


def test_the_largest_size_stands_for_the_entry_even_if_it_failed(sized):
    lost = sized("lora", 1000, 0.0).model_copy(
        update={"status": "failed", "error": "out of memory", "variants": []}
    )
    (row,) = entries([sized("lora", 100, 0.4), sized("lora", 300, 0.5), lost])
    assert row.metrics == {}
    assert row.failures[0].reason == "out of memory"


def test_sizes_of_an_earlier_version_are_older_settings(sized):
    before = sized("lora", 500, 0.5, axis=False, finished="2025-01-01")
    changed = [sized("lora", rows, 0.5, rank=4, finished="2025-01-02") for rows in SIZES]
    now = [sized("lora", rows, 0.5, finished="2026-01-01") for rows in SIZES]
    assert every_size([before, *changed, *now]) == now
    assert any("Left out: 4 runs" in line.en for line in footnotes([before, *changed, *now]))
    # And the other way round: from several sizes back to one.
    one = sized("lora", 100, 0.5, axis=False, rank=16, finished="2027-01-01")
    assert every_size([*now, one]) == [one]


def test_a_run_from_before_the_axis_is_one_of_its_sizes(sized):
    before = sized("lora", 1000, 0.5, axis=False, finished="2025-01-01")
    now = [sized("lora", rows, 0.5, finished="2026-01-01") for rows in (100, 300)]
    assert every_size([before, *now]) == [before, *now]
    assert current([before, *now]) == [before]


def test_the_report_shows_every_size_and_the_break_even(study):
    text = markdown(study)
    assert "## Training sizes" in text
    assert "| 41.0 ± 1.4 | 61.0 ± 1.4 | 71.0 ± 1.4 |" in text
    assert "- lora is ahead of few-shot from 300 training rows." in text
    assert "- full is ahead of few-shot at no measured size." in text
    assert "- p-tuning is ahead of few-shot from 100 training rows, but not at every" in text
