from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tarazu.data.leakage import normalised
from tarazu.data.near import (
    PERMUTATIONS,
    Near,
    NearIndex,
    bands,
    shingles,
    signatures,
    similarity,
)

# 60 letters, each once: every shingle stands once, so that similarities can be counted by hand.
LETTERS = "".join(chr(0x4E00 + n) for n in range(60))


def nearest(asked: tuple[str, ...], items: list[tuple[str, ...]], threshold: float) -> Near | None:
    index = NearIndex([f"m{n}" for n in range(len(items))], items, threshold)
    (signature,) = signatures([asked])
    return index.nearest("asked", asked, signature)


def test_shingles_are_runs_of_five_without_spaces() -> None:
    assert shingles("ab cd efg") == {"abcde", "bcdef", "cdefg"}
    assert shingles("abc") == {"abc"}
    assert shingles("") == {""}


@pytest.mark.parametrize("same", ["می‌روم", "می روم", "میروم", "مي‌روم"])
def test_persian_spacing_and_keyboards_do_not_matter(same: str) -> None:
    assert similarity((normalised(same),), (normalised("می‌روم"),)) == 1


def test_an_item_is_as_similar_as_its_least_similar_text() -> None:
    premise, one, two = "a very long premise about nothing at all " * 5, "it opens", "he has left"
    assert similarity((premise, one), (premise, one)) == 1
    assert similarity((premise, one), (premise, two)) == 0
    assert nearest((premise, one), [(premise, two)], 0.5) is None


# 49 letters have 45 runs; with the last five replaced 40 of 50 are shared, with six 39 of 51.
@pytest.mark.parametrize(("replaced", "value"), [(5, 40 / 50), (6, 39 / 51)])
def test_the_threshold_is_exact(replaced: int, value: float) -> None:
    one = LETTERS[:49]
    other = LETTERS[: 49 - replaced] + LETTERS[-replaced:]
    assert similarity((one,), (other,)) == value
    assert nearest((one,), [(other,)], 0.8) == (Near("asked", "m0", 0.8) if value == 0.8 else None)
    assert nearest((one,), [(other,)], value) == Near("asked", "m0", value)


def test_the_most_similar_item_is_named_the_first_of_equals() -> None:
    far, near = LETTERS[:44] + LETTERS[-5:], LETTERS[:48] + LETTERS[-1:]
    found = nearest((LETTERS[:49],), [(far,), (near,), (near,)], 0.8)
    assert found is not None
    assert found.other == "m1"


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), threshold=st.sampled_from([0.5, 0.65, 0.8, 0.95]))
def test_nothing_that_brute_force_finds_is_overlooked(seed: int, threshold: float) -> None:
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghij", k=draw.randrange(2, 8))) for _ in range(40)]
    items = [
        (" ".join(draw.choices(words, k=12)), " ".join(draw.choices(words, k=5)))
        for _ in range(20)
    ]  # fmt: skip
    asked = []
    for text, other in draw.choices(items, k=20):
        letters = list(text)
        for _ in range(draw.randrange(8)):
            letters[draw.randrange(len(letters))] = draw.choice("klm")
        asked.append(("".join(letters), other))
    index = NearIndex([f"m{n}" for n in range(20)], items, threshold)
    for one, signature in zip(asked, signatures(asked), strict=True):
        best = max(similarity(one, item) for item in items)
        found = index.nearest("asked", one, signature)
        assert (found.similarity if found else None) == (best if best >= threshold else None)


@given(threshold=st.floats(0.5, 1))
def test_the_table_overlooks_less_than_one_in_a_million(threshold: float) -> None:
    count, rows = bands(threshold)
    assert count >= 2
    assert count * rows <= PERMUTATIONS
    assert (1 - threshold**rows) ** count <= 1e-6


def test_bands_are_as_selective_as_that_allows() -> None:
    assert bands(0.8) == (32, 4)
    assert bands(0.5) == (64, 2)
    count, rows = 128 // 5, 5
    assert (1 - 0.8**rows) ** count > 1e-6


def test_repeats_name_the_later_item_and_leave_equal_ones_out() -> None:
    near = LETTERS[:48] + LETTERS[-1:]
    index = NearIndex(["a", "b", "c", "d"], [(LETTERS[:49],)] * 2 + [(near,), ("x",)], 0.8)
    assert [(found.id, found.other) for found in index.repeats()] == [("c", "a")]
