from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tarazu.evaluation.scoring import score_continuations
from tarazu.models.learner import Learner
from tarazu.testing.tiny import TinyKind

Load = Callable[..., Learner]
PROMPTS = [[300, 301, 302, 303, 304, 305], [310, 311], [320, 0, 1, 321, 322], [330]]
CONTINUATIONS = [[[400], [401, 402, 403], [404, 405]]] * 3 + [[[1], [0, 0, 0], [406, 0]]]


def one_by_one(learner: Learner) -> list[list[float]]:
    """Score every continuation by a whole forward pass of its own, without cache or padding."""
    result = []
    for prompt, many in zip(PROMPTS, CONTINUATIONS, strict=True):
        row = []
        for tokens in many:
            ids = torch.tensor([[*prompt, *tokens]])
            states = learner.hidden(ids, torch.ones_like(ids))
            scores = learner.vocabulary_logits(states)[0].log_softmax(dim=-1)
            at = range(len(prompt) - 1, ids.shape[1] - 1)
            row.append(sum(float(scores[i, t]) for i, t in zip(at, tokens, strict=True)))
        result.append(row)
    return result


@pytest.mark.parametrize("method", [None, "p-tuning", "lora"])
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
@torch.no_grad()
def test_t11_shared_cache_scores_as_a_forward_pass_for_each_label(
    load: Load, kind: TinyKind, method: str | None
) -> None:
    learner = load(kind, "text", method=method).eval()
    expected = one_by_one(learner)
    for size in (1, 3, 16):
        found = score_continuations(learner, PROMPTS, CONTINUATIONS, pad_id=1, batch_size=size)
        for row, wanted in zip(found, expected, strict=True):
            assert row == pytest.approx(wanted, abs=1e-5)


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
    assert shapes == [(4,), (12, 2)]


def test_tick_tells_what_is_done(load: Load, tiny: Callable[[TinyKind], Path]) -> None:
    told: list[tuple[int, int]] = []
    score_continuations(
        load("gpt2", "text"), PROMPTS, CONTINUATIONS, pad_id=0, batch_size=3,
        tick=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    assert told == [(3, 4), (4, 4)]
