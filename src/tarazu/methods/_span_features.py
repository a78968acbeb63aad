"""Candidate answers of a question, and their features for a linear model.

Features are arrays over a question's candidates: a few `dense` numbers, and `codes`, each column a
category (such as question word × first word), which stands for one-hot features.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tarazu.data.item import Item
from tarazu.evaluation.squad import fold_variants

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

_WORD = re.compile(r"[^\W_]+(?:[.,]\d+)*")
_SENTENCE_END = re.compile(r"[.!?؟…]\W*\s|\n")
_QUESTION_WORDS = frozenset(
    re.findall(
        r"\w+",
        "what which who whose whom when where why how چه چرا کجا کدام کی چند چگونه چطور چقدر",
    )
)
_STEM = 5  # letters; a crude stem, the same for all languages: founded, founder, foundation
_LEXICON = 300
_TYPES = 40
_WINDOW = 4
_OUTSIDE = 0  # code of what lies before the first or after the last word of a text


class Word(NamedTuple):
    """A word of a text.

    Attributes:
        text: Folded: lower case, one spelling for variants of a letter.
        start: Where it starts in the text.
        end: Where it ends.
    """

    text: str
    start: int
    end: int


def find_words(text: str) -> list[Word]:
    """Return the words of a text with their places; punctuation belongs to none."""
    return [
        Word(fold_variants(match[0]).casefold(), match.start(), match.end())
        for match in _WORD.finditer(text)
    ]


@dataclass(frozen=True)
class Lexicon:
    """What is counted on the training split.

    Attributes:
        idf: Inverse document frequency by stem; contexts are the documents.
        unseen: The same for stems that never occur.
        codes: Number of every frequent word; other words go by their shape.
        types: Number of every frequent kind of question, such as ``how many``.
    """

    idf: dict[str, float]
    unseen: float
    codes: dict[str, int]
    types: dict[str, int]

    @classmethod
    def of(cls, train: Sequence[Item]) -> Lexicon:
        """Count words in contexts and kinds of questions."""
        contexts = sorted({item.fields["context"] for item in train})
        documents = [[word.text for word in find_words(text)] for text in contexts]
        stems = _document_counts([word[:_STEM] for word in words] for words in documents)
        frequent = _document_counts(documents).most_common(_LEXICON)
        kinds = Counter(kind for item in train for kind in _kinds(item.fields["question"]))
        total = len(contexts)
        return cls(
            idf={stem: math.log((1 + total) / (1 + n)) for stem, n in stems.items()},
            unseen=math.log(1 + total),
            codes={word: 1 + _SHAPES + number for number, (word, _) in enumerate(frequent)},
            types={kind: 1 + number for number, (kind, _) in enumerate(kinds.most_common(_TYPES))},
        )

    @property
    def sizes(self) -> list[int]:
        """How many values every column of `Candidates.codes` can take."""
        words, types = 1 + _SHAPES + len(self.codes), 1 + len(self.types)
        return [words * types, words * types, words, words, 2**_FLAGS * types, 32 * types]

    def code(self, word: Word, text: str) -> int:
        """Return the number of a frequent word, or of another word's shape."""
        return self.codes.get(word.text, 1 + _shape(text[word.start : word.end]))

    def question_type(self, question: str) -> int:
        """Return the number of the most specific known kind of a question; 0 for none."""
        return next((self.types[k] for k in _kinds(question) if k in self.types), 0)


def _document_counts(documents: Iterable[Sequence[str]]) -> Counter[str]:
    # Sorted, so that ties do not fall by the order of a set, which differs between processes.
    return Counter(word for words in documents for word in sorted(set(words)))


def _kinds(question: str) -> list[str]:
    """Return the question word with the word after it, and alone; else the first word."""
    words = [word.text for word in find_words(question)]
    if not words:
        return []
    place = next((n for n, word in enumerate(words) if word in _QUESTION_WORDS), 0)
    return [" ".join(words[place : place + 2]), words[place]]


_SHAPES = 6


def _shape(word: str) -> int:
    if word.isdigit() and len(word) == 4:
        return 0  # looks like a year
    if any(char.isdigit() for char in word):
        return 1
    if word.isupper() and len(word) > 1:
        return 2
    if word[:1].isupper():
        return 3
    return 4 if len(word) > 6 else 5


_FLAGS = 5


@dataclass(frozen=True)
class Candidates:
    """All candidates of a question, with their features.

    Attributes:
        words: Words of the context.
        starts: First word of every candidate.
        ends: Last word of every candidate.
        dense: Numbers, a row per candidate.
        codes: Categories, a row per candidate (see `Lexicon.sizes`).
    """

    words: list[Word]
    starts: Ints
    ends: Ints
    dense: Floats
    codes: Ints

    @classmethod
    def of(cls, item: Item, lexicon: Lexicon, max_words: int) -> Candidates:
        """Build all candidates of an item."""
        import numpy as np

        text, question = item.fields["context"], item.fields["question"]
        words = find_words(text)
        sentence = _sentences(text, words)
        starts, ends = _spans(sentence, max_words)
        asked = {word.text[:_STEM] for word in find_words(question)}
        stems = [word.text[:_STEM] for word in words]
        idf = np.array([lexicon.idf.get(stem, lexicon.unseen) for stem in stems])
        match = idf * np.array([stem in asked for stem in stems], dtype=float)
        weight = sum(lexicon.idf.get(stem, lexicon.unseen) for stem in asked) or 1.0
        dense = _dense(stems, sentence, idf, match / weight, starts, ends)
        codes = _codes(text, words, lexicon, lexicon.question_type(question), starts, ends)
        return cls(words, starts, ends, dense, codes)

    def gold(self, item: Item) -> Ints:
        """Return the numbers of the candidates that are right: the words a gold span touches."""
        import numpy as np

        right = []
        for answer, start in zip(item.gold, item.starts, strict=False):
            end = start + len(answer)
            inside = [n for n, w in enumerate(self.words) if w.start < end and w.end > start]
            if inside:
                found = (self.starts == inside[0]) & (self.ends == inside[-1])
                right += np.flatnonzero(found).tolist()
        return np.array(sorted(set(right)), dtype=np.int64)


def _sentences(text: str, words: Sequence[Word]) -> Ints:
    """Return the number of every word's sentence; the point after an initial ends none."""
    import numpy as np

    numbers, current = [], 0
    for before, word in zip([None, *words], words, strict=False):
        if before is not None:
            gap = text[before.end : word.start]
            initial = len(before.text) == 1 and before.text.isalpha() and "\n" not in gap
            current += bool(_SENTENCE_END.search(gap)) and not initial
        numbers.append(current)
    return np.array(numbers, dtype=np.int64)


def _spans(sentence: Ints, max_words: int) -> tuple[Ints, Ints]:
    """Return first and last word of every sequence within a sentence."""
    import numpy as np

    starts, ends = [], []
    for length in range(min(max_words, len(sentence))):
        first = np.arange(len(sentence) - length)
        first = first[sentence[first] == sentence[first + length]]
        starts.append(first)
        ends.append(first + length)
    if not starts:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    return np.concatenate(starts), np.concatenate(ends)


def _dense(
    stems: Sequence[str], sentence: Ints, idf: Floats, match: Floats, starts: Ints, ends: Ints
) -> Floats:
    """Return the numbers: how much of the question stands in the sentence, near, and inside."""
    import numpy as np

    if not len(starts):
        return np.zeros((0, 11))
    sums = np.concatenate([[0.0], np.cumsum(match)])
    rarity = np.concatenate([[0.0], np.cumsum(idf)])
    low = np.searchsorted(sentence, sentence[starts], side="left")
    high = np.searchsorted(sentence, sentence[starts], side="right")
    similarity = _distinct_match(stems, sentence, match)
    ahead = sums[starts] - sums[np.maximum(starts - _WINDOW, low)]
    after = sums[np.minimum(ends + 1 + _WINDOW, high)] - sums[ends + 1]
    inside = sums[ends + 1] - sums[starts]
    length = ends - starts + 1
    best = similarity.max()
    columns = [
        similarity[sentence[starts]],
        similarity[sentence[starts]] - best,
        similarity[sentence[starts]] == best,
        ahead,
        after,
        inside,
        inside > 0,
        (rarity[ends + 1] - rarity[starts]) / length / 5,
        np.log1p(sentence[starts]),
        (starts - low) / (high - low),
        np.log1p(_distance(match, starts, ends)),
    ]
    return np.column_stack(columns).astype(np.float64)


def _distinct_match(stems: Sequence[str], sentence: Ints, match: Floats) -> Floats:
    """Return for every sentence the share of the question's weight that its words cover."""
    import numpy as np

    covered: list[dict[str, float]] = [{} for _ in range(int(sentence[-1]) + 1)]
    for stem, number, weight in zip(stems, sentence, match, strict=True):
        covered[number][stem] = weight
    return np.array([sum(weights.values()) for weights in covered])


def _distance(match: Floats, starts: Ints, ends: Ints) -> Floats:
    """Return how many words lie between a candidate and the nearest word of the question."""
    import numpy as np

    n = len(match)
    places = np.flatnonzero(match)
    if not len(places):
        return np.full(len(starts), float(n))
    left = np.searchsorted(places, starts, side="left") - 1
    right = np.searchsorted(places, ends, side="right")
    to_left = np.where(left >= 0, starts - places[np.maximum(left, 0)], n)
    to_right = np.where(right < len(places), places[np.minimum(right, len(places) - 1)] - ends, n)
    return np.minimum(to_left, to_right).astype(np.float64)


def _codes(
    text: str, words: Sequence[Word], lexicon: Lexicon, kind: int, starts: Ints, ends: Ints
) -> Ints:
    """Return the categories: first, last and neighbouring words, shape and length."""
    import numpy as np

    types = 1 + len(lexicon.types)
    code = np.array([_OUTSIDE, *(lexicon.code(w, text) for w in words), _OUTSIDE], dtype=np.int64)
    written = [text[word.start : word.end] for word in words]
    digit = _running([any(char.isdigit() for char in word) for word in written])
    capital = _running([word[0].isupper() for word in written])
    comma = _running(["," in text[a.end : b.start] for a, b in pairwise(words)])
    named = np.array([False, *(word[0].isupper() for word in written), False])
    length = ends - starts + 1
    capitals = capital[ends + 1] - capital[starts]
    flags = (
        (digit[ends + 1] > digit[starts]) * 1
        + (capitals == length) * 2
        + (capitals > 0) * 4
        + (comma[ends] > comma[starts]) * 8
        + (named[starts] | named[ends + 2]) * 16
    )
    columns = [
        code[starts + 1] * types + kind,
        code[ends + 1] * types + kind,
        code[starts],
        code[ends + 2],
        flags * types + kind,
        np.minimum(length, 31) * types + kind,
    ]
    return np.column_stack(columns).astype(np.int64)


def _running(values: Sequence[bool]) -> Ints:
    import numpy as np

    return np.concatenate([[0], np.cumsum(np.array(values, dtype=np.int64))]).astype(np.int64)
