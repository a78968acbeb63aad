from __future__ import annotations

import numpy as np
from scipy.stats import binomtest

from tarazu.comparison.failures import analyse
from tarazu.comparison.findings import findings
from tarazu.testing.outcomes import make_classes, make_spans

RNG = np.random.default_rng(0)
GOLD = ["a"] * 100 + ["b"] * 100


def noisy(share, seed):
    """Return answers to `GOLD` of which a share is right."""
    right = np.random.default_rng(seed).random(200) < share
    return [g if hit else "ab"[g == "a"] for g, hit in zip(GOLD, right, strict=True)]


def said(outcomes):
    return " ".join(text.en for text in findings(outcomes))


def test_a_collapse_comes_first_and_is_not_also_called_no_better():
    made = make_classes(GOLD, {"good": [noisy(0.8, 1)], "bad": [["a"] * 199 + ["b"]]}, labels="ab")
    first, *_ = findings(made)
    assert "bad collapsed to one class: it answers 'a' to 99.5 % of the items." in first.en
    assert "bad" in first.fa
    assert "یک دسته" in first.fa
    assert "Not shown to be better" not in said(made)


def test_runs_that_collapsed_are_counted():
    made = make_classes(GOLD, {"x": [["a"] * 200, noisy(0.8, 2), ["b"] * 200]}, labels="ab")
    assert "answers 'a' / 'b' to all of the items in 2 of 3 runs" in said(made)


def test_an_entry_whose_every_run_could_be_luck_is_named():
    coin = [noisy(0.5, seed) for seed in range(2)]
    made = make_classes(GOLD, {"good": [noisy(0.9, 3)], "coin": coin}, labels="ab")
    assert "better than always giving one class: coin." in said(made)
    mixed = make_classes(GOLD, {"mixed": [noisy(0.5, 4), noisy(0.9, 5)]}, labels="ab")
    assert "Not shown to be better" not in said(mixed)


def test_unreadable_answers_are_told_from_a_tenth_on():
    def unread(count):
        return make_classes(GOLD, {"x": [[None] * count + GOLD[count:]]}, labels="ab")

    assert "x: 10 % of the answers (20 of 200 items) could not be read" in said(unread(20))
    assert "could not be read" not in said(unread(19))


def test_a_merge_that_costs_answers_is_told_and_a_harmless_one_is_not():
    trained = noisy(0.9, 6)
    broken = ["b" if one == "a" else one for one in trained[:100]] + trained[100:]
    harmless = [*trained[:-1], "a" if trained[-1] == "b" else "b"]
    made = make_classes(
        GOLD, {"q:adapter": [trained], "q": [harmless], "q:merged": [broken]}, labels="ab"
    )
    text = said(made)
    assert "q:merged is not the model that was trained: against q:adapter" in text
    assert "q is not the model" not in text


def test_how_many_answers_a_merge_changes_is_told_apart_from_whether_that_could_be_luck():
    trained = ["a"] * 150 + ["b"] * 50
    changed = ["b"] * 33 + ["a"] * 67 + ["b"] * 43 + ["a"] * 7 + ["b"] * 50
    made = make_classes(GOLD, {"q:adapter": [trained], "q": [changed]}, labels="ab")
    text = said(made)
    assert "it answers 76 of 200 items differently; 33 turn from right to wrong and 43" in text
    assert f"not shown to change (p = {binomtest(33, 76).pvalue:.3f} for as many of each" in text
    assert "p < 0.001" not in text
    lost = ["b"] * 40 + ["a"] * 110 + ["b"] * 50
    text = said(make_classes(GOLD, {"q:adapter": [trained], "q": [lost]}, labels="ab"))
    assert "changes beyond luck (p < 0.001 for as many of each" in text


def test_a_change_over_seeds_is_held_against_the_same_counts_that_are_told():
    trained = [["a"] * 200, ["b"] * 200, ["a"] * 100 + ["b"] * 100]
    merged = [["a"] * 100 + ["b"] * 100, ["a"] * 100 + ["b"] * 100, ["b"] * 100 + ["a"] * 100]
    text = said(make_classes(GOLD, {"q:adapter": trained, "q": merged}, labels="ab"))
    assert "66.7 turn from right to wrong and 66.7 from wrong to right (means over seeds)" in text
    assert "not shown to change (p = 1.000" in text


def test_never_right_needs_two_entries():
    wrong = ["b", *GOLD[1:]]
    one = make_classes(GOLD, {"x": [wrong]}, labels="ab")
    two = make_classes(GOLD, {"x": [wrong], "y": [wrong]}, labels="ab")
    assert "wrong in every run" not in said(one)
    assert "1 of 200 items are wrong in every run of all 2 entries" in said(two)


def test_the_two_best_entries_are_held_against_each_other():
    made = make_classes(
        GOLD,
        {"low": [noisy(0.4, 7)], "x": [["b"] * 30 + GOLD[30:]], "y": [GOLD[:150] + ["a"] * 50]},
        labels="ab",
    )
    text = said(made)
    assert "x and y, which are right most often, differ on 80 of 200 items" in text
    assert "x fixes 50 errors of y, and y fixes 30 of x" in text
    assert "One of them is right about 200; the better one alone about 170." in text


def test_a_weak_slice_is_told_with_its_correction_and_luck_is_not():
    right = np.concatenate([RNG.random(50) < 0.3, RNG.random(150) < 0.9])
    answers = [g if hit else "ab"[g == "a"] for g, hit in zip(GOLD, right, strict=True)]
    values = ("hard",) * 50 + ("easy",) * 150
    made = make_classes(GOLD, {"x": [answers]}, labels="ab", slices={"kind": values})
    assert "x is weak where kind is hard" in said(made)
    for seed in range(5):
        even = make_classes(GOLD, {"x": [noisy(0.7, seed)]}, labels="ab", slices={"kind": values})
        assert "is weak where" not in said(even)


def test_over_confidence_is_told_where_it_is_no_luck():
    answers = noisy(0.6, 9)
    sure = np.array([[3.0, 0.0] if one == "a" else [0.0, 3.0] for one in answers])

    def scored(scores):
        return make_classes(GOLD, {"x": [answers]}, labels="ab", scores={"x": scores[None]})

    assert "x is over-confident: its mean confidence is 95 %" in said(scored(sure))
    assert "over-confident" not in said(scored(sure * 0.14))
    # 75 % confident and right in 18 of 30: the gap is wide, and could be luck.
    few = ["a"] * 18 + ["b"] * 12
    scores = {"x": [[[1.1, 0.0] if one == "a" else [0.0, 1.1] for one in few]]}
    luck = make_classes(["a"] * 30, {"x": [few]}, labels="ab", scores=scores)
    assert "over-confident" not in said(luck)


def test_the_commonest_error_of_spans_is_told_where_it_is_no_luck():
    golds = [["grey wolf"]] * 40
    clear = ["the grey wolf there"] * 25 + ["wolf"] * 5 + ["grey wolf"] * 10
    even = ["the grey wolf there"] * 13 + ["wolf"] * 12 + ["grey wolf"] * 15
    text = said(make_spans(golds, {"clear": [clear], "even": [even]}))
    assert "commonest error of clear is 'over-long'" in text
    assert "25 of 30 answers that are not exact" in text
    assert "error of even" not in text


def test_the_commonest_error_over_seeds_is_tested_by_the_counts_that_are_told():
    # Short answers are the most (30 a run) but always to the same items; long ones (29 a run) are
    # given to others in every run, so that more items show one of them in any run.
    golds = [["grey wolf"]] * 120
    runs = [["wolf"] * 30 + ["grey wolf"] * 90 for _ in range(3)]
    for number, run in enumerate(runs):
        start = 30 + 29 * number
        run[start : start + 29] = ["the grey wolf there"] * 29
    assert "commonest error" not in said(make_spans(golds, {"x": runs}))


def test_every_sentence_has_the_same_numbers_in_both_languages():
    made = make_classes(GOLD, {"x": [["a"] * 200], "y": [noisy(0.6, 1)]}, labels="ab")
    failures = analyse(made)
    found = findings(made, failures)
    assert found == findings(made)
    for text in found:
        assert text.en
        assert text.fa
        assert text.en != text.fa
