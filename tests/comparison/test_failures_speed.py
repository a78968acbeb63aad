from __future__ import annotations

import time

import numpy as np
import pytest

from tarazu.comparison.failures import analyse
from tarazu.comparison.findings import findings
from tarazu.testing.outcomes import make_classes, make_spans

ITEMS, ENTRIES, SEEDS = 10_000, 20, 5


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "spans"])
def test_a_large_study_takes_seconds(kind):
    rng = np.random.default_rng(0)
    slices = {
        name: tuple(rng.choice(list("pqrs"), ITEMS).tolist()) for name in ("k", "l", "m", "n")
    }
    groups = np.arange(ITEMS) // 3
    words = np.array(["red", "fox", "wolf", "May", "a red fox", "the wolf there"], dtype=object)
    said = {f"e{n}": rng.choice(words, (SEEDS, ITEMS)).tolist() for n in range(ENTRIES)}
    gold = rng.choice(words, ITEMS).tolist()
    if kind == "classes":
        scores = {name: rng.standard_normal((SEEDS, ITEMS, len(words))) for name in said}
        made = make_classes(gold, said, slices=slices, groups=groups, scores=scores)
    else:
        contexts = tuple(" ".join(rng.choice(words, 150)) for _ in range(ITEMS))
        texts = {"context": contexts}
        made = make_spans([[g] for g in gold], said, slices=slices, groups=groups, texts=texts)
    start = time.process_time()
    failures = analyse(made)
    findings(made, failures)
    assert time.process_time() - start < 15  # of the processor, however busy the machine is
