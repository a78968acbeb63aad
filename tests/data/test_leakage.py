from __future__ import annotations

import pytest

from tarazu.data.item import Item
from tarazu.data.leakage import Policy, check_leakage, normalised
from tarazu.errors import BadInput


def pair(name: str, premise: str, hypothesis: str, group: str | None = None) -> Item:
    fields = {"premise": premise, "hypothesis": hypothesis}
    return Item(name, premise if group is None else group, fields, ("neutral",))


TRAIN = [
    pair("t0", "The shop is open.", "It opens."),
    pair("t1", "  THE shop is  “open” ", "it opens"),
    pair("t2", "The shop is open.", "It is shut."),
    pair("t3", "Something else.", "It opens."),
]
VALIDATION = [pair("v0", "The shop is open", "It opens!"), pair("v1", "Far away.", "Yes.")]
TESTS = {
    "matched": [pair("m0", "The shop is open.", "It opens.")],
    "other": [pair("o0", "Nothing like it.", "It opens.")],
}


def test_t15_duplicates_and_shared_groups_are_told_apart() -> None:
    checked = check_leakage(TRAIN, VALIDATION, TESTS, "report")
    assert checked.report.duplicates == {
        ("train", "matched"): ("t0", "t1"), ("validation", "matched"): ("v0",),
    }  # fmt: skip
    assert checked.report.shared_groups == {("train", "matched"): ("t2",)}
    assert checked.report.dropped == {}
    assert (checked.train, checked.validation) == (TRAIN, VALIDATION)
    assert checked.report.notes == (
        "2 of 4 train rows stand in test split 'matched'",
        "1 of 2 validation rows stand in test split 'matched'",
        "1 of 4 train rows share a group with test split 'matched'",
    )


def test_t15_drop_removes_both_and_never_touches_the_test() -> None:
    checked = check_leakage(TRAIN, VALIDATION, TESTS, "drop")
    assert [item.id for item in checked.train] == ["t3"]
    assert [item.id for item in checked.validation] == ["v1"]
    assert checked.report.dropped == {"train": ("t0", "t1", "t2"), "validation": ("v0",)}
    assert "3 train rows were dropped because they leak" in checked.report.notes
    again = check_leakage(checked.train, checked.validation, TESTS, "refuse")
    assert again.report.notes == ()


def test_t15_refuse_names_everything() -> None:
    with pytest.raises(BadInput) as caught:
        check_leakage(TRAIN, VALIDATION, TESTS, "refuse")
    assert len(caught.value.problems) == 3
    assert "data.leakage: " in str(caught.value)


def test_dropping_everything_is_refused() -> None:
    with pytest.raises(BadInput, match="all 2 rows leak"):
        check_leakage(TRAIN[:2], [], TESTS, "drop")


@pytest.mark.parametrize("policy", ["report", "drop", "refuse"])
def test_clean_splits_pass(policy: Policy) -> None:
    checked = check_leakage(TRAIN[3:], VALIDATION[1:], TESTS, policy)
    assert checked.report.notes == ()
    assert checked.train == TRAIN[3:]


def test_groups_that_are_only_row_numbers_are_not_shared() -> None:
    train, test = pair("0", "a", "b", group="0"), pair("0", "c", "d", group="0")
    assert check_leakage([train], [], {"test": [test]}, "refuse").report.notes == ()


def test_swapped_fields_are_no_duplicate() -> None:
    train, test = pair("0", "a", "b"), pair("1", "b", "a")
    assert check_leakage([train], [], {"test": [test]}, "refuse").report.notes == ()


def test_normalisation() -> None:
    assert normalised("  “Straße” —\tＡＢＣ ") == normalised("strasse abc")
    assert normalised("می‌روم؟") == normalised("میروم")
    assert normalised("can't") != normalised("can")
    assert normalised("?!") != normalised("…")
    assert normalised("1 < 2") != normalised("1 > 2")
