from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
