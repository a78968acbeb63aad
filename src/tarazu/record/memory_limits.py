"""How much at a time fitted into memory, for runs that need as much of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tarazu.record.key import content_key
from tarazu.record.spec import RunSpec

# Training settings that change what is computed, but not how much memory it takes.
_WITHOUT_SIZE = frozenset(
    {
        "clip", "epochs", "head_learning_rate", "learning_rate", "schedule", "validate_rows",
        "warmup", "weight_decay",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Fitted:
    """Batches that fitted where larger ones did not.

    Attributes:
        rows: Training rows at a time; None for what the settings say.
        answers: Items answered at a time; None for what the settings say.
        recompute: Whether activations were computed again instead of kept.
    """

    rows: int | None = None
    answers: int | None = None
    recompute: bool = False


@dataclass
class MemoryLimits:
    """What is known within one command, by the shape of a run.

    Another seed or learning rate needs as much memory: to find that out again would cost an attempt
    for every one of them.
    """

    _known: dict[tuple[str, bool], Fitted] = field(default_factory=dict)

    def of(self, spec: RunSpec, *, merged: bool) -> Fitted:
        """Return what fitted for runs of the same shape; nothing in particular without any.

        Args:
            spec: The run.
            merged: Whether it is a merged model that answers, which is larger.
        """
        return self._known.get((_shape(spec), merged), Fitted())

    def note(self, spec: RunSpec, fitted: Fitted, *, merged: bool) -> None:
        """Keep what fitted, unless that is what the settings say."""
        if fitted != Fitted():
            self._known[_shape(spec), merged] = fitted


def _shape(spec: RunSpec) -> str:
    """Return what is the same for runs that need as much memory, whatever they are called."""
    settings = {name: value for name, value in spec.settings.items() if name not in _WITHOUT_SIZE}
    return content_key(spec.model_copy(update={"seed": 0, "share": 1.0, "settings": settings}))
