from __future__ import annotations

import io

import pytest
from rich.console import Console

from tarazu.record.progress import STOPPING, Listener, PlannedRun, Progress
from tarazu.report.progress_view import ProgressView
from tarazu.report.remaining import Remaining


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def plan(*finished, work=1.0):
    return [
        PlannedRun(f"run-{i} · seed 0", f"run-{i}", done, work) for i, done in enumerate(finished)
    ]


@pytest.fixture
def clock():
    return Clock()


def view(clock, terminal=False, width=100):
    file = io.StringIO()
    console = Console(file=file, force_terminal=terminal, width=width, no_color=True)
    return ProgressView(console, clock), file


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_it_is_a_listener(clock):
    listener: Listener = view(clock)[0]
    assert listener


def test_a_log_says_at_once_that_the_run_is_being_stopped(clock):
    shown, file = view(clock)
    with shown:
        shown.planned(plan(False))
        shown.started(0)
        shown.progress(0, STOPPING)
    said = "  run-0 · seed 0 · stopping where it can go on; a second Ctrl-C stops at once"
    assert file.getvalue().splitlines()[-1] == said


def test_a_log_has_at_most_one_line_per_15_seconds(clock):
    shown, file = view(clock)
    with shown:
        shown.planned(plan(False))
        shown.started(0)
        for second in range(61):
            clock.now = 100.0 + second
            shown.progress(0, Progress("train", second, 120, "epoch 1/2 · loss 0.91"))
    lines = [line for line in file.getvalue().splitlines() if "train" in line]
    assert len(lines) == 4
    assert "train 50%" in lines[-1]
    assert "loss 0.91" in lines[-1]
    assert "phase about 1 min 00 s left" in lines[-1]


def test_each_run_leaves_one_line(clock, make, failed):
    shown, file = view(clock)
    with shown:
        shown.planned(plan(True, False, False))
        shown.finished(0, make())
        shown.started(1)
        clock.now += 42
        shown.finished(1, make(accuracy=0.713))
        shown.started(2)
        shown.finished(2, failed(reason="killed:\n out of [memory] \x1b[2J"))
    text = file.getvalue()
    assert "3 runs planned, 1 already done" in text
    assert "= run-0 · seed 0 · accuracy 75.0 · already done" in text
    assert "✓ run-1 · seed 0 · accuracy 71.3 · 42 s" in text
    assert "✗ run-2 · seed 0 · killed: out of [memory] [2J" in text


def test_trials_are_counted_and_those_that_are_not_needed_are_over(clock, make):
    shown, file = view(clock)
    trials = [PlannedRun(f"run · trial {i}", "run", False, 1.0, "trial") for i in range(3)]
    with shown:
        shown.planned([*trials, *plan(False)])
        for index in range(2):
            shown.started(index)
            clock.now += 10
            shown.finished(index, make(stage="trial", split="validation", accuracy=0.5))
        shown.dropped(2)
        assert shown._remaining.of_study(clock.now) == pytest.approx(10)
        shown.started(3)
        shown.finished(3, make())
        assert shown._over == 4
        shown.planned(plan(True))
        shown.finished(0, make())
        assert shown._over == 1
    text = file.getvalue()
    assert "4 runs planned, 3 of them trials" in text
    assert "✓ run · trial 0 · validation accuracy 50.0 · 10 s" in text
    assert "✓ run-0 · seed 0 · accuracy 75.0" in text


def test_a_terminal_shows_bars_and_keeps_the_finished_lines(clock, make):
    shown, file = view(clock, terminal=True)
    with shown:
        shown.planned(plan(False, False))
        shown.started(0)
        shown.progress(0, Progress("train", 0, 120))
        clock.now += 30
        shown.progress(0, Progress("train", 30, 120, "epoch 1/2 · loss 0.91"))
        shown._console.print(shown._render())
        shown.finished(0, make())
    text = file.getvalue()
    for part in ("0/2 · 30 s", "30/120", "about 1 min 30 s left", "loss 0.91", "✓ run-0"):
        assert part in text, part


@pytest.mark.parametrize("width", [40, 80])
def test_a_terminal_of_any_width(clock, width):
    shown, file = view(clock, terminal=True, width=width)
    shown.planned(plan(False))
    shown.started(0)
    shown.progress(0, Progress("load"))
    shown._console.print(shown._render())
    assert file.getvalue()


def test_a_terminal_is_restored_after_an_interruption(clock):
    shown, file = view(clock, terminal=True)
    shown.planned = interrupt
    with pytest.raises(KeyboardInterrupt), shown:
        shown.planned(plan(False))
    hidden, visible = "\x1b[?25l", "\x1b[?25h"
    assert file.getvalue().rindex(visible) > file.getvalue().rindex(hidden)


def test_a_note_is_one_inert_line(clock):
    shown, file = view(clock)
    shown.note("a\nb [bold]c[/bold] \x1b[0m")
    assert file.getvalue() == "· a b [bold]c[/bold] [0m\n"


def test_remaining_time_follows_the_work_units():
    runs = [PlannedRun("a", "a", False, 1.0), PlannedRun("b", "b", False, 3.0)]
    remaining = Remaining(runs)
    assert remaining.of_study(0.0) is None
    remaining.start(0, 0.0)
    remaining.finish(0, 10.0)
    assert remaining.of_study(10.0) == pytest.approx(30.0)
    remaining.start(1, 10.0)
    assert remaining.of_study(15.0) == pytest.approx(25.0)
    remaining.finish(1, 40.0)
    assert remaining.of_study(40.0) == 0.0


def test_runs_that_are_done_already_take_no_time():
    remaining = Remaining([PlannedRun("a", "a", True, 50.0), PlannedRun("b", "b", False, 1.0)])
    remaining.finish(0, 0.0)
    remaining.start(1, 0.0)
    remaining.advance(Progress("train", 0, 4), 0.0)
    remaining.advance(Progress("train", 1, 4), 5.0)
    assert remaining.of_study(5.0) == pytest.approx(15.0)


def test_the_first_run_gives_a_rough_rate_once_it_trains():
    remaining = Remaining(plan(False, False))
    remaining.start(0, 0.0)
    remaining.advance(Progress("load", 9, 10), 1.0)
    assert remaining.of_study(1.0) is None
    remaining.advance(Progress("train", 0, 10), 2.0)
    remaining.advance(Progress("train", 5, 10), 12.0)
    assert remaining.of_phase(12.0) == pytest.approx(10.0)
    assert remaining.of_study(12.0) == pytest.approx(10.0 + 22.0)


def test_a_run_that_takes_longer_than_expected_is_not_done_at_once():
    remaining = Remaining(plan(False, False))
    remaining.start(0, 0.0)
    remaining.finish(0, 10.0)
    remaining.start(1, 10.0)
    remaining.advance(Progress("train", 0, 10), 10.0)
    remaining.advance(Progress("train", 5, 10), 40.0)
    assert remaining.of_study(40.0) == pytest.approx(30.0)


def test_runs_without_work_do_not_divide_by_zero():
    remaining = Remaining(plan(False, work=0.0))
    remaining.start(0, 0.0)
    remaining.advance(Progress("train", 5, 10), 1.0)
    assert remaining.of_study(2.0) is None


def test_a_phase_that_is_continued_counts_what_was_made_since():
    remaining = Remaining(plan(False))
    remaining.start(0, 0.0)
    remaining.advance(Progress("train", 80, 100), 0.0)
    assert remaining.of_phase(0.0) is None
    remaining.advance(Progress("train", 90, 100), 10.0)
    assert remaining.of_phase(10.0) == pytest.approx(10.0)


def test_a_phase_is_told_before_it_is_known_where_it_goes_on():
    remaining = Remaining(plan(False))
    remaining.start(0, 0.0)
    remaining.advance(Progress("train"), 0.0)  # the checkpoint is read now
    remaining.advance(Progress("train", 900, 1000), 5.0)
    assert remaining.of_phase(5.0) is None
    remaining.advance(Progress("train", 910, 1000), 15.0)
    assert remaining.of_phase(15.0) == pytest.approx(90.0)


def test_what_was_trained_before_the_run_was_taken_up_is_no_work_of_now():
    runs = [PlannedRun(name, name, False, 10.0) for name in "ab"]
    remaining = Remaining(runs)
    remaining.start(0, 0.0)
    remaining.advance(Progress("train", 90, 100), 0.0)
    remaining.advance(Progress("train", 100, 100), 10.0)
    # Between epochs a phase begins again; this is no second taking up.
    remaining.advance(Progress("validate", 0, 5), 10.0)
    remaining.advance(Progress("train", 100, 100), 10.0)
    remaining.finish(0, 10.0)
    assert remaining.of_study(10.0) == pytest.approx(100.0)


@pytest.mark.parametrize(("done", "left"), [(50, 20.0), (0, 10.0)])
def test_a_rung_is_planned_to_go_on_where_the_one_below_has_stopped(done, left):
    """Where that state was lost, it is twice the work."""
    runs = [PlannedRun(name, name, False, 10.0, "trial", "", 0.5) for name in "ab"]
    remaining = Remaining(runs)
    remaining.start(0, 0.0)
    remaining.advance(Progress("train", done, 100), 0.0)
    remaining.finish(0, 20.0)
    assert remaining.of_study(20.0) == pytest.approx(left)


def test_a_run_that_another_entry_has_made_took_no_time(clock, make):
    shown, file = view(clock)
    with shown:
        shown.planned(plan(False, False))
        shown.started(0)
        clock.now += 42
        shown.finished(0, make())
        clock.now += 1
        shown.finished(1, make())
    last = file.getvalue().splitlines()[-1]
    assert last == "= run-1 · seed 0 · accuracy 75.0 · already done"


@pytest.mark.parametrize(("message", "sign"), [("Warning: no card", "33m"), ("a fact", "2m")])
def test_a_warning_stands_out(clock, message, sign):
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, color_system="standard", width=100)
    ProgressView(console, clock).note(message)
    assert f"\x1b[{sign}· {message}" in file.getvalue()
