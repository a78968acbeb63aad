"""Making a `Learner`: with weights from a folder, or without any on meta tensors for counting."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from tarazu.errors import BadInput, bad
from tarazu.models.fast.attention import can_leave_padding_out, use_block_attention
from tarazu.models.fast.dropout import use_cheap_dropout
from tarazu.models.fast.last_layer import use_short_last_layer
from tarazu.models.fast.norm import use_short_norm
from tarazu.models.fast.rotary import use_one_pass_rotary
from tarazu.models.fast.sequences import use_sequence_attention
from tarazu.models.fast.switches import switches
from tarazu.models.heads import ClassificationHead, SpanHead
from tarazu.models.info import ModelInfo
from tarazu.models.learner import Learner
from tarazu.models.mapped_pages import pages_given_back
from tarazu.models.precision import DTYPES, Precision
from tarazu.models.safetensors_header import widest_float
from tarazu.models.stored_precision import ARCHITECTURES, LARGE, hold_as_stored
from tarazu.record.key import canonical_json, sha256_text

HeadName = Literal["classes", "spans", "text"]

MAX_PARTS = 400_000
"""Modules and parameters of one model. DeepSeek-V3, were each expert a module, has 110,000."""


def _auto_class(info: ModelInfo) -> Any:
    from transformers import AutoModel, AutoModelForCausalLM

    return AutoModelForCausalLM if info.kind == "decoder" else AutoModel


def _config(info: ModelInfo) -> Any:
    from transformers import AutoConfig

    config = {k: v for k, v in info.config.items() if k not in ("auto_map", "quantization_config")}
    return AutoConfig.for_model(**config)


def _extra(info: ModelInfo, config: Any) -> dict[str, Any]:
    """Leave an encoder's pretrained pooler out: heads are our own."""
    if info.kind == "decoder":
        return {}
    from transformers import AutoModel

    model_class = AutoModel._model_mapping[type(config)]
    takes = inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in takes else {}


def make_head(info: ModelInfo, reading: HeadName, classes: int) -> nn.Module | None:
    """Make a new head, initialised like the backbone's own layers.

    Args:
        info: The model below it.
        reading: ``classes``, ``spans``, or ``text`` for none.
        classes: Number of labels.
    """
    head: nn.Module
    if reading == "text":
        return None
    if reading == "spans":
        head = SpanHead(info.hidden_size)
    else:
        encoder = info.kind == "encoder"
        dropout = float(info.config.get("hidden_dropout_prob", 0.1)) if encoder else 0.0
        pooling = info.pooling if encoder else "last"
        head = ClassificationHead(
            info.hidden_size, classes, pooling=pooling, dropout=dropout, deep=encoder
        )
    deviation = float(info.config.get("initializer_range", 0.02))
    for module in head.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=deviation)
            nn.init.zeros_(module.bias)
    return head


def empty_learner(info: ModelInfo, reading: HeadName, classes: int) -> Learner:
    """Make a learner on meta tensors: exact shapes, no weights, no memory.

    Raises:
        BadInput: The configuration describes no model, or one of absurdly many parts.
    """
    where = f"models.{info.name}: config.json"
    with torch.device("meta"):
        try:
            with limited_parts(where):
                config = _config(info)
                body = _auto_class(info).from_config(config, **_extra(info, config))
        except BadInput:
            raise
        except Exception as error:  # sizes that do not fit one another; errors of several kinds
            raise bad(where, "must describe a model that can be made", error) from error
        return Learner(body, info, make_head(info, reading, classes))


@contextmanager
def limited_parts(where: str) -> Iterator[None]:
    """Refuse a model of too many modules while it is made, whatever setting asked for them.

    Args:
        where: The place of what describes it, for messages.

    Raises:
        BadInput: There are more than `MAX_PARTS` modules and parameters.
    """
    made = 0

    def count(module: nn.Module, name: str, part: object) -> None:
        nonlocal made
        made += 1
        if made > MAX_PARTS:
            rule = f"a model must have at most {MAX_PARTS:,} modules and parameters"
            raise bad(where, rule, "more")

    hooks = (
        register_module_module_registration_hook(count),
        register_module_parameter_registration_hook(count),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def load_learner(
    folder: Path,
    info: ModelInfo,
    reading: HeadName,
    classes: int,
    precision: Precision,
    *,
    four_bit: bool = False,
    trained: Collection[str] | None = None,
) -> Learner:
    """Load a backbone from a folder and put a new head on it.

    Set the seed before: the head's initialisation draws from it (trap T34).

    Args:
        folder: Weights as safetensors, in the layout of `transformers`.
        info: The model.
        reading: What head it needs.
        classes: Number of labels.
        precision: Where and how it computes.
        four_bit: Hold the base in NF4 with double quantisation (Dettmers et al. 2023, QLoRA).
        trained: Names of the backbone's parameters that a method is about to train, see
            `trained_names`; None where that is not known.

    Returns:
        A learner in evaluation mode with everything frozen, on the device. Each tensor is cast
        while it is read, so that no copy in another precision exists: trained ones to fp32, frozen
        ones as `held_dtype` says. With `trained` unknown all have the precision of the files until
        `Learner.settle`.
    """
    held = precision.torch_dtype
    if not four_bit:
        unknown = trained is None
        held = DTYPES[widest_float(folder)] if unknown else held_dtype(folder, info, precision)
    # Buffers are computed while the model is made, and are not to be rounded.
    options: dict[str, Any] = {"dtype": held if four_bit else torch.float32}
    if four_bit:
        options["quantization_config"] = four_bit_config(precision)
    if four_bit or precision.device != "cpu":
        options["device_map"] = {"": precision.device}
    config = _config(info)
    read_once = pages_given_back(folder) if four_bit else nullcontext()
    with _cast_while_read(trained or (), held, every=not four_bit), read_once:
        body = _auto_class(info).from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            **_extra(info, config),
            **options,
        )
    if four_bit:
        _keep_layout(body)
    if trained is not None and held.itemsize < precision.torch_dtype.itemsize:
        hold_as_stored(body)
    learner = Learner(body, info, make_head(info, reading, classes), precision)
    learner.requires_grad_(False)
    if learner.head is not None:
        learner.head.to(precision.device)
    if precision.device == "cpu":
        _make_fast(learner)
    elif switches().sequences:
        use_sequence_attention(learner.body, info, precision)
    if switches().last_layer:
        learner.last = use_short_last_layer(learner.blocks()[-1], learner.body, info)
    return learner.eval()


def held_dtype(folder: Path, info: ModelInfo, precision: Precision) -> torch.dtype:
    """Return in what precision a run holds frozen weights that are not quantised.

    That is what it computes in; but a large model from a 16-bit file stays in 16 bits in an fp32
    run on the CPU, see `tarazu.models.stored_precision`.
    """
    stored = DTYPES[widest_float(folder)]
    narrower = stored.itemsize < precision.torch_dtype.itemsize
    if precision.device != "cpu" or not narrower or info.architecture not in ARCHITECTURES:
        return precision.torch_dtype
    size = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    large = size // stored.itemsize * precision.torch_dtype.itemsize >= LARGE
    return stored if large else precision.torch_dtype


@contextmanager
def _cast_while_read(trained: Collection[str], held: torch.dtype, *, every: bool) -> Iterator[None]:
    """Let `transformers` read each parameter in the precision in which it is held.

    Models state those that stay in fp32 as `_keep_in_fp32_modules_strict`, for all instances of a
    class; a run needs it for itself, and by whole names.

    Args:
        trained: Names of parameters that are read in fp32.
        held: Precision of all others.
        every: Whether all others are cast, or left to the loader, which quantises some.
    """
    from transformers import PreTrainedModel

    usual = PreTrainedModel._get_dtype_plan

    def plan(model: Any, dtype: torch.dtype) -> dict[str, torch.dtype]:
        names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        own = {
            f"^{re.escape(name)}$": torch.float32 if name in trained else held
            for name in names
            if every or name in trained
        }
        return {**own, **({} if every else usual(model, dtype))}

    PreTrainedModel._get_dtype_plan = plan
    try:
        yield
    finally:
        PreTrainedModel._get_dtype_plan = usual


def trained_names(learner: Learner) -> frozenset[str]:
    """Return the names, in the model's files, of the backbone's parameters that are trained.

    Args:
        learner: After a method's `attach`, on meta tensors or not.
    """
    return frozenset(
        name.replace(".base_layer.", ".")
        for name, parameter in learner.body.named_parameters()
        if parameter.requires_grad
    )


def _make_fast(learner: Learner) -> None:
    on = switches()
    if on.attention:
        use_block_attention(learner.body, learner.info)
        use_one_pass_rotary(learner.body, learner.info)
        learner.unpads = on.unpadded and can_leave_padding_out(learner.body, learner.info)
    if on.norm:
        use_short_norm(learner.body, learner.info)
    if on.dropout:
        use_cheap_dropout(learner)


def _keep_layout(body: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights when a model answers on the CPU.

    On processors with AVX-512 BF16 the first answer repacks them in place for a kernel without
    gradients: later epochs would train nothing below a quantised layer, and what is then
    dequantised for merging would be other weights (traps T19, T25).
    """
    for module in body.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def four_bit_config(precision: Precision) -> Any:
    """Return the NF4 configuration of QLoRA; compute in the run's dtype (fp16 on a T4)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision.torch_dtype,
    )


def load_tokenizer(folder: Path) -> Any:
    """Load the fast tokenizer of a model; a missing padding token becomes the end-of-text token.

    Padding is masked by length everywhere, never by token id (trap T5).
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(
        folder, use_fast=True, trust_remote_code=False, local_files_only=True
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def tokenizer_hash(tokenizer: Any) -> str:
    """Return the SHA-256 of everything that decides how a tokenizer makes tokens of texts.

    Call it before the tokenizer is used: it notes how it truncated last.

    Args:
        tokenizer: As `load_tokenizer` returns it.
    """
    told = {
        "class": type(tokenizer).__name__,
        "pipeline": tokenizer.backend_tokenizer.to_str(),
        "inputs": tokenizer.model_input_names,
        "chat": tokenizer.chat_template,
        "special": {name: str(token) for name, token in tokenizer.special_tokens_map.items()},
        "truncation": tokenizer.truncation_side,
        "split": getattr(tokenizer, "split_special_tokens", None),
    }
    return sha256_text(canonical_json(told))
