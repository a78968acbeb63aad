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

from tarazu.evaluation.packing import batches, row, tree
from tarazu.evaluation.scoring import hidden_of_row, left_padded, row_budget
from tarazu.models.fast import switches
from tarazu.models.learner import Learner
from tarazu.models.prefix import Prefix, RowCache, Span, can_share, shared_prefix


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
    on = switches()
    prefix = None
    if prompts and temperature == 0 and on.packed and on.own_greedy and can_share(learner):
        prefix = shared_prefix(learner, prompts)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        asked = [prompts[i] for i in rows]
        with learner.compute():
            if temperature > 0:
                torch.manual_seed(seed + start)
            new = (
                _continue(learner, asked, config)
                if prefix is None
                else _greedy(learner, asked, prefix, config)
            )
        said = tokenizer.batch_decode(new, skip_special_tokens=True)
        for index, text in zip(rows, said, strict=True):
            texts[index] = text
        tick(min(start + batch_size, len(order)), len(order))
    return texts


def _greedy(
    learner: Learner, prompts: list[Sequence[int]], prefix: Prefix, config: Any
) -> list[list[int]]:
    """Take the most probable token again and again; no work on rows that have ended."""
    said: list[list[int]] = [[] for _ in prompts]
    live = list(range(len(prompts)))
    last, mask, cache = _read(learner, prompts, prefix, config.max_new_tokens)
    while True:
        token = learner.vocabulary_logits(last).argmax(dim=-1)
        goes_on = _note(said, live, token.tolist(), config)
        if not goes_on:
            return said
        if len(goes_on) < len(live):
            cache.keep(goes_on)
            live = [live[row] for row in goes_on]
            token, mask = token[goes_on], mask[goes_on]
        mask = torch.cat([mask, mask.new_ones(len(live), 1)], dim=1)
        last = learner.hidden(token[:, None], mask, cache=cache)[:, -1]


def _read(
    learner: Learner, prompts: list[Sequence[int]], prefix: Prefix, room: int
) -> tuple[Tensor, Tensor, RowCache]:
    """Read prompts side by side, without padding, and give each a row of a cache.

    Args:
        learner: A decoder.
        prompts: Tokens of each prompt.
        prefix: What they begin with.
        room: Tokens that may follow.

    Returns:
        The state of each prompt's last token [b, h], the mask of the rows [b, s], the cache.
    """
    device = next(learner.parameters()).device
    own = [prompt[prefix.tokens :] for prompt in prompts]
    width = max(map(len, own))
    cache = prefix.open(width + room)
    last: list[Tensor] = [torch.empty(0)] * len(own)
    for rows in batches([len(tokens) for tokens in own], row_budget(learner), len(own)):
        # A continuation of one token is read from its prompt's last one.
        packed = row([tree(own[i], [[0]]) for i in rows], prefix.length)
        aside = prefix.open(packed.ids.shape[1])
        found = hidden_of_row(learner, packed, aside)
        ends = [prefix.length + int(end) + 1 for end in packed.states]
        spans = [Span(i, end - len(own[i]), end) for i, end in zip(rows, ends, strict=True)]
        cache.place(aside, spans, len(own), prefix.length + width)
        for i, state in zip(rows, found, strict=True):
            last[i] = state
    mask = torch.ones(len(own), prefix.length + width, dtype=torch.long, device=device)
    for i, tokens in enumerate(own):
        mask[i, prefix.length : prefix.length + width - len(tokens)] = 0
    return torch.stack(last), mask, cache


def _note(said: list[list[int]], live: Sequence[int], tokens: list[int], config: Any) -> list[int]:
    """Note what each live row says next.

    Returns:
        The indices in `live` of the rows that go on. A row that ends leaves its place to the last
        one that goes on, so that few rows move.
    """
    ended = []
    for answer, token in zip(live, tokens, strict=True):
        said[answer].append(token)
        full = len(said[answer]) == config.max_new_tokens
        ended.append(full or token == config.eos_token_id)
    places = list(range(len(live)))
    kept = len(live) - sum(ended)
    movers = (place for place in reversed(places[kept:]) if not ended[place])
    return [next(movers) if ended[place] else place for place in places[:kept]]


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
    """Generate by `transformers`."""
    ids, mask = left_padded(prompts, config.pad_token_id, next(learner.parameters()).device)
    # A model's own generation settings would fill what ours leave out.
    learner.body.generation_config = config
    cache = _cache(learner)
    if learner.prompt is None:
        new = learner.body.generate(input_ids=ids, attention_mask=mask, **cache)
        return new[:, ids.shape[1] :]  # type: ignore[no-any-return]
    inputs = learner.embed(ids)
    return learner.body.generate(  # type: ignore[no-any-return]
        inputs_embeds=inputs, attention_mask=learner.widen(mask, 1), **cache
    )


def _cache(learner: Learner) -> dict[str, Any]:
    """Return the cache in which `transformers` shall generate; its own for models of other kinds.

    Some keep other states than keys and values, and make a cache of their own for them.
    """
    from tarazu.models.compute_cache import ComputeCache

    if not getattr(learner.body, "_supports_default_dynamic_cache", lambda: False)():
        return {}
    return {"past_key_values": ComputeCache(config=learner.body.config)}
