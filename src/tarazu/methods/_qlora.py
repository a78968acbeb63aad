"""What both ways of QLoRA share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tarazu.methods._lora import LoraKnobs, search_low_rank, supports_lora
from tarazu.methods._method import Default, Space, knob
from tarazu.methods._training import common
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task

QLORA = "Dettmers et al. 2023, arXiv 2305.14314"


class QloraKnobs(LoraKnobs):
    """LoRA on a 4-bit base."""

    targets: Literal["query-value", "all-linear"] | tuple[str, ...] = knob(
        "all-linear",
        reason="Adapters on every linear layer are what makes up for 4-bit weights",
        source=f"{QLORA}, section 4 and figure 2",
    )
    """Which matrices: query and value, every linear layer, or modules by name."""


def supports_decoder(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse encoders: QLoRA is about large decoders."""
    if info is not None and info.kind == "encoder":
        return f"{info.name} is an encoder: name a decoder, or use lora"
    return supports_lora(info, task, knobs)


def defaults(info: ModelInfo, task: Task) -> Mapping[str, Default]:
    """Return the training settings of QLoRA."""
    rate = Default(
        2e-4,
        "The source's choice for models up to 13B",
        f"{QLORA}, appendix B.2, table 9",
    )
    return common(info, task, learning_rate=rate)


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search as LoRA does, but always on all linear layers: 4-bit weights need them."""
    assert info is not None
    source = f"{QLORA}, appendix A.1 (dropout 0, 0.05, 0.1; ranks 8 to 256 alike)"
    return search_low_rank(info, ranks=(8, 16, 32, 64), source=source)
