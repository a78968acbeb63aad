"""Splitting and sampling: seeded, independent of the order of the rows, stratified, nested.

Every choice is made by a hash of the seed and the item's own id or group, never by a shuffled
position: the order of the rows changes nothing, and a bigger sample contains the smaller one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

from tarazu.data.item import Item
from tarazu.errors import bad
from tarazu.record.key import sha256_rows

# With more kinds of answers than this, they are free text and no strata.
_MOST_LABELS = 50


def fingerprint(items: Sequence[Item]) -> str:
    """Return the SHA-256 of a split: everything that a model can see or is asked, in order."""
    return sha256_rows(item.content() for item in items)


def split_by_group(items: Sequence[Item], rows: int, seed: int) -> tuple[list[Item], list[Item]]:
    """Cut about so many rows off, by whole groups, with the labels in the same shares.

    Groups come in seeded order; one is taken when it brings the counts of the labels nearer to what
    `rows` of them should be.

    Args:
        items: The split to cut from.
        rows: How many rows are wanted.
        seed: Seed of the order of the groups.

    Returns:
        The rest and the part that was cut off, both in the order of `items`.

    Raises:
        BadInput: There are not so many rows, or only one group.
    """
    groups = _groups(items)
    if rows >= len(items):
        rule = f"fewer rows must be cut off than the {len(items)} that there are"
        raise bad("data.validation.rows", rule, rows)
    if len(groups) < 2:
        rule = "rows of one group never part, so there must be at least two groups"
        raise bad("data.group_by", rule, len(groups), "Group by another column.")
    order = _by_hash(groups, seed)
    taken = _nearest(groups, order, rows, _strata(items))
    if not taken:
        taken = {min(order, key=lambda group: len(groups[group]))}
    if len(taken) == len(groups):
        taken.remove(order[-1])
    rest = [item for item in items if item.group not in taken]
    return rest, [item for item in items if item.group in taken]


def _nearest(
    groups: dict[str, list[Item]], order: list[str], rows: int, strata: dict[str, str]
) -> set[str]:
    total = Counter(strata[item.gold[0]] if item.gold else "" for g in order for item in groups[g])
    scale = rows / sum(total.values())
    missing = {label: count * scale for label, count in total.items()}
    taken: set[str] = set()
    for group in order:
        counts = Counter(strata[item.gold[0]] if item.gold else "" for item in groups[group])
        # (m − c)² < m² summed over the labels: nearer than without this group
        if sum(c * (c - 2 * missing[label]) for label, c in counts.items()) < 0:
            taken.add(group)
            for label, c in counts.items():
                missing[label] -= c
    return taken


def _strata(items: Sequence[Item]) -> dict[str, str]:
    """Return the stratum of every first answer: itself for labels, one for all for free text."""
    answers = {item.gold[0] for item in items if item.gold}
    labels = len(answers) <= _MOST_LABELS and not any(item.starts for item in items)
    return {answer: answer if labels else "" for answer in answers}


def sample_items(
    items: Sequence[Item],
    amount: int | float,
    seed: int,
    *,
    whole_groups: bool = False,
    where: str = "data.sample",
) -> list[Item]:
    """Choose some of the items, with the labels in the same shares.

    Args:
        items: The split.
        amount: Rows, or a fraction (a float).
        seed: Seed of the choice.
        whole_groups: Take group after group, as tests over groups want, whatever their labels; only
            the last group may be cut to reach the exact number.
        where: Place of the amount in the study, for messages.

    Returns:
        Exactly the number of rows, in the order of `items`. A bigger amount contains a smaller one.
        Without `whole_groups`, a label that stands in `m` of `n` rows stands in `rows · m / n` of
        the sample, give or take ½ + (labels / 2) · m / n.

    Raises:
        BadInput: More rows are asked for than there are.
    """
    rows = max(1, round(amount * len(items))) if isinstance(amount, float) else amount
    if rows > len(items):
        rule = f"a sample must have at most the {len(items)} rows that there are"
        raise bad(where, rule, rows, "Ask for fewer rows, or leave the key out to use all.")
    places: list[int]
    if whole_groups:
        members: dict[str, list[int]] = {}
        for place, item in enumerate(items):
            members.setdefault(item.group, []).append(place)
        places = [place for group in _by_hash(members, seed) for place in members[group]]
    else:
        places = _in_turns(items, seed)
    return [items[place] for place in sorted(places[:rows])]


def _in_turns(items: Sequence[Item], seed: int) -> list[int]:
    """Return the places of all items so that every beginning of the list is stratified.

    Sainte-Laguë's divisor method: of `n` items of a label, in seeded order, item number `j` comes
    at (j + ½) / n of the whole. No seat is ever taken back when there are more of them
    (Balinski and Young 2001, "Fair Representation", on house monotonicity): samples are nested.
    """
    hashes = [_hash(item.id, seed) for item in items]
    strata = _strata(items)
    members: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        members.setdefault(strata[item.gold[0]] if item.gold else "", []).append(place)
    turns: list[tuple[float, bytes, int]] = []
    for places in members.values():
        places.sort(key=lambda place: (hashes[place], place))
        turns += [
            ((number + 0.5) / len(places), hashes[place], place)
            for number, place in enumerate(places)
        ]
    return [place for _, _, place in sorted(turns)]


def _groups(items: Sequence[Item]) -> dict[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    return groups


def _by_hash(groups: dict[str, list[Item]] | dict[str, list[int]], seed: int) -> list[str]:
    return sorted(groups, key=lambda group: _hash(group, seed))


def _hash(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode()).digest()
