"""Memory runs out: less at a time, the same updates, an event; if nothing fits, a clear word."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tarazu import runner
from tarazu.processes import OutOfMemory, RunFailed, _out_of_memory, in_own_process
from tarazu.record.progress import Progress
from tarazu.record.store import Store
from tarazu.study import run_study
from tarazu.testing.tiny import TinyKind, nli_items, write_nli
from tarazu.training import loop
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
    """Train where two rows at a time fit into memory, and answer where one does."""
    whole = loop._update

    def update(*arguments: Any) -> float:
        if (arguments[-1].micro_batch_size or arguments[-1].batch_size) > 2:
            die()
        return whole(*arguments)

    def heard(progress: Progress) -> None:
        tell(progress)
        if (
            progress.phase == "evaluate"
            and request.info is not None
            and request.eval_batch_size > 1
        ):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0")

    loop._update = update
    return perform(request, tell=heard)


def hopeless(request: Request, *, tell: Any) -> Work:
    """Find no room for a single row."""
    tell(Progress("train"))
    if request.info is not None:
        die()
    return perform(request, tell=tell)


@pytest.fixture
def study(tiny: Callable[[TinyKind], Path], tmp_path: Path) -> Path:
    write_nli(tmp_path / "train.csv", nli_items(22, seed=1))
    write_nli(tmp_path / "test.csv", nli_items(6, seed=2))
    (tmp_path / "study.yaml").write_text(STUDY.format(folder=tiny("bert")))
    return tmp_path


def test_less_at_a_time_until_it_fits(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = run_study(study / "study.yaml", out=study / "plain")
    monkeypatch.setattr(runner, "perform", starving)
    found = run_study(study / "study.yaml", out=study / "out", checkpoint_every=0)
    assert found.failed == 0
    before, after = plain.records[0], found.records[0]
    assert (after.key, after.spec, after.hyperparameters) == (
        before.key,
        before.spec,
        before.hyperparameters,
    )
    said = [event.message for event in after.events if event.kind == "memory"]
    assert ["micro-batches of 4 rows, not 8" in said[0], "of 2 rows, not 4" in said[1]] == [
        True
    ] * 2
    assert "phase 'evaluate'" in said[2]
    assert "evaluation batches of 2 rows, not 4" in said[2]
    assert "evaluation batches of 1 rows, not 2" in said[3]
    assert len(said) == 4
    assert after.measured["lost"].seconds > 0
    assert after.measured["lost"].rss > 0
    assert "lost" not in before.measured
    # Every update had the same batch (trap T6); dropout draws otherwise, so roughly the same.
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
    assert error.startswith("memory ran out in phase 'train' with 1 row at a time (its process was")
    assert "GiB were free afterwards" in error
    assert "micro-batches of 1 rows, not 2" in failed.events[-1].message
    assert failed.measured["lost"].seconds > 0


def ask_for_too_much(*, tell: Any) -> None:
    """Allocate more than any machine has."""
    torch.empty(2**50)


def limited(*, tell: Any) -> None:
    """Allocate what is more than this process may have."""
    import resource

    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
    bytearray(2**30)


@pytest.mark.parametrize("work", [ask_for_too_much, limited])
def test_an_allocation_that_fails_is_told_from_other_errors(work: Callable[..., None]) -> None:
    with pytest.raises(OutOfMemory) as error:
        in_own_process(work, tell=print)
    assert error.value.peak > 2**20
    assert error.value.free > 2**20
    assert "Traceback" in error.value.details


def test_other_errors_are_not_of_memory() -> None:
    assert _out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert not _out_of_memory(RuntimeError("shapes do not fit"))
    assert not _out_of_memory(RunFailed("x"))
