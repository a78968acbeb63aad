from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tarazu.evaluation import scoring
from tarazu.evaluation.scoring import score_continuations
from tarazu.models import prefix
from tarazu.models.fast import Fast, switched
from tarazu.models.learner import Learner
from tarazu.testing.tiny import TinyKind

Load = Callable[..., Learner]
PROMPTS = [[300, 301, 302, 303, 304, 305], [310, 311], [320, 0, 1, 321, 322], [330]]
CONTINUATIONS = [[[400], [401, 402, 403], [401, 405]]] * 3 + [[[1], [0, 0, 0], [406, 0]]]
SHARED = [*range(340, 365)]
PATHS = [Fast(), Fast(prefix_cache=False), Fast(packed=False)]


def one_by_one(learner: Learner, prompts: list[list[int]] = PROMPTS) -> list[list[float]]:
    """Score every continuation by a whole forward pass of its own, without cache or padding."""
    result = []
    for prompt, many in zip(prompts, CONTINUATIONS, strict=False):
        row = []
        for tokens in many:
            ids = torch.tensor([[*prompt, *tokens]])
            states = learner.hidden(ids, torch.ones_like(ids))
            scores = learner.vocabulary_logits(states)[0].log_softmax(dim=-1)
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            row.append(sum(float(scores[i, t]) for i, t in zip(at, tokens, strict=True)))
        result.append(row)
    return result


@pytest.mark.parametrize("path", PATHS, ids=["fast", "no prefix", "padded"])
@pytest.mark.parametrize("method", [None, "p-tuning", "lora"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_t11_shared_cache_scores_as_a_forward_pass_for_each_label(
    load: Load, kind: TinyKind, method: str | None, path: Fast
) -> None:
    learner = load(kind, "text", method=method).eval()
    if method == "lora":  # a new adapter changes nothing yet
        for name, parameter in learner.named_trained():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    # Nothing shared; much; one prompt; one that is the beginning of all; all the same.
    every = [PROMPTS, [SHARED + p for p in PROMPTS], [SHARED], [SHARED, *[[*SHARED, 9]] * 3]]
    for prompts in [*every, [SHARED] * 4]:
        expected = one_by_one(learner, prompts)
        many = CONTINUATIONS[: len(prompts)]
        for size in (1, 3, 16):
            with switched(path):
                found = score_continuations(learner, prompts, many, pad_id=1, batch_size=size)
            for row, wanted in zip(found, expected, strict=True):
                assert row == pytest.approx(wanted, abs=1e-5)


@torch.no_grad()
def test_t35_limits_of_a_row_change_scores_by_rounding_only(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load("llama", "text")
    prompts = [SHARED + p for p in PROMPTS]
    expected = one_by_one(learner, prompts)
    for budget in (1, 9, 15, 1000):
        monkeypatch.setattr(scoring, "CPU_BUDGET", budget)
        found = score_continuations(learner, prompts, CONTINUATIONS, pad_id=1, batch_size=4)
        for row, wanted in zip(found, expected, strict=True):
            assert row == pytest.approx(wanted, abs=1e-5)


@torch.no_grad()
def test_a_shared_prefix_goes_through_the_model_once(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load("llama", "text")
    shapes = []
    original = Learner.hidden

    def noted(self: Learner, ids: torch.Tensor, *inputs: object, **more: object) -> torch.Tensor:
        shapes.append(tuple(ids.shape))
        return original(self, ids, *inputs, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "hidden", noted)
    prompts = [SHARED + p for p in PROMPTS]
    score_continuations(learner, prompts, CONTINUATIONS, pad_id=1, batch_size=2)
    # 6 + 5 tokens of prompts, then 2 + 1; behind each 401, 402 or 0, 0, 406.
    assert shapes == [(1, len(SHARED)), (1, 11 + 4), (1, 3 + 5)]
    assert 3 * len(SHARED) >= prefix.WORTHWHILE


@torch.no_grad()
def test_labels_of_one_token_need_no_cache(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = load("llama", "text")
    calls = []
    original = Learner.hidden

    def counted(self: Learner, *inputs: torch.Tensor, **more: object) -> torch.Tensor:
        calls.append(more.get("cache"))
        return original(self, *inputs, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Learner, "hidden", counted)
    score_continuations(learner, PROMPTS, [[[5], [6]]] * 4, pad_id=1, batch_size=2)
    assert calls == [None, None]


@torch.no_grad()
def test_t37_only_labels_and_last_positions_are_projected(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = load("gpt2", "text")
    shapes = []
    original = Learner.vocabulary_logits

    def noted(self: Learner, states: torch.Tensor) -> torch.Tensor:
        shapes.append(tuple(states.shape[:-1]))
        return original(self, states)

    monkeypatch.setattr(Learner, "vocabulary_logits", noted)
    score_continuations(learner, PROMPTS, CONTINUATIONS, pad_id=0, batch_size=4)
    # The last token of each prompt; 401 and 402 of three items; 0, 0 0 and 406 of the fourth.
    assert shapes == [(4 + 3 * 2 + 3,)]
    shapes.clear()
    with switched(Fast(packed=False)):
        score_continuations(learner, PROMPTS, CONTINUATIONS, pad_id=0, batch_size=4)
    assert shapes == [(4,), (12, 2)]


def test_tick_tells_what_is_done(load: Load, tiny: Callable[[TinyKind], Path]) -> None:
    told: list[tuple[int, int]] = []
    score_continuations(
        load("gpt2", "text"), PROMPTS, CONTINUATIONS, pad_id=0, batch_size=3,
        tick=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(3, 4), (4, 4)]
