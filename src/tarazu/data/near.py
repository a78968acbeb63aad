"""Near duplicates: items of which every text is nearly the same. MinHash finds, exact sets settle.

A text is compared as the set of its character shingles: runs of five characters of the normalised
text (Leskovec, Rajaraman, Ullman 2020, "Mining of Massive Datasets", section 3.2: five for short
documents). Spaces are left out, because Persian writes one word with a space, with a zero-width
non-joiner, or with neither. Two texts are as similar as their sets: Jaccard, |A ∩ B| / |A ∪ B|.

An item is as similar to another as its *least* similar text: the same long premise with another
short hypothesis is no near duplicate, however little the hypothesis weighs in the whole.

Sets are coarse where texts are short: one changed letter costs five shingles, so a text of fewer
than about 45 letters must be equal to count at 0.8, and one of fewer than 90 may change no word.
Short texts in which one word differs often have different answers; they are rightly left alone.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

SHINGLE = 5
PERMUTATIONS = 128
SEED = 1
# A pair right at the threshold is overlooked with at most this probability, a more similar one
# more rarely: (1 − tʳ)ᵇ for b bands of r rows.
_OVERLOOKED = 1e-6

Texts = tuple[str, ...]
"""The normalised texts of an item, always in the same order of its fields."""


@dataclass(frozen=True)
class Near:
    """A near duplicate.

    Attributes:
        id: The item.
        other: The most similar item of the other split.
        similarity: Jaccard similarity of their least similar texts, exact.
    """

    id: str
    other: str
    similarity: float


@functools.lru_cache(maxsize=20_000)
def shingles(text: str) -> frozenset[str]:
    """Return the runs of five characters of a normalised text; a shorter text is its own run."""
    bare = text.replace(" ", "")
    return frozenset(bare[at : at + SHINGLE] for at in range(max(1, len(bare) - SHINGLE + 1)))


def similarity(one: Texts, other: Texts) -> float:
    """Return the Jaccard similarity of the least similar pair of texts, 0 … 1."""
    return min(
        (_jaccard(shingles(a), shingles(b)) for a, b in zip(one, other, strict=True)), default=1.0
    )


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def bands(threshold: float) -> tuple[int, int]:
    """Return bands and rows of the MinHash table: as selective as overlooking nothing allows.

    Args:
        threshold: The least similarity that must be found.
    """
    rows = 1
    for more in range(2, PERMUTATIONS // 2 + 1):
        if (1 - threshold**more) ** (PERMUTATIONS // more) > _OVERLOOKED:
            break
        rows = more
    return PERMUTATIONS // rows, rows


def signatures(items: Sequence[Texts]) -> Iterator[Any]:
    """Yield the MinHash of each item, over the shingles of all its texts, told apart by text.

    Where every text reaches a similarity, the union of them does, too: no pair is lost.
    """
    from datasketch import MinHash

    tokens = (
        [f"{field}{run}" for field, text in enumerate(item) for run in shingles(text)]
        for item in items
    )
    yield from MinHash.generator(tokens, num_perm=PERMUTATIONS, seed=SEED, hashfunc=_hash)


def _hash(token: str) -> int:
    return zlib.crc32(token.encode())


class NearIndex:
    """The items of a held-out split, to be asked for near duplicates.

    Args:
        ids: Their ids.
        items: Their normalised texts.
        threshold: The least similarity that counts.
    """

    def __init__(self, ids: Sequence[str], items: Sequence[Texts], threshold: float) -> None:
        from datasketch import MinHashLSH

        self._ids, self._items, self._threshold = ids, items, threshold
        self._table = MinHashLSH(num_perm=PERMUTATIONS, params=bands(threshold))
        self._signatures = list(signatures(items))
        for place, signature in enumerate(self._signatures):
            self._table.insert(place, signature, check_duplication=False)

    def nearest(self, name: str, texts: Texts, signature: Any) -> Near | None:
        """Return the most similar held-out item, if it is similar enough.

        Args:
            name: Id of the item that is looked for.
            texts: Its normalised texts.
            signature: Its MinHash.
        """
        return self._best(name, texts, self._table.query(signature))

    def repeats(self) -> Iterator[Near]:
        """Yield the items to which an earlier item of the same split is similar, but not equal."""
        for place, signature in enumerate(self._signatures):
            own = self._items[place]
            earlier = (p for p in self._table.query(signature) if p < place)
            near = self._best(self._ids[place], own, [p for p in earlier if self._items[p] != own])
            if near is not None:
                yield near

    def _best(self, name: str, texts: Texts, places: Sequence[int]) -> Near | None:
        found = [(similarity(texts, self._items[place]), -place) for place in places]
        if not found or max(found)[0] < self._threshold:
            return None
        value, place = max(found)
        return Near(name, self._ids[-place], value)
