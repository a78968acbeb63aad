from __future__ import annotations

import pytest

from tarazu.comparison.exposure import Exposure, exposures
from tarazu.record.ledger import Scoring
from tarazu.report.notes import exposure_notes

SHA = "ab" * 32


@pytest.fixture
def shown(make):
    return [
        make("lora", seed=seed, test_access=["test"], finished="2026-01-10T00:00:00+00:00")
        for seed in range(2)
    ]


def line(number: int, when: str, study: str = "small", key: str = "", test: str = SHA) -> Scoring:
    return Scoring(
        id=str(number), test=test, split="test", study=study, entry="e", seed=0, when=when,
        key=key or f"key {number}",
    )  # fmt: skip


def own(shown) -> list[Scoring]:
    return [line(100 + n, "2026-01-10", key=record.key) for n, record in enumerate(shown)]


def test_a_first_look_is_no_exposure(shown):
    assert exposures(shown, own(shown)) == []
    assert exposures(shown, []) == []


def test_earlier_runs_are_counted_by_study(shown):
    lines = [
        *own(shown), line(1, "2026-01-01"), line(2, "2026-01-02", "other"),
        line(3, "2026-01-03", "third"), line(4, "2026-01-04", "third"),
    ]  # fmt: skip
    assert exposures(shown, lines) == [Exposure(SHA, "test", 4, 2, own=True)]


def test_later_runs_and_other_test_sets_are_not_counted(shown):
    lines = [
        *own(shown), line(1, "2026-01-11", "other"), line(2, "2026-01-01", "other", test="cd" * 32),
    ]  # fmt: skip
    assert exposures(shown, lines) == []


def test_the_same_run_elsewhere_shows_nothing_new(shown):
    again = line(1, "2026-01-01", "a copy", key=shown[0].key)
    assert exposures(shown, [*own(shown), again]) == []


def test_runs_from_before_there_was_a_ledger_have_a_time_all_the_same(shown):
    lines = [line(1, "2026-01-01", "other"), line(2, "2026-02-01", "other")]
    assert exposures(shown, lines) == [Exposure(SHA, "test", 1, 1, own=False)]


def test_older_settings_count_as_an_earlier_version(make):
    old = make("lora", rank=4, test_access=["test"], finished="2025-01-01")
    new = make("lora", rank=8, test_access=["test"], finished="2026-01-01")
    lines = [line(1, "2025-01-01", key=old.key), line(2, "2026-01-01", key=new.key)]
    assert exposures([old, new], lines) == [Exposure(SHA, "test", 1, 0, own=True)]


def test_the_notes_say_by_whom():
    notes = exposure_notes(
        [
            Exposure(SHA, "matched", 1, 1, own=False),
            Exposure(SHA, "b", 1200, 2, own=True),
            Exposure(SHA, "c", 3, 0, own=True),
        ]
    )
    assert notes[0].en == (
        "Test set 'matched' was scored once before, by 1 other study: choices made after looking "
        "at it make its figures optimistic."
    )
    assert "1,200 times before, by 2 other studies and other runs of this study:" in notes[1].en
    assert "3 times before, by other runs of this study:" in notes[2].en
