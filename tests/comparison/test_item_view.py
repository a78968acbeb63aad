from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tarazu.comparison.item_view import item_view
from tarazu.comparison.overlap import overlap, overlaps
from tarazu.testing.outcomes import make_classes

# Items:          0    1    2    3    4
GOLD = ["a", "a", "a", "a", "a"]
SAID = {
    "x": [["a", "a", "b", "b", "b"], ["a", "a", "b", "a", "b"], ["a", "b", "b", "b", "b"]],
    "y": [["a", "b", "b", "b", "b"]],
    "z": [["a", "b", "b", "b", "a"]],
    "z:merged": [["a", "a", "a", "a", "a"]],
}


def view():
    return item_view(make_classes(GOLD, SAID, labels="ab"))


def test_shares_and_the_majority_of_seeds():
    found = view()
    assert found.entries == ("x", "y", "z")
    np.testing.assert_allclose(found.share[0], [1, 2 / 3, 0, 1 / 3, 0])
    assert found.right.tolist() == [
        [True, True, False, False, False],
        [True, False, False, False, False],
        [True, False, False, False, True],
    ]


def test_never_right_means_in_no_run_at_all():
    """One of three seeds of x gets item 3 right: it is usually wrong, but not never right."""
    assert view().never_right().tolist() == [2]
    assert view().always_right().tolist() == [0]


def test_items_that_one_entry_alone_gets_right():
    found = view()
    assert found.only_right_for("x").tolist() == [1]
    assert found.only_right_for("y").tolist() == []
    assert found.only_right_for("z").tolist() == [4]


def test_the_most_divided_items_stay_in_order():
    found = view()
    np.testing.assert_allclose(found.division(), [0, 2 / 3, 0, 0, 2 / 3])
    assert found.most_divided().tolist() == [1, 4]


def test_entries_are_ranked_by_the_share_of_right_answers():
    """Shares of x, y and z: 1 + 2/3 + 1/3, 1 and 2 of 5 items; equal ones stay in order."""
    assert view().ranked() == ["x", "z", "y"]


def test_nothing_is_said_without_entries():
    empty = item_view(make_classes(GOLD, {"z:merged": SAID["z:merged"]}))
    assert empty.never_right().tolist() == empty.always_right().tolist() == []


@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=2, max_size=5))
def test_division_counts_pairs_of_which_one_is_right(rows):
    said = {str(n): [["a" if hit else "b" for hit in row]] for n, row in enumerate(rows)}
    found = item_view(make_classes(["a"] * 4, said, labels="ab")).division()
    count = len(rows)
    for item in range(4):
        column = [row[item] for row in rows]
        pairs = [(i, j) for i in range(count) for j in range(i)]
        assert np.isclose(found[item], np.mean([column[i] != column[j] for i, j in pairs]))


def test_overlap_by_hand():
    """a is right about 0-3, b about 2-5, both wrong about 6-9."""
    a = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    b = np.array([0, 0, 1, 1, 1, 1, 0, 0, 0, 0], bool)
    found = overlap("a", "b", a, b)
    assert found.fixed_by_a.tolist() == [0, 1]
    assert found.fixed_by_b.tolist() == [4, 5]
    assert (found.both_right, found.both_wrong, found.either_right) == (2, 4, 6)
    assert np.isclose(found.both_wrong_by_chance, 10 * 0.6 * 0.6)
    # Agreed 0.6; by chance 0.4 · 0.4 + 0.6 · 0.6 = 0.52.
    assert np.isclose(found.kappa, (0.6 - 0.52) / 0.48)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_kappa_is_scikit_learns(pairs):
    from sklearn.metrics import cohen_kappa_score

    a, b = (np.array(column, bool) for column in zip(*pairs, strict=True))
    found = overlap("a", "b", a, b)
    assert found.items == len(pairs)
    if found.kappa is None:
        assert (a == a[0]).all()
        assert (b == a[0]).all()
    else:
        assert np.isclose(found.kappa, cohen_kappa_score(a, b))


def test_every_pair_once_and_what_one_fixes_is_the_others_error():
    found = overlaps(view())
    assert [(one.a, one.b) for one in found] == [("x", "y"), ("x", "z"), ("y", "z")]
    assert found[1].fixed_by_a.tolist() == [1]
    assert found[1].fixed_by_b.tolist() == [4]
