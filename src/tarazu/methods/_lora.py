"""What LoRA and both ways of QLoRA share: knobs, targets, injection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._method import Choices, Space, knob
from tarazu.methods._search import THINKING, Scale, dropped_out, full_scale, trained
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task

if TYPE_CHECKING:
    from tarazu.models.learner import Learner

# Names of the query and value projections per architecture, as in table 9 of the paper; GPT-2 has
# one matrix for query, key and value.
QUERY_VALUE = {
    "bert": ("query", "value"),
    "roberta": ("query", "value"),
    "xlm-roberta": ("query", "value"),
    "electra": ("query", "value"),
    "distilbert": ("q_lin", "v_lin"),
    "gpt2": ("c_attn",),
    "llama": ("q_proj", "v_proj"),
    "mistral": ("q_proj", "v_proj"),
    "qwen2": ("q_proj", "v_proj"),
    "qwen3": ("q_proj", "v_proj"),
    "gemma2": ("q_proj", "v_proj"),
    "gpt_neox": ("query_key_value",),
}
ALL_LINEAR = "all-linear"


class LoraKnobs(AnswerKnobs):
    """Shape of the low-rank update."""

    r: int = knob(
        8,
        ge=1,
        reason="Quality hardly changes with rank in the source; 8 is its usual choice",
        source="Hu et al. 2021, arXiv 2106.09685, tables 6 and 9",
    )
    """Rank of the update."""
    alpha: float = knob(
        16.0,
        gt=0,
        reason="Scale α/r = 2; fixed, since changing it is like changing the learning rate",
        source="Hu et al. 2021, section 4.1",
    )
    """Scale of the update: W' = W + (alpha / r)·B·A."""
    dropout: float = knob(
        0.1,
        ge=0,
        lt=1,
        reason="Small data over-fit; 0.1 on the adapter's input",
        source="Dettmers et al. 2023, arXiv 2305.14314, appendix B.2 (0.1 up to 13B)",
    )
    """Dropout on the adapter's input."""
    targets: Literal["query-value", "all-linear"] | tuple[str, ...] = knob(
        "query-value",
        reason="Best quality for a fixed number of parameters in the source",
        source="Hu et al. 2021, arXiv 2106.09685, table 5",
    )
    """Which matrices: query and value, every linear layer, or modules by name."""


def targets_of(info: ModelInfo, knobs: Any) -> list[str] | str:
    """Return the module names that get an adapter, or ``all-linear``."""
    if knobs.targets == ALL_LINEAR:
        return ALL_LINEAR
    if isinstance(knobs.targets, tuple):
        return list(knobs.targets)
    return list(QUERY_VALUE[info.architecture])


def supports_lora(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse architectures whose query and value projections are unknown."""
    if info is None or knobs.targets != "query-value" or info.architecture in QUERY_VALUE:
        return None
    return (
        f"{info.name} is a {info.architecture} model, whose query and value projections are not "
        "known by name: set targets to all-linear or to a list of module names"
    )


def search_low_rank(info: ModelInfo, *, ranks: tuple[int, ...], source: str) -> Space:
    """Return what LoRA and both ways of QLoRA search. Alpha is left out: it only scales the rate.

    Args:
        info: The model.
        ranks: Ranks to try.
        source: Where ranks and dropout come from.
    """
    scale: Scale = full_scale(info).times(10)
    return trained(
        scale,
        "Ten times full fine-tuning's, whatever the rank",
        THINKING,
        r=Choices(ranks, "Quality is said to hardly change with rank: to be seen here", source),
        dropout=dropped_out(source),
    )


def inject(learner: Learner, knobs: Any) -> None:
    """Freeze the base and add A and B beside each target; train them and the head."""
    import peft

    from tarazu.models.fast.low_rank import use_single_step
    from tarazu.models.fast.switches import switches

    learner.requires_grad_(False)
    decoder = learner.info.kind == "decoder"
    config = peft.LoraConfig(
        r=knobs.r,
        lora_alpha=knobs.alpha,
        lora_dropout=knobs.dropout,
        target_modules=_existing(learner, targets_of(learner.info, knobs)),
        # GPT-2's Conv1D stores [in, out] (trap T28); bitsandbytes has already turned it.
        fan_in_fan_out=learner.info.architecture == "gpt2" and not _quantised(learner),
        task_type="CAUSAL_LM" if decoder else "FEATURE_EXTRACTION",
    )
    adapter = peft.get_peft_model(learner.body, config)
    # peft notes the folder on this machine; the saved adapter names the published model instead.
    card = learner.info.card
    adapter.peft_config["default"].base_model_name_or_path = card.id if card else learner.info.name
    learner.set_adapter(adapter)
    if switches().low_rank:
        use_single_step(learner.body)
    if learner.head is not None:
        learner.head.requires_grad_(True)


def _quantised(learner: Learner) -> bool:
    return any(hasattr(parameter, "quant_state") for parameter in learner.body.parameters())


def _existing(learner: Learner, names: list[str] | str) -> list[str] | str:
    if isinstance(names, str):
        return names
    leaves = {name.rsplit(".", 1)[-1] for name, _ in learner.body.named_modules()}
    if unknown := [name for name in names if name.rsplit(".", 1)[-1] not in leaves]:
        from tarazu.errors import bad, did_you_mean

        raise bad(
            "targets",
            f"must name modules of {learner.info.name}",
            ", ".join(unknown),
            did_you_mean(unknown[0], {leaf for leaf in leaves if not leaf.isdigit() and leaf}),
        )
    return names
