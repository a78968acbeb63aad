"""How libFuzzer's bytes are bent where bending anywhere would end most inputs at the first check.

A mutator takes bytes, how many the outcome may have, dice, and libFuzzer's own way to bend bytes to
at most so many. In a quarter of the cases it bends the whole as libFuzzer does.
"""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable

Mutate = Callable[[bytes, int], bytes]
Mutator = Callable[[bytes, int, random.Random, Mutate], bytes]

_WORD = re.compile(rb'"(?:[^"\\]|\\.)*"|[\w.+-]+|\s+|.', re.DOTALL)


def in_header(data: bytes, longest: int, dice: random.Random, mutate: Mutate) -> bytes:
    """Bend the header of a safetensors file and state its length anew."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 9 or not 0 < length <= len(data) - 8 or dice.random() < 0.25:
        return bytes(mutate(data, longest))
    rest = data[8 + length :]
    header = in_words(data[8 : 8 + length], longest - 8 - len(rest), dice, mutate)
    return struct.pack("<Q", len(header)) + header + rest


def in_words(data: bytes, longest: int, dice: random.Random, mutate: Mutate) -> bytes:
    """Bend a text at one of its words: quotes stay in pairs, a number often stays a number."""
    words = _WORD.findall(data)
    if not words or dice.random() < 0.25:
        return bytes(mutate(data, longest))
    place = dice.randrange(len(words))
    how = dice.choice(["other", "bent", "cut", "double"])
    if how == "other":
        words[place] = dice.choice(words)
    elif how == "bent":
        words[place] = _bent(words[place], longest, mutate)
    elif how == "cut":
        del words[place : place + dice.randint(1, 6)]
    else:
        start = dice.randrange(len(words))
        words[place:place] = words[start : start + dice.randint(1, 12)]
    return b"".join(words)[:longest]


def _bent(word: bytes, longest: int, mutate: Mutate) -> bytes:
    if len(word) > 2 and word[:1] == word[-1:] == b'"':
        return b'"' + mutate(word[1:-1], longest) + b'"'
    return bytes(mutate(word, longest))


MUTATORS: dict[str, Mutator] = {
    **dict.fromkeys(["study", "csv", "tsv", "jsonl"], in_words),
    "safetensors": in_header,
}
