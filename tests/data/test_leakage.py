from __future__ import annotations

import pytest

from tarazu.data.item import Item
from tarazu.data.leakage import Policy, check_leakage, normalised
from tarazu.data.near import Near
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
        ("train", "validation"): ("t0", "t1"),
    }  # fmt: skip
    assert checked.report.shared_groups == {
        ("train", "matched"): ("t2",), ("train", "validation"): ("t2",),
    }  # fmt: skip
    assert checked.report.dropped == {}
    assert (checked.train, checked.validation) == (TRAIN, VALIDATION)
    assert checked.report.notes == (
        "2 of 4 train rows stand in test split 'matched'",
        "2 of 4 train rows stand in the validation split",
        "1 of 2 validation rows stand in test split 'matched'",
        "1 of 4 train rows share a group with test split 'matched'",
        "1 of 4 train rows share a group with the validation split",
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
    assert len(caught.value.problems) == 5
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


LONG = "Two men in yellow vests mend the road before the old town hall while it rains."
NEARLY = "Two men in yellow vests mend the road before the old town hall while it rained."
OTHER = "She says that nobody has seen the cat since the day before yesterday, or so."
NEAR_TRAIN = [
    pair("equal", LONG, OTHER),
    pair("near", NEARLY, OTHER),
    pair("shared", LONG, NEARLY),
    pair("free", OTHER, LONG),
]
NEAR_TEST = {"test": [pair("m0", LONG, OTHER)]}


def test_near_duplicates_are_told_from_duplicates_and_shared_groups() -> None:
    report = check_leakage(NEAR_TRAIN, [], NEAR_TEST, "report", 0.8).report
    assert report.duplicates == {("train", "test"): ("equal",)}
    (near,) = report.near_duplicates["train", "test"]
    assert (near.id, near.other) == ("near", "m0")
    assert 0.8 <= near.similarity < 1
    assert report.shared_groups == {("train", "test"): ("shared",)}
    assert report.notes[1] == (
        "1 of 4 train rows nearly stand (similarity of at least 0.8) in test split 'test'"
    )
    told = report.to_json()["overlaps"]
    assert told == [{
        "split": "train", "held_out": "test", "duplicates": ["equal"],
        "near_duplicates": [["near", "m0", round(near.similarity, 4)]],
        "shared_groups": ["shared"],
    }]  # fmt: skip


def test_near_duplicates_are_dropped_and_refused_like_the_others() -> None:
    train = NEAR_TRAIN[1::2]
    assert check_leakage(train, [], NEAR_TEST, "refuse").train == train  # not looked for
    checked = check_leakage(train, [], NEAR_TEST, "drop", 0.8)
    assert [item.id for item in checked.train] == ["free"]
    assert checked.report.dropped == {"train": ("near",)}
    with pytest.raises(BadInput, match=r"1 of 2 train rows nearly stand"):
        check_leakage(train, [], NEAR_TEST, "refuse", 0.8)


def test_training_is_held_apart_from_validation_too() -> None:
    train, validation = NEAR_TRAIN, NEAR_TEST["test"]
    checked = check_leakage(train, validation, {}, "drop", 0.8)
    assert [item.id for item in checked.train] == ["free"]
    assert checked.validation == validation
    with pytest.raises(BadInput, match="in the validation split"):
        check_leakage(train, validation, {}, "refuse")


def test_a_test_split_that_repeats_itself_is_told_and_never_refused() -> None:
    test = [
        pair("a", LONG, OTHER), pair("b", LONG.upper(), OTHER), pair("c", NEARLY, OTHER),
        pair("d", OTHER, LONG),
    ]  # fmt: skip
    report = check_leakage([pair("t", "x", "y")], [], {"test": test}, "refuse", 0.8).report
    assert report.repeated == {"test": ("b",)}
    assert [(near.id, near.other) for near in report.nearly_repeated["test"]] == [("c", "a")]
    assert report.notes == (
        "1 of 4 rows of test split 'test' repeat an earlier row of it",
        "1 of 4 rows of test split 'test' nearly repeat an earlier row of it",
    )
    assert report.to_json()["repeated"]["test"]["duplicates"] == ["b"]


def test_ids_say_nothing_about_a_near_duplicate() -> None:
    assert Near("a", "a", 1.0).other == "a"
    train, test = pair("0", NEARLY, OTHER), pair("0", LONG, OTHER)
    assert check_leakage([train], [], {"test": [test]}, "report", 0.8).report.near_duplicates


def test_persian_is_compared_by_letters_not_by_keyboards() -> None:
    assert normalised("كتاب‌هاي ٣ مدرسة") == normalised("کتاب‌های ۳ مدرسه")
    assert normalised("۱۲۳") == normalised("123")
    assert normalised("مُعَلِّم") == normalised("معلم") == normalised("معلـــم")
    assert normalised("کار") != normalised("گار")


def test_normalisation() -> None:
    assert normalised("  “Straße” —\tＡＢＣ ") == normalised("strasse abc")
    assert normalised("می‌روم؟") == normalised("میروم")
    assert normalised("can't") != normalised("can")
    assert normalised("?!") != normalised("…")
    assert normalised("1 < 2") != normalised("1 > 2")
