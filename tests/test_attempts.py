"""Memory runs out: less at a time, the same updates, an event; if nothing fits, a clear word."""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tarazu import attempts, runner, work
from tarazu.attempts import CUTS, Attempts
from tarazu.errors import BadInput
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.recompute import Recomputed
from tarazu.processes import OutOfMemory, RunFailed, _out_of_memory, in_own_process
from tarazu.readings._reading import Asking, Reading
from tarazu.record.attempted import Notes
from tarazu.record.progress import Progress, Silent
from tarazu.record.record import RunRecord
from tarazu.record.spec import Setting
from tarazu.record.store import Store
from tarazu.report.recorded import known_in_persian
from tarazu.splits import Splits
from tarazu.study import StudyResult, run_study
from tarazu.testing.records import make_record
from tarazu.testing.tiny import TinyKind, nli_items, write_nli
from tarazu.training import loop
from tarazu.training.checkpoint import Checkpoints
from tarazu.work import Request, Work, perform

STUDY = """
version: 1
study: hungry
task: {{family: nli, name: tiny-nli}}
data: {{train: train.csv, test: test.csv, validation: {{rows: 6}}}}
models: {{tiny: {{source: {folder}}}}}
training: {{epochs: 2, batch_size: 8, max_length: 100}}
methods: {{lora: {{model: tiny, r: 4}}, majority: {{}}}}
seeds: [0]
compute: {{device: cpu, dtype: float32, threads: 1, eval_batch_size: 4}}
"""


def die() -> None:
    """Be killed, as by the system when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def starving(request: Request, *, tell: Any) -> Work:
    """Train where two rows at a time fit into memory, validate where two do, answer where one does.

    Training ends by a signal, as from the system; the others by an error, in their first batch.
    """
    whole, find, answer_all = loop._update, work.find_reading, work._Neural._answer_all
    room = 2

    def update(*arguments: Any) -> float:
        if (arguments[-1].micro_batch_size or arguments[-1].batch_size) > 2:
            die()
        return whole(*arguments)

    def hungry(reading: Reading) -> Reading:
        def answer(learner: Any, items: Any, asking: Asking, tick: Any) -> Any:
            if asking.batch_size > room:
                raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0")
            return reading.answer(learner, items, asking, tick)

        return replace(reading, answer=answer)

    def evaluating(*arguments: Any) -> Any:
        nonlocal room
        room = 1
        return answer_all(*arguments)

    loop._update = update
    work.find_reading = lambda name: hungry(find(name))
    work._Neural._answer_all = evaluating  # type: ignore[method-assign]
    return perform(request, tell=tell)


def narrow(request: Request, *, tell: Any) -> Work:
    """Train where one row at a time fits only if its activations are not kept."""
    whole = loop._update

    def update(*arguments: Any) -> float:
        plan, learner = arguments[-1], arguments[0]._learner
        first = learner.blocks()[0]
        if plan.micro_batch_size != 1 or not isinstance(first.forward, Recomputed):
            die()
        return whole(*arguments)

    loop._update = update
    return perform(request, tell=tell)


def under_a_limit(request: Request, *, tell: Any) -> Work:
    """Train where the kernel gives 1200 MiB more, and a row asks for 200."""
    whole = loop._update

    def update(*arguments: Any) -> float:
        plan = arguments[-1]
        taken = torch.empty(
            (plan.micro_batch_size or plan.batch_size) * 200 * 2**20, dtype=torch.uint8
        )
        value = whole(*arguments)
        del taken
        return value

    loop._update = update
    limit(1200)
    return perform(request, tell=tell)


def limit(mebibytes: int) -> None:
    """Let this process have so much more address space than it has."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    allowed = used + mebibytes * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (allowed, allowed))


def hopeless(request: Request, *, tell: Any, phase: str = "train") -> Work:
    """Find no room for a single row."""
    tell(Progress(phase))
    if request.info is not None:
        die()
    return perform(request, tell=tell)


@pytest.fixture
def study(tiny: Callable[[TinyKind], Path], tmp_path: Path) -> Path:
    write_nli(tmp_path / "train.csv", nli_items(22, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY.format(folder=tiny("bert")))
    return tmp_path


def trained(study: StudyResult) -> RunRecord:
    """Return the record of the entry with a model; the other one runs first."""
    return next(record for record in study.records if record.entry == "lora")


class Totals(Silent):
    """Notes of how many updates a training told that it has."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def progress(self, index: int, progress: Progress) -> None:
        if progress.phase == "train" and progress.done:
            self.seen.add(progress.total)


def test_less_at_a_time_until_it_fits(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run_study(study / "study.yaml", out=study / "plain")
    monkeypatch.setattr(runner, "perform", starving)
    totals = Totals()
    found = run_study(study / "study.yaml", out=study / "out", listener=totals, checkpoint_every=0)
    assert found.failed == 0
    before, after = trained(plain), trained(found)
    assert (after.key, after.spec, after.hyperparameters) == (
        before.key,
        before.spec,
        before.hyperparameters,
    )
    said = [event.message for event in after.events if event.kind == "memory"]
    wanted = (
        ("train", "micro-batches of 4 rows, not 8"),
        ("train", "micro-batches of 2 rows, not 4"),
        ("validate", "evaluation batches of 2 rows, not 4"),
        ("evaluate", "evaluation batches of 1 rows, not 2"),
    )
    for message, (phase, what) in zip(said, wanted, strict=True):
        assert f"memory ran out in phase '{phase}' (" in message
        assert f"made again with {what};" in message
    assert after.measured["lost"].seconds > 0
    assert after.measured["lost"].rss == 0  # what it takes is what it took when it fitted
    assert "lost" not in before.measured
    # Every update had the same batch (trap T6); dropout draws otherwise, so roughly the same.
    assert totals.seen == {4}  # two epochs of 16 rows by 8
    losses = [[e.train_loss for e in record.epochs] for record in (before, after)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.2)
    assert not (study / "out" / "checkpoints").exists()


def test_what_fits_nowhere_fails_with_what_it_needs_and_the_study_goes_on(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", hopeless)
    found = run_study(study / "study.yaml", out=study / "out")
    assert found.failed == 1
    failed, done = (
        next(r for r in Store(study / "out").records() if r.entry == e)
        for e in ("lora", "majority")
    )
    assert done.status == "done"
    assert failed.fault == "process"
    error = str(failed.error)
    assert error.startswith(
        "memory ran out in phase 'train' with 1 row at a time and recomputed activations: it needs "
        "0.00 GiB beside activations (weights 0.00, gradients 0.00, optimiser 0.00); it had "
    )
    assert "GiB were free afterwards (its process was killed by SIGKILL" in error
    assert known_in_persian(error)
    assert "micro-batches of 1 rows, not 2" in failed.events[-2].message
    assert "with activations computed again" in failed.events[-1].message
    assert all(known_in_persian(event.message) for event in failed.events)
    assert failed.measured["lost"].seconds > 0


class Kept:
    """Checkpoints that keep half of every attempt."""

    folder, made_by = Path("nowhere"), "me"

    def __init__(self, now: list[float]) -> None:
        self.now = now

    def seconds(self) -> float:
        return self.now[0] / 2


@pytest.mark.parametrize("error", [RunFailed("it broke"), BadInput(), OutOfMemory("no more")])
def test_what_came_to_nothing_is_counted_whole_and_what_went_on_is_not(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    now, ends = [0.0], iter([OutOfMemory("too much"), error])
    monkeypatch.setattr(attempts, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work(request: Any, tell: Any) -> Any:
        now[0] += 10.0
        raise next(ends)

    made = Attempts(SimpleNamespace(checkpoints=Kept(now), info=None), lambda progress: None)  # type: ignore[arg-type]
    room = iter(["less", None])
    monkeypatch.setattr(made, "_less", lambda phase: next(room))
    monkeypatch.setattr(made, "_needs", lambda phase, merged: "more")
    with pytest.raises((RunFailed, BadInput)):
        made.make(work)
    assert made.measured(failed=True)["lost"].seconds == pytest.approx(20.0)


def test_what_checkpoints_kept_of_an_attempt_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ends = [0.0], iter([OutOfMemory("too much"), None])
    monkeypatch.setattr(attempts, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def work(request: Any, tell: Any) -> Any:
        now[0] += 10.0
        if (error := next(ends)) is not None:
            raise error
        return "done"

    made = Attempts(SimpleNamespace(checkpoints=Kept(now), info=None), lambda progress: None)  # type: ignore[arg-type]
    monkeypatch.setattr(made, "_less", lambda phase: "less")
    assert made.make(work) == "done"
    assert made.measured(failed=False)["lost"].seconds == pytest.approx(5.0)


def test_what_cannot_even_be_loaded_is_not_tried_again(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", partial(hopeless, phase="load"))
    found = run_study(study / "study.yaml", out=study / "out")
    failed = trained(found)
    error = str(failed.error)
    needs = "0.00 GiB for its weights alone"
    assert error.startswith(f"memory ran out in phase 'load': it needs {needs}; it had ")
    assert known_in_persian(error)
    assert failed.events == []


def test_activations_are_computed_again_when_one_row_does_not_fit(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = run_study(study / "study.yaml", out=study / "plain")
    monkeypatch.setattr(runner, "perform", narrow)
    found = run_study(study / "study.yaml", out=study / "out")
    assert found.failed == 0
    before, after = trained(plain), trained(found)
    assert (after.key, after.spec) == (before.key, before.spec)
    said = [event.message for event in after.events if event.kind == "memory"]
    assert [message.split("made again with ")[1] for message in said] == [
        "micro-batches of 4 rows, not 8; every update has the same batch",
        "micro-batches of 2 rows, not 4; every update has the same batch",
        "micro-batches of 1 rows, not 2; every update has the same batch",
        "activations computed again in the backward pass, not kept; the gradients are the same, "
        "and an update takes longer",
    ]
    losses = [[e.train_loss for e in record.epochs] for record in (before, after)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=0.2)


def test_a_need_that_cannot_be_told_is_left_out(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", partial(hopeless, phase="load"))
    monkeypatch.setattr(attempts, "needed", no_room)
    failed = trained(run_study(study / "study.yaml", out=study / "out"))
    assert "in phase 'load': it needs more than it had; it had " in str(failed.error)
    assert known_in_persian(str(failed.error))


def test_a_merged_model_that_answers_is_told_from_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def estimate(needed: Any, *arguments: Any, tell: Any) -> str:
        asked.append(arguments)
        return "much"

    monkeypatch.setattr(attempts, "in_own_process", estimate)
    spec = make_record("qlora-text").spec
    request: Any = SimpleNamespace(info="a model", checkpoints=None, spec=spec)

    def answer(request: Request, tell: Any) -> Work:
        tell(Progress("load"))
        raise OutOfMemory("none left", peak=2**30)

    for merged in (True, False):
        with pytest.raises(RunFailed, match=r"it needs much; it had 1\.00 GiB"):
            attempts.Attempts(request, lambda progress: None).make(answer, merged=merged)
    assert asked == [(request, "load", True), (request, "load", False)]


def no_room(*arguments: Any, tell: Any) -> None:
    """Have no memory even to say what is needed."""
    die()


def test_a_limit_of_the_system_is_kept_to(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "perform", under_a_limit)
    found = run_study(study / "study.yaml", out=study / "out")
    assert found.failed == 0
    said = [event.message for event in trained(found).events if event.kind == "memory"]
    assert len(said) == 1
    assert said[0].startswith("memory ran out in phase 'train' (RuntimeError: ")
    assert said[0].endswith("with micro-batches of 4 rows, not 8; every update has the same batch")


def test_a_part_of_training_with_less_is_told_after_an_interruption(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", later)
    found = run_study(study / "study.yaml", out=study / "out", checkpoint_every=0)
    said = [event.message for event in trained(found).events if event.kind == "memory"]
    assert "trained with micro-batches of 8, then 4 rows" in said


def later(request: Request, *, tell: Any) -> Work:
    """Run out of memory in the third update, when two have left checkpoints."""
    whole, count = loop._update, iter(range(1, 100))

    def update(*arguments: Any) -> float:
        if next(count) == 3 and arguments[-1].micro_batch_size is None:
            die()
        return whole(*arguments)

    loop._update = update
    return perform(request, tell=tell)


class Killed(BaseException):
    """Stands for the death of the whole command."""


class Kills(Totals):
    """Kills the command in an update, once the batches are smaller than they were at first."""

    def progress(self, index: int, progress: Progress) -> None:
        super().progress(index, progress)
        if (progress.phase, progress.done) == ("train", 2):
            raise Killed


def four_fit(request: Request, *, tell: Any) -> Work:
    """Train where four rows at a time fit into memory."""
    whole = loop._update

    def update(*arguments: Any) -> float:
        if (arguments[-1].micro_batch_size or arguments[-1].batch_size) > 4:
            die()
        return whole(*arguments)

    loop._update = update
    return perform(request, tell=tell)


def test_what_fitted_is_remembered_by_the_next_command(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "perform", four_fit)
    with pytest.raises(Killed):
        run_study(study / "study.yaml", out=study / "out", listener=Kills())
    (noted,) = (study / "out" / "checkpoints").glob("*/attempts.json")
    assert str(study) not in noted.read_text()
    found = run_study(study / "study.yaml", out=study / "out")
    assert found.failed == 0
    (made,) = (record for record in found.records if record.entry == "lora")
    said = [event.message for event in made.events if event.kind == "memory"]
    assert len(said) == 1
    assert said[0].endswith("with micro-batches of 4 rows, not 8; every update has the same batch")
    assert "lost" not in made.measured  # nothing was tried that had failed before
    assert not (study / "out" / "checkpoints").exists()


@pytest.fixture
def asked(tmp_path: Path) -> Request:
    """A run that trains with 8 rows at a time and answers 4."""
    spec = make_record("lora").spec
    size = Setting(value=8, reason="", source="", chosen_by="default")
    card = find_card("minilm")
    assert card is not None
    return Request(
        spec=spec.model_copy(update={"settings": {"batch_size": size}, "eval_batch_size": 4}),
        folder=None,
        info=info_from_config(card.id, card.config, card=card),
        splits=Splits([], [], {}),
        scratch=tmp_path,
        show_text=False,
        checkpoints=Checkpoints(tmp_path / "out" / "checkpoints" / "run", "these versions"),
    )


@pytest.fixture
def command(asked: Request, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempts]:
    """Give a command that is killed at the last of some places, or comes to its end."""

    @contextmanager
    def without_an_end(notes: Notes) -> Iterator[None]:
        yield  # nobody is left to remove the trace

    def given(*places: tuple[str, int], request: Request = asked) -> Attempts:
        def work(request: Request, hear: Any) -> Work:
            for phase, done in places:
                hear(Progress(phase, done, 9))
            if places:
                raise Killed
            return Work([], {})

        attempts = Attempts(request, lambda progress: None)
        with monkeypatch.context() as patch:
            if places:
                patch.setattr(Notes, "traced", without_an_end)
                with pytest.raises(Killed):
                    attempts.make(work)
            else:
                attempts.make(work)
        return attempts

    return given


def test_a_command_that_dies_at_one_place_again_and_again_has_no_memory(
    asked: Request, command: Callable[..., Attempts]
) -> None:
    for rows in (8, 4, 2):
        for _ in range(CUTS):
            attempts = command(("load", 0), ("train", 0), ("train", 5))
            assert attempts.request.micro_batch_size == rows
    attempts = command(("train", 5), ("validate", 0))
    assert attempts.request.micro_batch_size == 1
    for _ in range(CUTS - 1):
        command(("train", 5), ("validate", 0))
    attempts = command()
    assert (attempts.request.micro_batch_size, attempts.request.eval_batch_size) == (1, 2)
    said = [event.message for event in attempts.events]
    assert len(said) == 4
    assert said[0].startswith(
        "memory ran out in phase 'train' (so it seems: the whole command was killed 4 times at the "
        "same place): made again with micro-batches of 4 rows, not 8;"
    )
    assert not asked.checkpoints or not (asked.checkpoints.folder / "at").exists()


@pytest.mark.parametrize(
    "places",
    [
        [("train", 5), ("train", 6), ("train", 5), ("train", 6), ("train", 5)],
        [("load", 0)] * (2 * CUTS),  # nothing could be made smaller
        [("train", 5)] * (CUTS - 1),
        [*[("train", 5)] * (CUTS - 1), ("evaluate", 0), *[("train", 5)] * (CUTS - 1)],
    ],
)
def test_deaths_at_several_places_say_nothing_of_memory(
    command: Callable[..., Attempts], places: list[tuple[str, int]]
) -> None:
    for place in places:
        command(place)
    attempts = command()
    assert attempts.events == []
    assert attempts.request.micro_batch_size == 8


def test_an_attempt_that_ends_in_any_way_leaves_no_trace(
    asked: Request, command: Callable[..., Attempts]
) -> None:
    def interrupted(request: Request, hear: Any) -> Work:
        hear(Progress("train", 5, 9))
        assert (asked.scratch / "out" / "checkpoints" / "run" / "at").exists()
        raise KeyboardInterrupt

    for _ in range(2 * CUTS):
        with pytest.raises(KeyboardInterrupt):
            Attempts(asked, lambda progress: None).make(interrupted)
        assert list(asked.scratch.glob("out/*")) == []
    assert command().events == []


def test_where_nothing_fits_the_next_command_tries_anew(
    asked: Request, command: Callable[..., Attempts]
) -> None:
    one = replace(asked, fewer_rows=None)
    for _ in range(4 * CUTS):
        command(("train", 5))
    attempts = command(("train", 5))
    assert (attempts.request.micro_batch_size, attempts.request.recompute) == (1, True)
    for _ in range(CUTS - 1):
        command(("train", 5))
    said = r"with 1 row at a time and recomputed activations: it needs .* \(so it seems: "
    with pytest.raises(RunFailed, match=said):
        Attempts(one, lambda progress: None).make(lambda request, hear: Work([], {}))
    attempts = command()
    assert attempts.events == []
    assert attempts.request.micro_batch_size == 8


def test_notes_of_other_versions_and_torn_ones_do_not_count(
    asked: Request, command: Callable[..., Attempts]
) -> None:
    for _ in range(CUTS):
        command(("train", 5))
    assert command(("train", 5)).request.micro_batch_size == 4
    assert asked.checkpoints is not None
    other = replace(asked, checkpoints=replace(asked.checkpoints, made_by="others"))
    assert command(request=other).request.micro_batch_size == 8
    (asked.checkpoints.folder / "attempts.json").write_text('{"rows": 2')
    assert command().request.micro_batch_size == 8


def test_a_disk_that_takes_no_notes_stops_no_run(
    asked: Request, command: Callable[..., Attempts]
) -> None:
    (asked.scratch / "out").write_text("a file where a folder is needed")
    assert command(("train", 5)).events == []
    assert command().events == []


def ask_for_too_much(*, tell: Any) -> None:
    """Allocate more than any machine has."""
    torch.empty(2**50)


def limited(*, tell: Any) -> None:
    """Allocate what is more than this process may have."""
    limit(256)
    bytearray(2**30)


def fill(*, tell: Any) -> None:
    """Take all that this process may have, in small pieces."""
    limit(64)
    pieces = []
    for size in (2**20, 2**12, 2**6):
        try:
            while True:
                pieces.append(bytearray(size))
        except MemoryError:
            if size == 2**6:
                raise


@pytest.mark.parametrize("take", [ask_for_too_much, limited, fill])
def test_an_allocation_that_fails_is_told_from_other_errors(take: Callable[..., None]) -> None:
    with pytest.raises(OutOfMemory) as error:
        in_own_process(take, tell=print)
    assert error.value.peak > 2**20
    assert error.value.free > 2**20
    assert "Traceback" in error.value.details


def test_other_errors_are_not_of_memory() -> None:
    assert _out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert _out_of_memory(RuntimeError("CUDA error: out of memory"))
    assert _out_of_memory(OSError(errno.ENOMEM, "Cannot allocate memory"))
    assert not _out_of_memory(OSError(errno.ENOSPC, "No space left on device"))
    assert not _out_of_memory(RuntimeError("shapes do not fit"))
    assert not _out_of_memory(RunFailed("x"))


class Began(Silent):
    """Notes of the memory events with which each run ended."""

    def __init__(self) -> None:
        self.events: list[list[str]] = []

    def finished(self, index: int, record: RunRecord) -> None:
        said = [event.message for event in record.events if event.kind == "memory"]
        self.events.append(said)


@pytest.mark.parametrize(
    "parts", [["seeds=[0,1,2]"], ["seeds=[0]", "methods.lora-fast.model=tiny"]]
)
def test_the_next_run_of_the_same_shape_begins_with_what_fitted(
    study: Path, monkeypatch: pytest.MonkeyPatch, parts: list[str]
) -> None:
    """Another seed, or another entry with another learning rate, needs as much memory."""
    if len(parts) == 2:
        more = ["method=lora", "r=4", "learning_rate=2e-4"]
        parts = [*parts, *(f"methods.lora-fast.{one}" for one in more)]
    monkeypatch.setattr(runner, "perform", four_fit)
    heard = Began()
    overrides = [*parts, "methods.majority=null"]
    found = run_study(study / "study.yaml", out=study / "out", overrides=overrides, listener=heard)
    assert found.failed == 0
    first, *others = (said for said in heard.events if said)
    assert len(others) == (2 if "seeds=[0,1,2]" in parts else 1)
    assert first == [one for one in first if "made again with micro-batches of 4 rows" in one]
    begun = "memory ran out for an earlier run of this shape: begun with micro-batches of 4 rows"
    for said in others:
        assert said == [begun]
    assert known_in_persian(begun)
    lost = [record.measured.get("lost") for record in found.records if record.model]
    assert [one is not None for one in lost] == [True, *[False] * len(others)]


def test_another_shape_begins_as_its_settings_say(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With half the rows asked for there is nothing to learn from a run that asked for more."""
    monkeypatch.setattr(runner, "perform", four_fit)
    found = run_study(
        study / "study.yaml",
        out=study / "out",
        overrides=["methods.small={method: lora, model: tiny, r: 4, batch_size: 4}"],
    )
    (small,) = (record for record in found.records if record.entry == "small")
    assert [event for event in small.events if event.kind == "memory"] == []
