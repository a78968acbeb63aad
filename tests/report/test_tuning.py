from __future__ import annotations

from typing import Any

from rich.console import Console

from tarazu.comparison.entries import entries
from tarazu.record.key import content_key
from tarazu.record.record import RunRecord, Searched, Trial, Tuned
from tarazu.record.spec import Setting
from tarazu.report.markdown import markdown
from tarazu.report.notes import footnotes
from tarazu.report.table import FinalTable
from tarazu.testing.records import make_record

SEARCHED = {
    "learning_rate": Searched(low=1e-4, high=1e-1, log=True, reason="the rate", source="s"),
    "targets": Searched(values=["query-value", "all-linear"], reason="where", source="s"),
}
NOTHING = {"en": "It | counts.", "fa": "می‌شمارد."}


def trial(number: int, rate: float, accuracy: float, **changes: Any) -> RunRecord:
    values = {"learning_rate": rate, "targets": "all-linear" if number % 2 else "query-value"}
    settings = {
        name: Setting(value=value, reason="r", source="s", chosen_by="tuning")
        for name, value in values.items()
    }
    base = make_record("lora", seed=1000, accuracy=accuracy, split="validation", stage="trial")
    spec = base.spec.model_copy(update={"settings": settings})
    told = {"spec": spec, "key": content_key(spec), "trial": Trial(number=number, rung=1)}
    return base.model_copy(update={**told, **changes})


def records() -> list[RunRecord]:
    trials = [trial(n, 10.0 ** -(1 + n / 2), 0.5 + n / 100) for n in range(5)]
    trials.append(trial(5, 0.05, 0.0, status="failed", error="the <b>loss</b> rose", variants=[]))
    tuned = Tuned(
        budget=6, trials=6, seed=1000, winner=4, score=0.54, searched=SEARCHED, fixed=["r"],
        keys=[record.key for record in trials],
    )  # fmt: skip
    nothing = Tuned(budget=6, trials=0, seed=1000, nothing=NOTHING)
    return [
        make_record("majority", model=None, tuned=nothing),
        make_record("lora", tuned=tuned),
        make_record("plain"),
        *trials,
    ]


def test_the_section_shows_budget_trials_knobs_and_the_expected_best() -> None:
    text = markdown(records())
    section = text.split("## Tuning")[1].split("\n## ")[0]
    assert "Every entry had 6 trials" in section
    assert "seed 1000" in section
    assert "Nothing to tune. It \\| counts." in section
    assert "| 4 (used) |" in section
    assert "failed: the \\<b\\>loss\\</b\\> rose" in section or "&lt;b&gt;" in section
    assert "Not searched, because the study fixes it: r." in section
    row = next(line for line in section.splitlines() if line.startswith("| learning_rate | 5"))
    assert "| 5 | −1.00 | 0.02 |" in row
    assert "0.0001 to 0.001" in row
    assert "few: a hint" in section
    assert "1: 43.3, " in section
    assert ", 6: 54.0." in section
    assert "trials of plain" not in section.lower()


def test_trials_without_a_final_run_are_no_results() -> None:
    trials = [record for record in records() if record.stage == "trial"]
    assert "No run is done." in markdown(trials)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(FinalTable(trials))
    assert shown.get().strip() == "No run is done."


def test_without_tuning_there_is_no_section() -> None:
    assert "## Tuning" not in markdown([make_record()])


def test_persian_reasons_are_shown_in_persian() -> None:
    assert "می‌شمارد" in markdown(records(), language="fa")


def test_the_foot_tells_tuned_untuned_and_nothing_to_tune_apart() -> None:
    lines = [line.en for line in footnotes(records())]
    assert "Tuned on validation: 6 trials of every entry." in lines
    assert "Nothing to tune: majority." in lines
    assert "Untuned: plain." in lines


def test_json_counts_the_trials() -> None:
    found = {entry.id: entry.to_json() for entry in entries(records())}
    assert {name: (e["trials"], e["tuned"]) for name, e in found.items()} == {
        "majority": (0, False), "lora": (6, True), "plain": (0, False),
    }  # fmt: skip
    assert found["majority"]["nothing_to_tune"] == NOTHING
