from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tarazu.data.item import Item
from tarazu.data.split import fingerprint, sample_items, split_by_group
from tarazu.errors import BadInput

LABELS = ("entailment", "neutral", "contradiction")


def make(n: int, groups: int, seed: int = 0, labels: tuple[str, ...] = LABELS) -> list[Item]:
    draw = random.Random(seed)
    return [
        Item(str(i), f"g{draw.randrange(groups)}", {"text": f"t{i}"}, (draw.choice(labels),))
        for i in range(n)
    ]


@given(n=st.integers(10, 200), groups=st.integers(2, 60), seed=st.integers(0, 5))
def test_groups_never_part_and_no_row_is_lost(n: int, groups: int, seed: int) -> None:
    items = make(n, groups, seed)
    if len({item.group for item in items}) < 2:
        return
    rest, cut = split_by_group(items, n // 3, seed)
    assert rest
    assert cut
    assert not {item.group for item in rest} & {item.group for item in cut}
    assert sorted([*rest, *cut], key=lambda i: int(i.id)) == items
    assert [int(item.id) for item in cut] == sorted(int(item.id) for item in cut)


@pytest.mark.parametrize("groups", [200, 1000, 100_000])
def test_size_and_label_shares_stay_within_a_few_points(groups: int) -> None:
    items = make(3000, groups, labels=("a", "a", "a", "b", "b", "c"))
    rest, cut = split_by_group(items, 500, seed=1)
    assert 450 <= len(cut) <= 550
    for part in (rest, cut):
        shares = Counter(item.gold[0] for item in part)
        for label, share in (("a", 0.5), ("b", 1 / 3), ("c", 1 / 6)):
            assert abs(shares[label] / len(part) - share) < 0.03


def test_label_shares_hold_when_a_group_has_one_label() -> None:
    draw = random.Random(0)
    labels = draw.choices("abc", [0.5, 0.4, 0.1], k=400)
    items = [Item(f"{g}-{i}", f"g{g}", {}, (labels[g],)) for g in range(400) for i in range(5)]
    whole = Counter(item.gold[0] for item in items)
    _, cut = split_by_group(items, 300, seed=0)
    shares = Counter(item.gold[0] for item in cut)
    assert all(abs(shares[x] / len(cut) - whole[x] / len(items)) < 0.02 for x in "abc")


def test_free_text_answers_are_no_strata() -> None:
    items = [Item(str(i), f"g{i // 3}", {}, (f"answer {i}",)) for i in range(900)]
    _, cut = split_by_group(items, 90, seed=0)
    assert len(cut) == 90


def test_the_split_depends_on_seed_and_content_not_on_order() -> None:
    items = make(300, 80)
    _, cut = split_by_group(items, 100, seed=3)
    shuffled = items[:]
    random.Random(1).shuffle(shuffled)
    assert {i.id for i in split_by_group(shuffled, 100, seed=3)[1]} == {i.id for i in cut}
    assert {i.id for i in split_by_group(items, 100, seed=4)[1]} != {i.id for i in cut}


def test_one_big_group_is_taken_rather_than_none() -> None:
    items = [Item(str(i), f"g{i // 50}", {}, ("a",)) for i in range(150)]
    rest, cut = split_by_group(items, 10, seed=0)
    assert (len(rest), len(cut)) == (100, 50)


def test_what_cannot_be_cut() -> None:
    items = make(20, 5)
    with pytest.raises(BadInput, match=r"fewer rows .* than the 20"):
        split_by_group(items, 20, seed=0)
    with pytest.raises(BadInput, match="at least two groups"):
        split_by_group(make(20, 1), 5, seed=0)


@pytest.mark.parametrize("whole_groups", [False, True])
@given(sizes=st.tuples(st.integers(1, 300), st.integers(1, 300)), seed=st.integers(0, 3))
def test_samples_are_exact_ordered_and_nested(
    whole_groups: bool, sizes: tuple[int, int], seed: int
) -> None:
    items = make(300, 60)
    small, big = (
        sample_items(items, size, seed, whole_groups=whole_groups) for size in sorted(sizes)
    )
    assert (len(small), len(big)) == tuple(sorted(sizes))
    assert [int(i.id) for i in big] == sorted(int(i.id) for i in big)
    assert {i.id for i in small} <= {i.id for i in big}


@given(
    counts=st.lists(st.integers(1, 80), min_size=1, max_size=6),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 3),
)
def test_samples_have_the_labels_in_the_same_shares(
    counts: list[int], share: float, seed: int
) -> None:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    items = [Item(str(i), "g", {}, (f"l{label}",)) for i, label in enumerate(labels)]
    chosen = sample_items(items, share, seed)
    found = Counter(item.gold[0] for item in chosen)
    for label, count in enumerate(counts):
        wanted = len(chosen) * count / len(items)
        off = 0.5 + len(counts) / 2 * count / len(items)
        assert abs(found[f"l{label}"] - wanted) <= off + 1e-9


def test_answers_in_a_text_are_no_strata() -> None:
    items = [Item(str(i), "g", {}, ("a" if i < 9 else "b",), starts=(0,)) for i in range(90)]
    plain = [Item(str(i), "g", {}, (f"answer {i}",)) for i in range(90)]
    for seed in range(9):
        spans, texts = ([i.id for i in sample_items(x, 30, seed)] for x in (items, plain))
        assert spans == texts


def test_a_sample_of_groups_parts_at_most_one() -> None:
    items = make(300, 60)
    chosen = Counter(i.group for i in sample_items(items, 101, 0, whole_groups=True))
    whole = Counter(i.group for i in items)
    assert sum(chosen[group] != whole[group] for group in chosen) <= 1


def test_fractions_and_seeds() -> None:
    items = make(300, 60)
    assert len(sample_items(items, 0.1, 0)) == 30
    assert sample_items(items, 1.0, 0) == items
    assert len(sample_items(items, 0.0001, 0)) == 1
    assert sample_items(items, 30, 0) == sample_items(items, 0.1, 0)
    assert sample_items(items, 30, 0) != sample_items(items, 30, 1)
    assert sample_items(items, 1, 0) == sample_items(items[::-1], 1, 0)


def test_a_sample_is_unbiased() -> None:
    items = [Item(str(i), "g", {}, ("a",)) for i in range(10_000)]
    mean = sum(int(i.id) for i in sample_items(items, 2000, 0)) / 2000
    assert abs(mean - 5000) < 250  # four standard errors


def test_more_rows_than_there_are() -> None:
    with pytest.raises(BadInput, match=r"data\.sample\.test: .*at most the 10 rows.*but got 11"):
        sample_items(make(10, 3), 11, 0, where="data.sample.test")


def test_fingerprint_sees_content_and_order_but_no_slices() -> None:
    items = make(5, 3)
    assert fingerprint(items) == fingerprint(make(5, 3))
    assert fingerprint(items) != fingerprint(items[::-1])
    assert fingerprint(items) != fingerprint([items[0].with_fields(text="x"), *items[1:]])
