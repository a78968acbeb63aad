"""The seed is set before anything is built, and decides everything that is drawn (trap T34)."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tarazu.catalog import find_method
from tarazu.record.spec import DataSpec, RunSpec, Setting
from tarazu.splits import Splits
from tarazu.tasks._task import Task
from tarazu.testing.tiny import TinyKind, nli_items, tiny_info
from tarazu.work import Request, perform


def request_for(folder: Path, method: str, nli: Task, scratch: Path, seed: int) -> Request:
    chosen, info = find_method(method), tiny_info(folder)
    values = chosen.knobs().model_dump()
    values |= {name: default.value for name, default in chosen.defaults(info, nli).items()}
    values |= {"epochs": 1, "batch_size": 4}
    settings = {
        name: Setting(value=value, reason="", source="", chosen_by="default")
        for name, value in values.items()
    }
    spec = RunSpec(
        study="s", entry=method, method=method, model="tiny", model_spec=None, model_files={},
        task=nli.name, task_options={}, language="en", seed=seed, settings=settings,
        data=DataSpec(train="a.csv", test="b.csv"), inputs={}, device="cpu", dtype="float32",
        threads=1, eval_batch_size=4,
    )  # fmt: skip
    splits = Splits(nli_items(8), nli_items(4, seed=1), {"test": nli_items(4, seed=2)})
    return Request(spec, folder, info, splits, scratch, show_text=False)


@pytest.mark.parametrize(
    ("kind", "method"), [("bert", "full"), ("bert", "lora"), ("gpt2", "lora"), ("gpt2", "p-tuning")]
)
def test_t34_two_runs_are_equal_whatever_was_drawn_before(
    tiny: Callable[[TinyKind], Path], nli: Task, tmp_path: Path, kind: TinyKind, method: str
) -> None:
    def trained(name: str, seed: int) -> tuple[bytes, list[tuple[float, ...]]]:
        scratch = tmp_path / name
        work = perform(request_for(tiny(kind), method, nli, scratch, seed), tell=lambda p: None)
        weights = (scratch / "artifacts" / "trained.safetensors").read_bytes()
        return weights, [prediction.scores for prediction in work.predictions]

    one = trained("one", 3)
    torch.rand(11)
    np.random.rand(7)
    random.random()
    assert trained("two", 3) == one
    assert trained("other", 4)[0] != one[0]
