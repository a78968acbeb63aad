from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tarazu.comparison.flips import DIRECTION_NAMES, DIRECTIONS, flips
from tarazu.testing.outcomes import make_classes, make_spans

GOLD = list("aaaaaa")
TRAINED = ["a", "a", "b", "b", "b", None]
MERGED = ["a", "b", "a", "b", "c", "b"]


def test_directions_by_hand():
    made = make_classes(GOLD, {"q": [MERGED], "q:adapter": [TRAINED]}, labels="abc")
    (found,) = flips(made)
    assert (found.form, found.against) == ("q", "q:adapter")
    assert found.changed().tolist() == [4]
    assert found.items("right-to-wrong").tolist() == [1]
    assert found.items("wrong-to-right").tolist() == [2]
    assert found.items("wrong-to-other-wrong").tolist() == [4, 5]
    assert found.p_value == 1.0


def test_p_is_mcnemars_on_the_items():
    trained, merged = ["a"] * 20, ["b"] * 9 + ["a"] * 11
    trained[19] = "b"
    (found,) = flips(make_classes(["a"] * 20, {"q:main": [trained], "q": [merged]}, labels="ab"))
    # 9 turn wrong and 1 right: 2 · (1 + 10) / 2¹⁰.
    assert found.p_value == pytest.approx(22 / 1024)


def test_groups_of_items_are_flipped_together():
    said = {"q:main": [["a"] * 20], "q": [["b"] * 20]}
    made = make_classes(["a"] * 20, said, labels="ab", groups=np.repeat([0, 1], 10))
    assert flips(made)[0].p_value == pytest.approx(0.5)


def test_p_is_of_the_counts_that_are_shown_and_not_of_what_most_runs_do():
    # Three runs fell on three classes, so hardly an item is right in most of them, and merging
    # makes many so: yet as many answers turn wrong as turn right.
    gold = list("abc") * 80
    trained = [["a"] * 240, ["b"] * 240, ["c"] * 240]
    merged = [list(row) for row in trained]
    for number, row in enumerate(merged):
        for item in range(number, 240, 3):
            # One in two of the items that a run had right, and of those that it had wrong.
            if item % 2:
                row[item] = "abc"[number - 1]
            row[item - 1] = gold[item - 1] if (item // 3) % 2 else row[item - 1]
    (found,) = flips(make_classes(gold, {"q:adapter": trained, "q": merged}, labels="abc"))
    lost, won = (found.counts(w).sum() for w in ("right-to-wrong", "wrong-to-right"))
    assert lost == won == 120
    assert found.p_value == 1.0


def test_a_change_that_the_sign_test_calls_luck_is_luck_over_seeds_too():
    # 33 turn wrong and 42.7 turn right, means over three seeds, as one study had them.
    gold, trained = ["a"] * 240, [["a"] * 100 + ["b"] * 140] * 3
    counts = [(5, 12), (70, 64), (24, 52)]
    merged = [
        ["b"] * lost + ["a"] * (100 - lost) + ["a"] * won + ["b"] * (140 - won)
        for lost, won in counts
    ]
    (found,) = flips(make_classes(gold, {"q:adapter": trained, "q": merged}, labels="ab"))
    assert found.counts("right-to-wrong").mean() == pytest.approx(33)
    assert found.counts("wrong-to-right").mean() == pytest.approx(128 / 3)
    assert binomtest(33, 76).pvalue == pytest.approx(0.30, abs=0.01)
    assert found.p_value > 0.05


def test_a_change_that_every_seed_shows_is_told():
    gold, trained = ["a"] * 240, [["a"] * 240] * 3
    merged = [["b"] * lost + ["a"] * (240 - lost) for lost in (38, 40, 42)]
    (found,) = flips(make_classes(gold, {"q:adapter": trained, "q": merged}, labels="ab"))
    assert found.p_value < 1e-3


def test_seeds_that_repeat_one_another_are_no_more_evidence_than_one():
    trained, merged = ["a"] * 20, ["b"] * 5 + ["a"] * 15
    for seeds in (1, 3, 10):
        said = {"q:main": [trained] * seeds, "q": [merged] * seeds}
        (found,) = flips(make_classes(["a"] * 20, said, labels="ab"))
        assert found.p_value == pytest.approx(binomtest(5, 5).pvalue)


def test_without_an_adapter_the_primary_form_is_the_one_as_trained():
    said = {"q": [TRAINED], "q:gguf": [MERGED], "r": [MERGED], "s:gguf": [MERGED]}
    made = make_classes(GOLD, said, labels="abc")
    assert [(one.form, one.against) for one in flips(made)] == [("q:gguf", "q")]


def test_every_form_is_held_against_the_adapter_and_not_against_each_other():
    said = {"q": [MERGED], "q:adapter": [TRAINED], "q:merged-16bit": [GOLD]}
    found = flips(make_classes(GOLD, said, labels="abc"))
    assert [(one.form, one.against) for one in found] == [
        ("q", "q:adapter"),
        ("q:merged-16bit", "q:adapter"),
    ]


def test_seeds_are_matched_by_their_number():
    rows = [["a", "a"], ["b", "b"], ["a", "b"]]
    said = {"q:main": rows, "q": rows}
    made = make_classes(["a", "a"], said, labels="ab")
    later = replace(made.entries[1], seeds=(9, 1, 2))
    (found,) = flips(replace(made, entries=(made.entries[0], later)))
    assert found.seeds == (1, 2)
    assert found.changed().tolist() == [0, 0]
    apart = replace(later, seeds=(7, 8, 9))
    assert flips(replace(made, entries=(made.entries[0], apart))) == []


def test_another_right_span_is_a_change_too():
    made = make_spans([["fox", "red fox"]], {"q:main": [["fox"]], "q": [["red fox"]]})
    (found,) = flips(made)
    assert found.counts("right-to-other-right").tolist() == [1]


@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "c", None])] * 3), min_size=1, max_size=20))
def test_every_changed_answer_has_one_direction(triples):
    gold, was, now = zip(*[(g or "a", x, y) for g, x, y in triples], strict=True)
    (found,) = flips(make_classes(gold, {"q:main": [was], "q": [now]}, labels="abc"))
    total = sum(found.counts(way) for way in DIRECTIONS)
    assert total.tolist() == found.changed().tolist()
    assert total.tolist() == [sum(x != y for x, y in zip(was, now, strict=True))]


def test_every_direction_has_a_name():
    assert set(DIRECTION_NAMES) == set(DIRECTIONS)
