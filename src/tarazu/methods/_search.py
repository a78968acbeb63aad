"""What is worth searching in a method's settings, and on which scale.

A method's `search` names its settings (knobs and training settings) with a range or some values
each. The right scale differs between families by orders of magnitude (traps T32, T33), which is why
every method brings its own.
"""

from __future__ import annotations

from dataclasses import dataclass

from tarazu.methods._method import Choices, Range, Space
from tarazu.methods._training import BERT, ROBERTA
from tarazu.models.info import ModelInfo

THINKING = "Schulman et al. 2025, LoRA Without Regret (thinkingmachines.ai/blog/lora)"
TURC = "Turc et al. 2019, arXiv 1908.08962"


@dataclass(frozen=True)
class Scale:
    """A range of learning rates.

    Attributes:
        low: Lower end.
        high: Upper end.
    """

    low: float
    high: float

    def times(self, factor: float) -> Scale:
        """Return the range with both ends multiplied."""
        return Scale(float(f"{self.low * factor:.3g}"), float(f"{self.high * factor:.3g}"))


def full_scale(info: ModelInfo) -> Scale:
    """Return learning rates that full fine-tuning of a model of this width is known to work with.

    Devlin et al. 2019 (appendix A.3) search 2e-5 to 5e-5, Liu et al. 2019 (table 10) 1e-5 to 3e-5
    for the large model, Turc et al. 2019 3e-5 to 3e-4 for compact ones; each range is widened by
    about half of its logarithm, so that its ends can be seen to be worse.
    """
    if info.hidden_size >= 1024:
        return Scale(5e-6, 5e-5)
    return Scale(1e-5, 2e-4) if info.hidden_size >= 512 else Scale(2e-5, 5e-4)


FULL_SOURCE = f"{BERT}; {ROBERTA}; {TURC}"


def trained(scale: Scale, reason: str, source: str, **more: Range | Choices) -> Space:
    """Return the space that all trained methods share, around a family's learning rates.

    Epochs are left out: every method makes the same number of passes over the data.

    Args:
        scale: Learning rates.
        reason: Why these.
        source: Paper, documentation or measurement behind them.
        **more: What else this method searches.
    """
    return {
        "learning_rate": Range(scale.low, scale.high, reason, source, log=True),
        **more,
        "batch_size": Choices(
            (8, 16, 32), "Small data want more updates; adapters suffer from large batches",
            f"{BERT} (16, 32); {THINKING}",
        ),
    }  # fmt: skip


def dropped_out(source: str) -> Choices:
    """Return the dropouts of an adapter's input that are worth trying."""
    return Choices((0.0, 0.05, 0.1), "Small data over-fit, but short training may not", source)
