"""Generating an answer after a prompt, in batches of like length.

Greedy answers come from a loop of our own: what all prompts begin with is computed once, and a row
leaves its batch as soon as its answer has ended. Sampling, and models that cannot be asked so, go
through `transformers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from tarazu.evaluation.scoring import left_padded
from tarazu.models.fast import fast
from tarazu.models.learner import Learner
from tarazu.models.prefix import Prefix, can_share, shared_prefix


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
    prefix = None
    if prompts and temperature == 0 and fast().own_greedy and can_share(learner):
        prefix = shared_prefix(learner, prompts)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        asked = [prompts[i] for i in rows]
        with learner.compute():
            if prefix is None:
                if temperature > 0:
                    torch.manual_seed(seed + start)
                new = _continue(learner, asked, config)
            else:
                new = _greedy(learner, asked, prefix, config)
        for row, text in zip(
            rows, tokenizer.batch_decode(new, skip_special_tokens=True), strict=True
        ):
            texts[row] = text
        tick(min(start + batch_size, len(order)), len(order))
    return texts


def _greedy(
    learner: Learner, prompts: list[Sequence[int]], prefix: Prefix, config: Any
) -> list[list[int]]:
    """Take the most probable token again and again; no work on rows that have ended."""
    device = next(learner.parameters()).device
    ids, mask = left_padded([p[prefix.tokens :] for p in prompts], config.pad_token_id, device)
    mask = torch.cat([mask.new_ones(len(prompts), prefix.length), mask], dim=1)
    cache = prefix.open(ids.shape[1] + config.max_new_tokens)
    said: list[list[int]] = [[] for _ in prompts]
    live = list(range(len(prompts)))
    while True:
        last = learner.hidden(ids, mask, cache=cache)[:, -1]
        token = learner.vocabulary_logits(last).argmax(dim=-1)
        goes_on = _note(said, live, token.tolist(), config)
        if len(goes_on) < len(live):
            if not goes_on:
                return said
            cache.keep(goes_on)
            live = [live[row] for row in goes_on]
            token, mask = token[goes_on], mask[goes_on]
        ids, mask = token[:, None], torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)


def _note(said: list[list[int]], live: Sequence[int], tokens: list[int], config: Any) -> list[int]:
    """Note what each live row says next.

    Returns:
        The indices in `live` of the rows that go on. A row that ends leaves its place to the last
        one that goes on, so that few rows move.
    """
    ended = []
    for row, token in zip(live, tokens, strict=True):
        said[row].append(token)
        ended.append(token == config.eos_token_id or len(said[row]) == config.max_new_tokens)
    places = list(range(len(live)))
    kept = len(live) - sum(ended)
    movers = (row for row in reversed(places[kept:]) if not ended[row])
    return [next(movers) if ended[row] else row for row in places[:kept]]


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


def _continue(learner: Learner, prompts: list[Sequence[int]], config: Any) -> Tensor:
    ids, mask = left_padded(prompts, config.pad_token_id, next(learner.parameters()).device)
    # A model's own generation settings would fill what ours leave out.
    learner.body.generation_config = config
    if learner.prompt is None:
        new = learner.body.generate(input_ids=ids, attention_mask=mask)
        return new[:, ids.shape[1] :]  # type: ignore[no-any-return]
    inputs = learner.embed(ids)
    return learner.body.generate(  # type: ignore[no-any-return]
        inputs_embeds=inputs, attention_mask=learner.widen(mask, 1)
    )
