"""Builders that turn scene material into claims with three kinds of evidence.

A claim is a set of interchangeable hypotheses together with evidence sentences
that settle it as true, settle it as false, or leave it open. Every builder can
flip a claim into its complement, so no wording is tied to one label.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nli_lexicon import CATEGORIES
from nli_scenes import Genre

FLIP_SHARE = 0.35
DIRECT_SHARE = 0.8


@dataclass(frozen=True)
class Claim:
    """One statement about a scene and the evidence for every label.

    Attributes:
        phenomenon: Name of the reasoning step that the claim needs.
        keys: Scene material in use; claims with common keys are not combined.
        hypotheses: Wordings of the claim.
        entail: Evidence that makes the claim true.
        contradict: Evidence that makes the claim false.
        neutral: Evidence that leaves the claim open.
    """

    phenomenon: str
    keys: frozenset[str]
    hypotheses: tuple[str, ...]
    entail: tuple[str, ...]
    contradict: tuple[str, ...]
    neutral: tuple[str, ...]


@dataclass(frozen=True)
class Context:
    """What a builder draws from: genre, split, people and the random source."""

    genre: Genre
    split: str
    people: tuple[str, str, str]
    rng: random.Random

    def pick(self, pool: Sequence[str]) -> str:
        """Draws an item; the tail of each pool is kept for the test split."""
        return self.pick_many(pool, 1)[0]

    def pick_many(self, pool: Sequence[str], count: int) -> list[str]:
        """Draws distinct items, at most one of them from the held-out tail."""
        held = max(1, len(pool) // 5)
        seen = list(pool[:-held])
        if self.split == "train" or self.rng.random() < 0.6:
            return self.rng.sample(seen, count)
        drawn = [*self.rng.sample(seen, count - 1), self.rng.choice(pool[-held:])]
        self.rng.shuffle(drawn)
        return drawn

    def names(self) -> dict[str, str]:
        """Returns the people as template fields."""
        return dict(zip("ABC", self.people, strict=True))


def fill(templates: Sequence[str], **fields: object) -> tuple[str, ...]:
    """Formats every template with the same fields."""
    return tuple(template.format(**fields) for template in templates)


def _parts(text: str) -> list[str]:
    return text.split("|")


IMPLICATIVE_DONE = (
    "{A} remembered to {base}",
    "{A} took the trouble to {base}",
    "{A} managed to {base} in good time",
    "{A} did not forget to {base}",
    "{A} succeeded in {ger} after all",
    "after some hesitation {A} got as far as {ger}",
    "{B} saw to it that {A} {past}",
    "nothing could stop {A} from {ger}, and it was done within minutes",
)
IMPLICATIVE_NOT_DONE = (
    "{A} forgot to {base}",
    "{A} refused to {base}",
    "{A} did not remember to {base}",
    "{A} decided against {ger} after all",
    "{A} was about to {base} but was prevented from it",
    "{A} never got round to {ger}",
    "{B} kept {A} from {ger}",
    "{A} missed every chance to {base}",
)
IMPLICATIVE_OPEN = (
    "{A} promised to {base}",
    "{A} was asked to {base}",
    "{A} hoped to {base} in good time",
    "{A} did not object to the idea of {ger}",
    "{A} thought about {ger}",
    "{B} reminded {A} to {base}",
    "{B} remembered to {base} and told {A} to do the same",
    "{A} was not told to avoid {ger}",
)


def implicative(ctx: Context) -> Claim:
    """Verbs that settle whether an action happened (managed, forgot, promised)."""
    action = ctx.pick(ctx.genre.actions)
    base, past, ger = _parts(action)
    fields = {**ctx.names(), "base": base, "past": past, "ger": ger}
    done = fill(("{A} {past}", "in the end {A} {past}", "{A} actually {past}"), **fields)
    undone = fill(
        ("{A} did not {base}", "in the end {A} did not {base}", "{A} avoided {ger}"), **fields
    )
    yes, no = fill(IMPLICATIVE_DONE, **fields), fill(IMPLICATIVE_NOT_DONE, **fields)
    return _orient(
        ctx, "implicative", {base}, done, undone[:2], yes, no, fill(IMPLICATIVE_OPEN, **fields)
    )


def _orient(
    ctx: Context,
    phenomenon: str,
    keys: set[str],
    positive: Sequence[str],
    negative: Sequence[str],
    yes: Sequence[str],
    no: Sequence[str],
    neutral: Sequence[str],
) -> Claim:
    """Makes a claim out of the positive wordings or, less often, their complement."""
    if ctx.rng.random() < FLIP_SHARE:
        positive, yes, no = negative, no, yes
    return Claim(
        phenomenon, frozenset(keys), tuple(positive), tuple(yes), tuple(no), tuple(neutral)
    )


EXCEPTION_DONE = (
    "everyone in {G} {past}, {A} included",
    "of all the people in {G}, {A} was the only one who {past}",
    "either {A} or {B} {past}, and it was certainly not {B}",
    "apart from {B}, who did not, everybody in {G} {past}, so {A} did as well",
    "{A} {past}, which is more than can be said of {B}",
    "the people in {G} who {past} were {A} and {C}, but not {B}",
)
EXCEPTION_NOT_DONE = (
    "everyone in {G} {past} except {A}",
    "of all the people in {G}, {A} was the only one who never {past}",
    "one person, either {A} or {B}, {past}, and it was certainly {B}",
    "apart from {A}, who did not, everybody in {G} {past}, so {B} did as well",
    "{B} {past}, which is more than can be said of {A}",
    "the people in {G} who {past} were {B} and {C}, but not {A}",
)
EXCEPTION_OPEN = (
    "almost everyone in {G} {past}, and {A} belonged to {G}",
    "either {A} or {B} {past}, but it is not known which of them",
    "at least one of the two, {A} or {B}, {past}",
    "apart from {C}, who did not, most people in {G} {past}, and {A} belonged to {G}",
    "{B} {past}, and nothing is said about {A}",
    "some of the people in {G} {past}, and {A} and {B} knew about it",
)


def exception(ctx: Context) -> Claim:
    """Exceptives and disjunctions (everyone except, either ... or, only)."""
    action = ctx.pick(ctx.genre.actions)
    base, past, ger = _parts(action)
    fields = {**ctx.names(), "base": base, "past": past, "ger": ger, "G": ctx.genre.group}
    return _orient(
        ctx,
        "exception",
        {base},
        fill(("{A} {past}", "{A} was one of those who {past}"), **fields),
        fill(("{A} did not {base}", "{A} was not one of those who {past}"), **fields),
        fill(EXCEPTION_DONE, **fields),
        fill(EXCEPTION_NOT_DONE, **fields),
        fill(EXCEPTION_OPEN, **fields),
    )


FACT_FORMS = (
    "{A} noticed that {p}",
    "{A} was right in saying that {p}",
    "it turned out that {p}",
    "{A} was wrong to think that {q}",
    "as {A} found out, {p}",
    "{A} was surprised to learn that {p}",
    "it was a mistake on {A}'s part to suppose that {q}",
    "contrary to what {A} had said, {p}",
)
OPINION_FORMS = (
    "{A} hoped that {p}",
    "{A} suspected that {q}",
    "{A} could not tell whether {p}",
    "{A} asked {B} whether {q}",
    "{A} said that {p}, while {B} said that {q}",
    "{A} had heard from {B} that {p}",
    "{A} took it for granted that {q}",
    "it was the opinion of {A} that {p}",
)


def belief(ctx: Context) -> Claim:
    """Facts against mere opinions (noticed, was wrong to think, suspected)."""
    first, second = _parts(ctx.pick(ctx.genre.statements))
    names = ctx.names()
    yes = fill(FACT_FORMS, p=first, q=second, **names)
    no = fill(FACT_FORMS, p=second, q=first, **names)
    neutral = fill(OPINION_FORMS, p=first, q=second, **names)
    neutral += fill(OPINION_FORMS, p=second, q=first, **names)
    return _orient(ctx, "belief", {first}, (first,), (second,), yes, no, neutral)


MORE_FORMS = (
    "{A} {v} {hi} {n} and {B} {v} {lo}",
    "{B} {v} {lo} {n}, {d} fewer than {A}",
    "{A} {v} twice as many {n} as {B} did",
    "{A} {v} {hi} {n}, whereas {B} {v} only {lo}",
    "{B} {v} {lo} {n}, a figure that {A} beat by {d}",
    "the number of {n} that {B} {v} was {lo}, against {hi} for {A}",
)
MORE_OPEN = (
    "{A} {v} {hi} {n}, and {B} {v} some as well",
    "{B} {v} {lo} {n}, and {A} {v} a number that was not noted",
    "{A} and {B} each {v} more than {lo} {n}",
    "between them {A} and {B} {v} {sum} {n}",
    "{A} {v} {hi} {n} and {C} {v} {lo}, and {B} did better than {C}",
    "{B} {v} {hi} {n} and {C} {v} {lo}, and {A} did better than {C}",
)


def comparison(ctx: Context) -> Claim:
    """Two quantities to be compared."""
    verb, noun = _parts(ctx.pick(ctx.genre.counts))
    low = ctx.rng.randint(13, 60)
    gap = ctx.rng.randint(3, 12)
    numbers = {"v": verb, "n": noun, "lo": low, "hi": low + gap, "d": gap, "sum": 2 * low + gap}
    names = ctx.names()
    swapped = {"A": names["B"], "B": names["A"], "C": names["C"]}
    more = ("{A} {v} more {n} than {B}", "{B} {v} fewer {n} than {A}")
    return _orient(
        ctx,
        "comparison",
        {noun},
        fill(more, **names, **numbers),
        fill(more, **swapped, **numbers),
        fill(MORE_FORMS, **names, **numbers),
        fill(MORE_FORMS, **swapped, **numbers),
        fill(MORE_OPEN, **names, **numbers),
    )


ABOVE_FORMS = (
    "{A} {v} {hi} {n} in all",
    "{A} {v} exactly {hi} {n}",
    "{A} {v} {hi} {n}, and {B} {v} {lo}",
    "the {n} that {A} {v} came to a total of {hi}",
    "{A} {v} at least {hi} {n}",
)
BELOW_FORMS = (
    "{A} {v} {lo} {n} in all",
    "{A} {v} exactly {lo} {n}",
    "{A} {v} {lo} {n}, and {B} {v} {hi}",
    "the {n} that {A} {v} came to a total of {lo}",
    "{A} {v} at most {lo} {n}",
)
THRESHOLD_OPEN = (
    "{B} {v} {hi} {n} in all, and {A} {v} some too",
    "{A} {v} {n} too, but only {B}'s total of {lo} was noted",
    "{A} {v} at most {hi} {n}",
    "{A} {v} at least {lo} {n}",
    "{A} and {B} {v} {hi} {n} and {lo} {n}, in one order or the other",
)


def threshold(ctx: Context) -> Claim:
    """A quantity against a limit."""
    verb, noun = _parts(ctx.pick(ctx.genre.counts))
    limit = ctx.rng.choice((20, 30, 40, 50))
    fields = {
        **ctx.names(),
        "v": verb,
        "n": noun,
        "t": limit,
        "hi": limit + ctx.rng.randint(3, 19),
        "lo": limit - ctx.rng.randint(3, min(15, limit - 5)),
    }
    return _orient(
        ctx,
        "threshold",
        {noun},
        fill(("{A} {v} more than {t} {n}", "the {n} {A} {v} numbered over {t}"), **fields),
        fill(("{A} {v} fewer than {t} {n}", "the {n} {A} {v} numbered under {t}"), **fields),
        fill(ABOVE_FORMS, **fields),
        fill(BELOW_FORMS, **fields),
        fill(THRESHOLD_OPEN, **fields),
    )


BEFORE_FORMS = (
    "{s1} {p1} an hour before {s2} {p2}",
    "{s2} {p2} some time after {s1} {p1}",
    "{s1} {p1} on {d1}, and {s2} {p2} on {d2} of the same week",
    "{s2} {p2} on {d2}, two days later than {s1} {p1}",
    "first {s1} {p1}, and then {s2} {p2}",
    "when {s2} {p2}, {s1} had already {q1}",
    "{s2} {p2} only once {s1} had {q1}",
)
ORDER_OPEN = (
    "{s1} {p1} on the same day that {s2} {p2}",
    "both things happened on {d1}: {s2} {p2} and {s1} {p1}",
    "{s1} {p1} before {s3} {p3}, and so it was with {s2}, which also {p2} earlier than that",
    "some time on {d2} {s2} {p2}, and {s1} {p1} that day as well",
    "first {s3} {p3}, and then {s1} {p1} and {s2} {p2}, in which order nobody knew",
)


def order(ctx: Context) -> Claim:
    """Two events in time."""
    first, second, third = (_parts(e) for e in ctx.pick_many(ctx.genre.events, 3))
    start = ctx.rng.randrange(3)
    days = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
    fields = {"d1": days[start], "d2": days[start + 2]}

    def labelled(*events: list[str]) -> dict[str, str]:
        named = {}
        for number, (subject, past, participle) in enumerate(events, start=1):
            named |= {f"s{number}": subject, f"p{number}": past, f"q{number}": participle}
        return named | fields

    forward, backward = labelled(first, second, third), labelled(second, first, third)
    wording = ("{s1} {p1} before {s2} {p2}", "{s2} {p2} after {s1} {p1}")
    return _orient(
        ctx,
        "order",
        {first[0], second[0], third[0]},
        fill(wording, **forward),
        fill(wording, **backward),
        fill(BEFORE_FORMS, **forward),
        fill(BEFORE_FORMS, **backward),
        fill(ORDER_OPEN, **forward) + fill(ORDER_OPEN, **backward),
    )


def category(ctx: Context) -> Claim:
    """A member of a class entails the class and excludes its siblings."""
    fitting = sorted(key for key, cat in CATEGORIES.items() if ctx.genre.name in cat.genres)
    name = ctx.rng.choice(fitting)
    cat = CATEGORIES[name]
    subject, other = ctx.pick_many(cat.subjects, 2) if cat.subjects else ctx.people[:2]
    target, sibling = ctx.rng.sample(sorted(cat.classes), 2)
    good, bad = ctx.pick(cat.classes[target]), ctx.pick(cat.classes[sibling])
    yes = fill(cat.premises, S=subject, x=good)
    no = fill(cat.premises, S=subject, x=bad)
    if ctx.rng.random() < DIRECT_SHARE:
        direct = [f"{template} ({{x}})" for template in cat.hypotheses]
        yes += fill(direct, S=subject, c=target, x=good)
        no += fill(direct, S=subject, c=sibling, x=bad)
    return Claim(
        "category",
        frozenset({name, subject, other}),
        fill(cat.hypotheses, S=subject, c=target),
        yes,
        no,
        fill(cat.opens, S=subject, T=other, x=good) + fill(cat.opens, S=subject, T=other, x=bad),
    )


ALL_FORMS = (
    "all of the {n} {yes}, without exception",
    "there were no {n} that {no}",
    "{A} checked the {k} {n} one by one, and all of them {yes}",
    "in one respect the {k} {n} did not differ from each other: they all {yes}",
    "{A} thought that some of the {n} {no}, but that was never true of any of them",
)
SOME_NOT_FORMS = (
    "two of the {k} {n} {no}",
    "most of the {n} {yes}, but the rest {no}",
    "{A} checked the {k} {n} one by one, and half of them {no}",
    "only some of the {n} {yes}, while the others {no}",
    "{A} thought that all of the {n} {yes}, but that was not true of three of them",
)
QUANTIFIER_OPEN = (
    "the {n} that {A} looked at {yes}, but nobody looked at the others",
    "{A} thought that all of the {n} {yes}",
    "{A} asked whether some of the {n} {no}",
    "{A} checked half of the {k} {n}, and all of those {yes}",
    "it was said, though never shown, that two of the {k} {n} {no}",
    "at least half of the {k} {n} {yes}",
)


def quantifier(ctx: Context) -> Claim:
    """All, none, some and most."""
    noun, yes, no = _parts(ctx.pick(ctx.genre.sets))
    if ctx.rng.random() < 0.5:
        yes, no = no, yes
    fields = {**ctx.names(), "n": noun, "yes": yes, "no": no, "k": ctx.rng.choice((8, 10, 12, 16))}
    return _orient(
        ctx,
        "quantifier",
        {noun},
        fill(("all of the {n} {yes}", "none of the {n} {no}"), **fields),
        fill(("some of the {n} {no}", "not all of the {n} {yes}"), **fields),
        fill(ALL_FORMS, **fields),
        fill(SOME_NOT_FORMS, **fields),
        fill(QUANTIFIER_OPEN, **fields),
    )


CHAIN_FORMS = (
    "{x} was {more} than {z}, and {z} was {more} than {y}",
    "{y} was {less} than {z}, which in turn was {less} than {x}",
    "{x} was a good deal {more} than {y}, and {z} was about the same as {y}",
    "{z} was {less} than {x}, and {y} was {less} still",
    "compared with {y}, {z} was {more}, but {x} was {more} even than {z}",
)
CHAIN_OPEN = (
    "{z} was {less} than {x} and also {less} than {y}",
    "{x} was {more} than {z}, and so was {y}",
    "{x} and {y} were both {less} than {z}",
    "compared with {z}, {y} was {less}, and {x} was {less} too",
)


def chain(ctx: Context) -> Claim:
    """Comparatives, often by way of a third thing."""
    more, less, things = _parts(ctx.pick(ctx.genre.scales))
    x, y, z = ctx.rng.sample(things.split(";"), 3)
    fields = {"more": more, "less": less}
    forward, backward = {"x": x, "y": y, "z": z, **fields}, {"x": y, "y": x, "z": z, **fields}
    wording = ("{x} was {more} than {y}", "{y} was {less} than {x}")
    return _orient(
        ctx,
        "chain",
        set(things.split(";")),
        fill(wording, **forward),
        fill(wording, **backward),
        fill(CHAIN_FORMS, **forward),
        fill(CHAIN_FORMS, **backward),
        fill(CHAIN_OPEN, **forward) + fill(CHAIN_OPEN, **backward),
    )


def relation(ctx: Context) -> Claim:
    """Directed relations in converse wordings (lent to, borrowed from)."""
    forms, opens = ctx.rng.choice(ctx.genre.relations)
    names = ctx.names()
    swapped = {"A": names["B"], "B": names["A"]}
    wording = _parts(forms)
    return _orient(
        ctx,
        "relation",
        {forms},
        fill(wording[:2], **names),
        fill(wording[:2], **swapped),
        fill(wording, **names),
        fill(wording, **swapped),
        fill(_parts(opens), **names) + fill(_parts(opens), **swapped),
    )


def contrast(ctx: Context) -> Claim:
    """Opposites told in everyday descriptions."""
    groups = ctx.genre.contrasts
    index = int(ctx.pick([str(i) for i in range(len(groups))]))
    yes, no, neutral = (fill(_parts(group), **ctx.names()) for group in groups[index])
    return _orient(ctx, "contrast", {yes[0]}, yes[:2], no[:2], yes, no, neutral)


BUILDERS: tuple[Callable[[Context], Claim], ...] = (
    implicative,
    exception,
    belief,
    comparison,
    threshold,
    order,
    category,
    quantifier,
    chain,
    relation,
    contrast,
)
