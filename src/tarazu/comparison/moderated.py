"""Variances known from very few seeds lend each other strength.

Three seeds tell an entry's variance by two degrees of freedom: by luck it comes out near zero, and
a difference looks sure. What the entries of a study have in common is estimated from all of them,
and a variance below it is drawn towards it by as much as the entries resemble each other: fully
where they differ no more than by chance, hardly at all where some are far more erratic than others.
A variance above it stays as it is, so that the steady entries never vouch for an erratic one: drawn
down as well, a study with uneven entries separated equal ones in 10 of 100 cases, and not in 6
(``benchmarks/calibration.py``, scenarios ``uneven``).

Source: Smyth 2004, *Statistical Applications in Genetics and Molecular Biology* 3(1), section 6.2
(the moderated variances of limma): the logarithms of the variances are compared with what a scaled
F distribution would give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from tarazu.comparison.crossed import Sample

# A variance of zero has no logarithm: it counts as this share of the median one (as in limma).
_SMALL = 1e-5


def moderated(samples: Sequence[Sample]) -> list[Sample]:
    """Return samples whose too small variances between seeds have been raised.

    Args:
        samples: All entries that are compared.

    Returns:
        The same samples in order. Those of one seed stay as they are, and so do all when fewer than
        three have several seeds or no seed changes anything.
    """
    several = [sample for sample in samples if sample.seeds > 1]
    variances = np.array([sample.between for sample in several])
    if len(several) < 3 or not variances.any():
        return list(samples)
    freedom = np.array([sample.df for sample in several])
    prior_df, prior = _prior(variances, freedom)
    most = float(freedom.sum())
    return [_raised(one, prior_df, prior, most) if one.seeds > 1 else one for one in samples]


def _raised(sample: Sample, prior_df: float, prior: float, most: float) -> Sample:
    if math.isinf(prior_df):
        between, df = prior, most
    else:
        df = prior_df + sample.df
        between = (prior_df * prior + sample.df * sample.between) / df
    if between <= sample.between:
        return replace(sample, most_df=most)
    return replace(sample, between=between, df=min(df, most), most_df=most)


def _prior(variances: NDArray[np.float64], df: NDArray[np.float64]) -> tuple[float, float]:
    """Return degrees of freedom and value of the variance that the entries have in common."""
    positive = np.maximum(variances, _SMALL * np.median(variances[variances > 0]))
    logs = np.log(positive) - digamma(df / 2) + np.log(df / 2)
    spread = float(logs.var(ddof=1) - polygamma(1, df / 2).mean())
    if spread <= 0:
        return math.inf, float((variances * df).sum() / df.sum())
    prior_df = 2 * _inverse_trigamma(spread)
    return prior_df, math.exp(float(logs.mean() + digamma(prior_df / 2) - math.log(prior_df / 2)))


def _inverse_trigamma(value: float) -> float:
    """Solve ``trigamma(x) = value`` by Newton's method on its reciprocal (Smyth 2004, appendix)."""
    if value > 1e7:
        return 1 / math.sqrt(value)
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        tri = float(polygamma(1, x))
        step = tri * (1 - tri / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-8:
            break
    return x
