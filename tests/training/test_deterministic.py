"""`compute.deterministic` reaches PyTorch in the process of a run, on an accelerator only."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tarazu import work
from tarazu.errors import BadInput
from tarazu.models.precision import Precision
from tarazu.processes import in_own_process
from tarazu.testing.records import make_record
from tarazu.training.deterministic import WORKSPACE, deterministic_errors


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(WORKSPACE, raising=False)
    asked = torch.are_deterministic_algorithms_enabled()
    yield
    torch.use_deterministic_algorithms(asked)
    os.environ.pop(WORKSPACE, None)


def request(*, deterministic: bool) -> Any:
    told = {"device": "cuda", "deterministic": deterministic}
    return SimpleNamespace(spec=make_record("lora").spec.model_copy(update=told))


def prepared(request: Any, *, tell: Any) -> tuple[bool, str | None, bool]:
    """Do what the process of a run does first, in one."""
    work._prepare(request)
    asked = torch.are_deterministic_algorithms_enabled()
    return asked, os.environ.get(WORKSPACE), torch.cuda.is_initialized()


@pytest.mark.parametrize(
    ("deterministic", "expected"), [(True, (True, ":4096:8", False)), (False, (False, None, False))]
)
def test_the_child_process_computes_as_asked_before_anything_is_on_the_card(
    deterministic: bool, expected: tuple[bool, str | None, bool]
) -> None:
    asked = request(deterministic=deterministic)
    assert in_own_process(prepared, asked, tell=lambda progress: None) == expected
    assert not torch.are_deterministic_algorithms_enabled()
    assert WORKSPACE not in os.environ


@pytest.mark.parametrize(("before", "after"), [(":16:8", ":16:8"), (":4096:2", ":4096:8")])
def test_workspaces_of_the_users_own_stay_where_they_are_deterministic(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    monkeypatch.setenv(WORKSPACE, before)
    work._prepare(request(deterministic=True))
    assert os.environ[WORKSPACE] == after


def test_an_operation_without_a_deterministic_kernel_names_the_setting() -> None:
    """On the CPU `put_` without accumulation is such an operation."""

    def put() -> None:
        torch.zeros(3).put_(torch.tensor([0, 1]), torch.ones(2), accumulate=False)

    with deterministic_errors():
        put()
    torch.use_deterministic_algorithms(True)
    rule = r"compute\.deterministic.*kernel.*put_"
    with pytest.raises(BadInput, match=rule) as caught, deterministic_errors():
        put()
    assert "Set compute.deterministic to false" in str(caught.value)
    with pytest.raises(RuntimeError, match="something else"), deterministic_errors():
        raise RuntimeError("something else")


class Card:
    """A card that is not there; its generator's state is a number."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.state = torch.tensor([7])
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "get_rng_state", lambda device="cuda": self.state.clone())
        patch.setattr(torch.cuda, "set_rng_state", lambda state, device="cuda": self.put(state))
        patch.setattr(torch.cuda, "manual_seed_all", lambda seed: self.put(torch.tensor([seed])))

    def put(self, state: torch.Tensor) -> None:
        self.state = state.clone()


def test_sampled_answers_between_epochs_leave_the_cards_generator_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = Card(monkeypatch)
    seen: list[int] = []

    def answer(*arguments: Any) -> list[Any]:
        torch.manual_seed(99)  # as `generate` does before each batch that is sampled
        seen.append(int(card.state))
        return [SimpleNamespace(predicted=None)]

    run: Any = object.__new__(work._Neural)
    splits = SimpleNamespace(validation=[object()])
    run.request = SimpleNamespace(splits=splits, value=lambda name: None)
    run.precision = Precision("cuda", "float32", 1)
    run.task = SimpleNamespace(metric_names=("accuracy",), score=lambda *pair: {"accuracy": 1.0})
    run._answer, run._phase = answer, lambda name, learner: nullcontext()
    drawn = torch.get_rng_state()
    assert run._validation_metrics(None, None) == {"accuracy": 1.0}
    assert seen == [99]
    assert card.state == torch.tensor([7])
    assert torch.equal(torch.get_rng_state(), drawn)
