"""Knobs of every method whose model may answer in words."""

from __future__ import annotations

from typing import Literal

from tarazu.methods._method import Choices, Knobs, Space, knob
from tarazu.tasks._task import Task

MEASURED = "tarazu's design: decided before any test item is scored"


class DecodeKnobs(Knobs):
    """How text is generated."""

    temperature: float = knob(
        0.0,
        ge=0.0,
        reason="Greedy: a label or a span has one right wording, so sampling only adds noise",
        source="Brown et al. 2020, arXiv 2005.14165, section 2.4 (no sampling on closed answers)",
    )
    """0 is greedy; above it the distribution is sampled."""
    top_p: float = knob(
        1.0,
        gt=0.0,
        le=1.0,
        reason="No truncation; it has no effect at temperature 0",
        source="Holtzman et al. 2020, arXiv 1904.09751, section 3.1",
    )
    """Share of probability mass that is sampled from."""
    max_new_tokens: int | None = knob(
        None,
        ge=1,
        reason="The task's own bound: longer than any gold answer needs, short enough to stop",
        source="`Task.max_answer_tokens`",
    )
    """Longest answer in tokens; null takes the task's bound."""


class AnswerKnobs(Knobs):
    """How a decoder is asked and how its answer is read."""

    template: str = knob(
        "default",
        reason="One wording for all methods, so that they differ in nothing else",
        source=MEASURED,
    )
    """Name of one of the task's prompt templates."""
    chat: Literal["auto", "on", "off"] = knob(
        "auto",
        reason="An instruct model expects the turns that it was trained on",
        source="Hugging Face documentation, Chat templates",
    )
    """``auto`` uses the chat template of models that have one."""
    answer: Literal["auto", "score", "generate"] = knob(
        "auto",
        reason="Labels: the most probable label word, which cannot be unparsable. Spans: generated",
        source="Brown et al. 2020, arXiv 2005.14165, section 2.4",
    )
    """``score`` label words, ``generate`` text and parse it; ``auto`` decides by the task."""
    decode: DecodeKnobs = knob(
        DecodeKnobs(), reason="See each parameter", source="See each parameter"
    )
    """Decoding parameters, when text is generated."""
    label_score: Literal["sum", "token", "calibrated"] = knob(
        "sum",
        reason="The probability of the whole word. Per-token and calibrated are reported beside it",
        source="lm-evaluation-harness (acc, acc_norm); Zhao et al. 2021, arXiv 2102.09690",
    )
    """Which score decides: sum of log-probabilities, mean per token, or against a content-free
    prompt."""


def search_wording(task: Task, knobs: AnswerKnobs) -> Space:
    """Return the space of a prompt without training: its wording, and how labels are scored.

    Args:
        task: Whose templates are tried.
        knobs: Without label words to score there is no score to choose.
    """
    space = {
        "template": Choices(
            tuple(task.templates),
            "What training is for other methods, the choice of words is for a prompt",
            "Zhao et al. 2021, arXiv 2102.09690 (accuracy moves by tens of points with the format)",
        )
    }
    if task.kind == "classify" and knobs.answer != "generate":
        space["label_score"] = Choices(
            ("sum", "token", "calibrated"),
            "A model prefers some words whatever is asked; which score mends it differs by model",
            "Zhao et al. 2021, arXiv 2102.09690; Holtzman et al. 2021, arXiv 2104.08315",
        )
    return space
