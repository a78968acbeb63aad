"""Training with optimisations switched off: the same losses, update by update."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tarazu import catalog
from tarazu.models.fast import Fast, cross_entropy
from tarazu.testing.cases import Case, cases
from tarazu.testing.plain import COMPARED, trained, without
from tarazu.testing.tiny import TinyKind

EPOCHS = 5  # of three updates each
RATE = 2e-3
PAIRS: list[tuple[str, TinyKind]] = [
    *[(m, k) for m in ("full", "last-k", "lora", "p-tuning") for k in ("bert", "llama")],  # type: ignore[misc]
    ("qlora-text", "llama"),
    ("qlora-head", "llama"),
]
# Between them, they read every switch that has to do with training.
QUICK = (("lora", "llama"), ("last-k", "bert"))
Losses = Callable[[str, TinyKind, Fast], list[float]]


def case_of(method: str, kind: TinyKind, folder: Path) -> Case:
    """Return the case of a method on a tiny model in a folder."""
    (found,) = cases([catalog.find_method(method)], {kind: folder}, [catalog.find_task("multinli")])
    return found


@pytest.fixture(scope="module")
def losses(tiny: Callable[[TinyKind], Path]) -> Losses:
    """Return a way to train for fifteen updates; it gives the loss of each."""

    @cache
    def followed(method: str, kind: TinyKind, fast: Fast) -> list[float]:
        case = case_of(method, kind, tiny(kind))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cross_entropy, "SCORE_BYTES", 1)  # tiny models have parts, too
            return trained(case, fast, epochs=EPOCHS, rate=RATE)[1]

    return followed


@pytest.mark.parametrize("buckets", [True, False])
@pytest.mark.parametrize(("method", "kind"), PAIRS)
def test_losses_are_those_without_any_optimisation(
    losses: Losses, method: str, kind: TinyKind, buckets: bool
) -> None:
    fast = losses(method, kind, without(buckets=buckets))
    assert len(fast) == 15
    plain = losses(method, kind, without(*COMPARED, buckets=buckets))
    assert plain == pytest.approx(fast, abs=1e-4, rel=0)
    # The comparison would mean little if the weights stood still.
    assert abs(sum(fast[:3]) - sum(fast[-3:])) > 0.02


@pytest.mark.parametrize("name", COMPARED)
@pytest.mark.parametrize(
    ("method", "kind"),
    [pytest.param(*p, marks=() if p in QUICK else pytest.mark.slow) for p in PAIRS],
)
def test_losses_are_those_without_one_optimisation(
    losses: Losses, method: str, kind: TinyKind, name: str
) -> None:
    plain = losses(method, kind, without(name))
    assert plain == pytest.approx(losses(method, kind, without()), abs=1e-4, rel=0)


def test_batches_of_like_length_are_other_batches_of_the_same_loss(
    tiny: Callable[[TinyKind], Path],
) -> None:
    """While the weights stand still, an epoch costs the same however it is cut into batches."""
    bert = case_of("full", "bert", tiny("bert"))
    alike, mixed = (trained(bert, without(buckets=on), rate=0.0)[1] for on in (True, False))
    assert sum(alike) == pytest.approx(sum(mixed), abs=1e-4)
    assert sorted(alike) != pytest.approx(sorted(mixed), abs=1e-3)
