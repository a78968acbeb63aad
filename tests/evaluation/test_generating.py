from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tarazu.evaluation.generating import generate
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.models.load import load_tokenizer
from tarazu.readings import text
from tarazu.readings._reading import Asking
from tarazu.testing.tiny import TinyKind, nli_items
from tarazu.training.loop import Plan, fit
from tarazu.work import examples

Tiny = Callable[[TinyKind], Path]
Load = Callable[..., Learner]
PROMPTS = [[300, 301, 302, 303, 304, 305], [310, 311], [320, 321, 322], [330]]
SHARED = [*range(340, 365)]
PATHS = [Fast(), Fast(prefix_cache=False), Fast(own_greedy=False)]


def continued(
    learner: Learner, tokenizer: Any, prompts: list[list[int]] = PROMPTS, **settings: Any
) -> list[str]:
    given = {"max_new_tokens": 6, "temperature": 0.0, "top_p": 1.0, "seed": 0, "batch_size": 4}
    return generate(learner, prompts, tokenizer=tokenizer, **{**given, **settings})


@torch.no_grad()
def greedy_tokens(
    learner: Learner, end: int, length: int, prompts: list[list[int]]
) -> list[list[int]]:
    """Take the most probable token again and again, one prompt at a time, without a cache."""
    said = []
    for prompt in prompts:
        ids = list(prompt)
        while len(ids) < len(prompt) + length:
            row = torch.tensor([ids])
            states = learner.hidden(row, torch.ones_like(row))
            ids.append(int(learner.vocabulary_logits(states[:, -1]).argmax()))
            if ids[-1] == end:
                break
        said.append(ids[len(prompt) :])
    return said


def greedy(
    learner: Learner, tokenizer: Any, length: int, prompts: list[list[int]] = PROMPTS
) -> list[str]:
    said = greedy_tokens(learner, tokenizer.eos_token_id, length, prompts)
    return [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in said]


@pytest.mark.parametrize("path", PATHS, ids=["fast", "no prefix", "transformers"])
@pytest.mark.parametrize("method", [None, "p-tuning", "lora"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t11_batches_continue_as_single_prompts_do(
    load: Load, tiny: Tiny, kind: TinyKind, method: str | None, path: Fast
) -> None:
    learner = load(kind, "text", method=method).eval()
    tokenizer = load_tokenizer(tiny(kind))
    shared = [SHARED + prompt for prompt in PROMPTS]
    for prompts in (PROMPTS, shared, [SHARED], [SHARED, *shared[1:]]):
        expected = greedy(learner, tokenizer, 6, prompts)
        assert len(set(expected)) > len(prompts) // 2
        for size in (1, 3, 16):
            with switched(path):
                assert continued(learner, tokenizer, prompts, batch_size=size) == expected


@torch.no_grad()
@pytest.mark.parametrize("path", PATHS, ids=["fast", "no prefix", "transformers"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_generation_stops_at_the_end_token(
    load: Load, tiny: Tiny, kind: TinyKind, path: Fast
) -> None:
    learner = load(kind, "text")
    tokenizer = load_tokenizer(tiny(kind))
    said = greedy(learner, tokenizer, 1)
    # Make the first token that is said the end of the text: nothing follows it.
    first = tokenizer(said[1], add_special_tokens=False)["input_ids"][0]
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(first)
    with switched(path):
        assert continued(learner, tokenizer)[1] == tokenizer.decode([first])
    assert len(greedy(learner, tokenizer, 6)[2]) > len(said[2])


@torch.no_grad()
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_rows_leave_their_batch_when_their_answer_ends(
    load: Load, tiny: Tiny, kind: TinyKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load(kind, "text")
    tokenizer = load_tokenizer(tiny(kind))
    prompts = [[*SHARED, first, second] for first in range(300, 306) for second in (310, 311)]
    tokens = greedy_tokens(learner, -1, 8, prompts)
    # The end is a token that answers reach at different places.
    said = sorted({token for row in tokens for token in row})
    end = max(said, key=lambda t: len({row.index(t) for row in tokens if t in row}))
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(end)
    expected = greedy(learner, tokenizer, 8, prompts)
    lengths = [row.index(end) + 1 if end in row else 8 for row in tokens]
    assert len(set(lengths)) >= 2
    rows = []
    original = Learner.hidden

    def noted(self: Learner, ids: torch.Tensor, *inputs: Any, **more: Any) -> torch.Tensor:
        rows.append(len(ids))
        return original(self, ids, *inputs, **more)

    monkeypatch.setattr(Learner, "hidden", noted)
    assert continued(learner, tokenizer, prompts, max_new_tokens=8, batch_size=12) == expected
    # First the prefix and all prompts in a row, then for each token those that say another.
    steps = range(1, max(lengths))
    assert rows == [1, 1] + [sum(length > step for length in lengths) for step in steps]


def test_t17_the_models_own_sampling_plays_no_part(load: Load, tiny: Tiny) -> None:
    tokenizer = load_tokenizer(tiny("llama"))
    plain = continued(load("llama", "text"), tokenizer)
    sampling = load("llama", "text")
    sampling.body.generation_config = GenerationConfig(
        do_sample=True, temperature=3.0, top_k=50, repetition_penalty=5.0, max_new_tokens=2,
        min_new_tokens=2, no_repeat_ngram_size=1, num_beams=2, suppress_tokens=list(range(500)),
    )  # fmt: skip
    assert continued(sampling, tokenizer) == plain


def test_sampling_follows_the_seed(load: Load, tiny: Tiny) -> None:
    learner, tokenizer = load("llama", "text"), load_tokenizer(tiny("llama"))
    sample = {"temperature": 5.0, "max_new_tokens": 12}
    one = continued(learner, tokenizer, seed=1, **sample)
    torch.rand(5)
    assert continued(learner, tokenizer, seed=1, **sample) == one
    assert continued(learner, tokenizer, seed=2, **sample) != one
    greedy = continued(learner, tokenizer, max_new_tokens=12)
    assert continued(learner, tokenizer, seed=1, **{**sample, "top_p": 1e-6}) == greedy


def test_t17_the_colder_the_nearer_to_the_most_probable_text(load: Load, tiny: Tiny) -> None:
    learner, tokenizer = load("llama", "text"), load_tokenizer(tiny("llama"))
    greedy = continued(learner, tokenizer)
    said = {t: continued(learner, tokenizer, temperature=t) for t in (1e-4, 1.0, 5.0)}
    assert said[1e-4] == greedy
    assert len({tuple(texts) for texts in said.values()}) == 3


@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_t12_generation_after_training_pads_on_the_left(
    load: Load, tiny: Tiny, ask: Callable[..., Asking], kind: TinyKind
) -> None:
    learner = load(kind, "text", method="lora")
    asking = ask(tiny(kind), answer="generate")
    features = text.encode(nli_items(8), asking)
    train = examples(features, asking.tokenizer.pad_token_id)
    # Training pads on the right.
    assert train.collate(range(8))["attention_mask"][:, 0].all()
    plan = Plan(1, 8, None, 1e-2, 1e-2, 0.0, 0.0, "constant", 1.0, "last", 0)
    fit(learner, text.READING.loss, train, None, plan)
    assert continued(learner, asking.tokenizer) == greedy(learner, asking.tokenizer, 6)
