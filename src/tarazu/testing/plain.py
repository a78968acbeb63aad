"""Checks that every faster way can be switched off, and that nothing but time hangs on it.

Most switches are read while a model is loaded, a method attached or an update made, so a case is
loaded, trained and asked anew for every choice. Dropout is taken out: its draws differ. Answers are
compared with equal weights: where a gradient is nothing but rounding, AdamW makes a whole step of
it, as in a bias that all scores share, which moves the scores and no loss.

`length_buckets` is no way to compute: it says which examples share an update. Two choices are
compared at the same batches, of like length or not. `kept_memory` and `token_tables` are read
where a run gets its process (`tarazu.work`), which a case does not have, and `sequences` on CUDA
only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from tarazu.data.item import Prediction
from tarazu.models.fast import Fast, switched, switches
from tarazu.testing.cases import Case, answer, load, take_dropout_out, train, trained_tensors

if TYPE_CHECKING:
    from torch import Tensor

    from tarazu.models.learner import Learner

LIMIT = 1e-4
"""How far losses and scores may lie apart, in fp32."""
SWITCHES = tuple(field.name for field in fields(Fast))
ELSEWHERE = ("length_buckets", "kept_memory", "sequences", "token_tables")
COMPARED = tuple(name for name in SWITCHES if name not in ELSEWHERE)
"""The switches that leave every number of a case as it is."""


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        losses: Of every update.
        weights: What was trained, by name.
        answers: To the test items, after training.
    """

    losses: Sequence[float]
    weights: Mapping[str, Tensor]
    answers: Sequence[Prediction]


def without(*names: str, buckets: bool = True) -> Fast:
    """Return the switches in force with some off and batches of like length, or as they come."""
    return replace(switches(), length_buckets=buckets, **dict.fromkeys(names, False))


def trained(
    case: Case, fast: Fast, *, epochs: int = 1, rate: float = 0.01
) -> tuple[Learner, list[float]]:
    """Load and train a case with some switches, without dropout; return it with its losses.

    Args:
        case: The case.
        fast: What is on.
        epochs: How often every item is seen.
        rate: Learning rate.
    """
    with switched(fast):
        learner = load(case)
        take_dropout_out(learner)
        if not case.method.trains:
            return learner, []
        return learner, train(case, learner, epochs=epochs, rate=rate)


def outcome(case: Case, fast: Fast, *, weights: Mapping[str, Tensor] | None = None) -> Outcome:
    """Load, train and ask a case with some switches.

    Args:
        case: The case.
        fast: What is on.
        weights: Answers come from these instead of those that training came to.
    """
    import torch

    learner, losses = trained(case, fast)
    if weights is not None:
        with torch.no_grad():
            for name, parameter in learner.named_trained():
                parameter.copy_(weights[name])
    found = trained_tensors(learner)
    with switched(fast):
        return Outcome(losses, found, answer(case, learner))


def assert_same(case: Case, expected: Outcome, fast: Fast, what: str) -> None:
    """A case comes out as expected with other switches: losses and scores up to rounding.

    Raises:
        AssertionError: It does not; `what` says what was switched off.
    """
    found = outcome(case, fast, weights=expected.weights)
    _assert_close(expected.losses, found.losses, f"{what}: the losses")
    for one, other in zip(expected.answers, found.answers, strict=True):
        assert one.raw == other.raw, f"{what}: {one.raw!r} becomes {other.raw!r}"
        _assert_close(one.scores, other.scores, f"{what}: the scores")


def _assert_close(expected: Sequence[float], found: Sequence[float], what: str) -> None:
    close = [abs(one - other) < LIMIT for one, other in zip(expected, found, strict=True)]
    assert all(close), f"{what} {list(expected)} become {list(found)}"


def check_without_optimisations_it_is_the_same(case: Case) -> None:
    """With all optimisations off, losses and answers stay as they are."""
    assert_same(case, outcome(case, without()), without(*COMPARED), "all off")


def check_each_optimisation_can_be_switched_off(case: Case) -> None:
    """With any one optimisation off, losses and answers stay as they are."""
    expected = outcome(case, without())
    for name in COMPARED:
        assert_same(case, expected, without(name), f"{name} off")
