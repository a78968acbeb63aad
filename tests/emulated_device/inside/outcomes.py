"""What comes of a case on the emulated device and on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from device import NAME as DEVICE
from torch import Tensor

from tarazu.data.item import Prediction
from tarazu.models.fast import Fast, switched
from tarazu.models.fast.sequences import NAME
from tarazu.models.learner import Learner
from tarazu.testing.cases import Case, answer, load, take_dropout_out, train, trained_tensors

LIMIT = {False: 1e-5, True: 0.02}
"""How far losses and scores may lie apart in fp32, relative to 1 or their size.

With a base in 4 bits more: two kernels of bitsandbytes round the scales of blocks otherwise.
"""

_BOTH, _DECODERS = ("multinli", "squad"), ("gpt2", "llama")
_ALL = ("bert", *_DECODERS)
# By hand, as in the contract of methods, so that a case cannot vanish unseen.
_SUPPORTED: dict[str, list[tuple[str, str]]] = {
    "full": [(m, t) for m in _ALL for t in _BOTH],
    "last-k": [(m, t) for m in _ALL for t in _BOTH],
    "lora": [(m, t) for m in _ALL for t in _BOTH],
    "p-tuning": [(m, t) for m in _ALL for t in _BOTH],
    "partial-input": [("bert", "multinli")] + [(m, t) for m in _DECODERS for t in _BOTH],
    "zero-shot": [(m, t) for m in _DECODERS for t in _BOTH],
    "few-shot": [(m, t) for m in _DECODERS for t in _BOTH],
    "qlora-text": [(m, t) for m in _DECODERS for t in _BOTH],
    "qlora-head": [(m, "multinli") for m in _DECODERS],
}
NAMES = [f"{method}-{m}-{t}" for method, pairs in _SUPPORTED.items() for m, t in pairs]
TRAINED = [name for name in NAMES if "-shot-" not in name]


def accelerator(*, mixed_precision: str, **settings: Any) -> Accelerator:
    """Make an `Accelerator`, which refuses fp16 on devices whose name it does not know."""
    if mixed_precision != "fp16":
        return Accelerator(mixed_precision=mixed_precision, **settings)
    made: Any = Accelerator(mixed_precision="no", **settings)
    if made.device.type == DEVICE:
        made.state._mixed_precision = "fp16"
        made.native_amp = True
        made.scaler = torch.amp.GradScaler(DEVICE)
    return made


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        learner: Trained, where the method trains.
        losses: Of every update.
        weights: What was trained, by name, on the CPU.
        answers: To the test items.
    """

    learner: Learner
    losses: Sequence[float]
    weights: Mapping[str, Tensor]
    answers: Sequence[Prediction]


def outcome(
    case: Case,
    device: str,
    *,
    fast: Fast = Fast(),  # noqa: B008 - it is frozen
    dtype: str = "float32",
    weights: Mapping[str, Tensor] | None = None,
) -> Outcome:
    """Load, train and ask a case, without dropout.

    Args:
        case: The case.
        device: Where.
        fast: What is on.
        dtype: In which precision.
        weights: Answers come from these instead of those that training came to.
    """
    with switched(fast):
        learner = load(case, device=device, dtype=dtype)
        take_dropout_out(learner)
        assert_all_on(learner, device)
        # Where it is not what it should be, it was tried out and failed, which is no error.
        sequences = device != "cpu" and fast.sequences
        assert (learner.body.config._attn_implementation == NAME) == sequences
        losses = train(case, learner) if case.method.trains else []
        assert_all_on(learner, device)
        trained = {name: tensor.cpu() for name, tensor in trained_tensors(learner).items()}
        if weights is not None:
            with torch.no_grad():
                for name, parameter in learner.named_trained():
                    parameter.copy_(weights[name])
        return Outcome(learner, losses, trained, answer(case, learner))


def assert_all_on(learner: Learner, device: str) -> None:
    """Nothing of a learner is anywhere else."""
    tensors = dict([*learner.named_parameters(), *learner.named_buffers()])
    elsewhere = {name: str(t.device) for name, t in tensors.items() if t.device.type != device}
    assert not elsewhere, elsewhere
    if learner.prompt is not None and learner.prompt.vectors is not None:
        assert learner.prompt.vectors.device.type == device


def assert_same(expected: Outcome, other: Outcome, *, four_bit: bool = False) -> None:
    """Losses and scores are the same up to rounding, and what was said is the same."""
    _assert_close(expected.losses, other.losses, LIMIT[four_bit])
    for a, b in zip(expected.answers, other.answers, strict=True):
        assert a.item_id == b.item_id
        assert four_bit or (a.raw, a.predicted) == (b.raw, b.predicted)
        _assert_close(a.scores, b.scores, LIMIT[four_bit])


def _assert_close(expected: Sequence[float], other: Sequence[float], limit: float) -> None:
    for one, two in zip(expected, other, strict=True):
        assert abs(one - two) <= limit * max(1.0, abs(one)), (expected, other)
