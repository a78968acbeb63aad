"""Macro-F1 item by item, so that it can be compared like any mean over items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tarazu.comparison.outcomes import Answers, Outcomes, Scores

MACRO_F1 = "macro_f1"


def with_macro_f1(answers: Answers, outcomes: Outcomes) -> Mapping[str, Scores]:
    """Return an entry's per-item metrics, with pseudo-values of macro-F1 where there are labels.

    Args:
        answers: The entry.
        outcomes: Its split.
    """
    if not outcomes.labels:
        return answers.metrics
    gold = [golds[0] for golds in outcomes.gold]
    return {**answers.metrics, MACRO_F1: macro_f1_values(answers.predicted, gold, outcomes.labels)}


def macro_f1_values(
    predicted: NDArray[np.object_], gold: Sequence[str], labels: Sequence[str]
) -> Scores:
    """Return one value per item whose mean is the macro-F1 of each seed.

    F1 of a class is ``2·TP / (predicted + gold)``. Its influence function at item i is
    ``(2·tp[i] − F1·(predicted[i] + gold[i])) / (predicted + gold)`` with the counts as shares of
    the items (the delta method for a ratio; Efron 1982, *The Jackknife, the Bootstrap and Other
    Resampling Plans*, chapter 6): it adds up to 0, and its variance over items is that of F1.

    Args:
        predicted: Answers, seeds × items; None counts as no class.
        gold: Right labels, one per item.
        labels: All labels; one that is neither answered nor right anywhere counts as F1 = 0, as
            in scikit-learn.

    Returns:
        Seeds × items.
    """
    right = np.asarray(gold, dtype=object)
    total = np.zeros(predicted.shape)
    for label in labels:
        is_gold = (right == label).astype(np.float64)
        is_answer = (predicted == label).astype(np.float64)
        size = is_answer.mean(axis=1, keepdims=True) + is_gold.mean()
        safe = np.where(size > 0, size, 1.0)
        hit = is_answer * is_gold
        f1 = 2 * hit.mean(axis=1, keepdims=True) / safe
        total += f1 + (2 * hit - f1 * (is_answer + is_gold)) / safe
    return total / len(labels)
