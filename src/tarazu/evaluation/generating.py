"""Generating an answer after a prompt, in batches of like length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from tarazu.evaluation.scoring import left_padded
from tarazu.models.learner import Learner


@torch.no_grad()
def generate(
    learner: Learner,
    prompts: Sequence[Sequence[int]],
    *,
    tokenizer: Any,
    max_new_tokens: int,
    temperature: float,
    top_p: float,
    seed: int,
    batch_size: int,
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """Continue every prompt until the end-of-text token or the longest answer.

    All decoding parameters are given here; what the model's own generation settings say (some
    sample by default) plays no part (trap T17).

    Args:
        learner: A decoder.
        prompts: Tokens of each prompt.
        tokenizer: Of the model.
        max_new_tokens: Longest answer.
        temperature: 0 is greedy.
        top_p: Share of probability mass that is sampled from.
        seed: Of sampling; each batch draws from its own stream.
        batch_size: Prompts at a time.
        tick: Called with prompts done and all.

    Returns:
        The texts, special tokens left out.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    texts = [""] * len(prompts)
    config = _config(learner, tokenizer, max_new_tokens, temperature, top_p)
    device = next(learner.parameters()).device
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        ids, mask = left_padded([prompts[i] for i in rows], tokenizer.pad_token_id, device)
        if temperature > 0:
            torch.manual_seed(seed + start)
        with learner.compute():
            new = _continue(learner, ids, mask, config)
        for row, text in zip(
            rows, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
        ):
            texts[row] = text
        tick(min(start + batch_size, len(order)), len(order))
    return texts


def _config(
    learner: Learner, tokenizer: Any, max_new_tokens: int, temperature: float, top_p: float
) -> Any:
    from transformers import GenerationConfig

    sampling = (
        {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0}
        if temperature > 0
        else {"do_sample": False}
    )
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        **sampling,
    )


def _continue(learner: Learner, ids: torch.Tensor, mask: torch.Tensor, config: Any) -> torch.Tensor:
    # A model's own generation settings would fill what ours leave out.
    learner.body.generation_config = config
    if learner.prompt is None:
        new = learner.body.generate(input_ids=ids, attention_mask=mask)
        return new[:, ids.shape[1] :]  # type: ignore[no-any-return]
    inputs = learner.embed(ids)
    return learner.body.generate(  # type: ignore[no-any-return]
        inputs_embeds=inputs, attention_mask=learner.widen(mask, 1)
    )
