"""Records and ledger → how often the test sets of a study had been looked at before its runs.

A test set that was scored, looked at, and scored again after a choice no longer gives an unbiased
figure for what was chosen (Dwork et al. 2015, "The reusable holdout", arXiv 1506.02629). Nobody can
say by how much, but the scorings can be counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tarazu.comparison.entries import every_size

if TYPE_CHECKING:
    from tarazu.record.ledger import Scoring
    from tarazu.record.record import RunRecord


@dataclass(frozen=True)
class Exposure:
    """Scorings of a test set by other runs than those that a study shows.

    Attributes:
        test: SHA-256 of the test items.
        split: What the study calls the test set.
        times: Scorings before the last one of the study's own runs.
        studies: How many other studies they belong to.
        own: Whether some belong to this study: with settings that were changed since, or by entries
            that were left out.
    """

    test: str
    split: str
    times: int
    studies: int
    own: bool


def exposures(records: Sequence[RunRecord], scorings: Iterable[Scoring]) -> list[Exposure]:
    """Count the earlier scorings of each test set of a study.

    The runs that the study shows are not counted, nor is the same run made again elsewhere: it
    shows nothing new to choose by.

    Args:
        records: All records of the study.
        scorings: What the ledger of its folder knows.

    Returns:
        One per test set that had been scored before, in the order of the records.
    """
    shown = [record for record in every_size(records) if record.status == "done"]
    keys = {record.key for record in shown}
    studies = {record.spec.study for record in shown}
    known = list(scorings)
    tests = {r.inputs[split].sha256: split for r in shown for split in r.test_access}
    found = []
    for test, split in tests.items():
        of_test = [scoring for scoring in known if scoring.test == test]
        own = [scoring.when for scoring in of_test if scoring.key in keys]
        # Records from before there was a ledger: the moment at which they were finished.
        last = max(own) if own else max(record.finished or "" for record in shown)
        before = [s for s in of_test if s.key not in keys and s.when <= last]
        if before:
            others = {scoring.study for scoring in before} - studies
            mine = any(scoring.study in studies for scoring in before)
            found.append(Exposure(test, split, len(before), len(others), mine))
    return found
