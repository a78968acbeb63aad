"""Builds the project's own natural-language-inference corpus.

The unit of the corpus is a *square*: one or two claims and three premises. Each
premise gives evidence on every claim, so that claim X is entailed by one premise,
contradicted by one and left open by one, and the same holds for claim Y with the
premises in another order. Every hypothesis therefore occurs once with each label
and says nothing by itself; a premise with two claims comes with two labels.
Of a few wordings per premise, those with the most even word overlap are kept.

Run ``python tools/corpus/build_nli.py``; the same files come out every time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nli_claims import BUILDERS, Claim, Context
from nli_lexicon import TEST_NAMES, TRAIN_NAMES
from nli_scenes import GENRES, Genre

SEED = 20260
CLAIMS_PER_GENRE = {"train": 138, "test": 26}
SINGLE_SHARE = 0.45
WORDINGS = 2
WORD_RANGE = (14, 46)
SIMILARITY_LIMIT = 0.65
LABELS = ("entailment", "contradiction", "neutral")
WEIGHTS = {
    "implicative": 5,
    "exception": 3,
    "belief": 4,
    "comparison": 1,
    "threshold": 2,
    "order": 1,
    "category": 6,
    "quantifier": 3,
    "chain": 1,
    "relation": 1,
    "contrast": 5,
}
LINKS = (
    "as it happened, ",
    "besides, ",
    "for the record, ",
    "on a different note, ",
    "what is more, ",
    "incidentally, ",
    "one more thing: ",
    "it should be added that ",
    "also worth noting: ",
)
OUTPUT = Path(__file__).resolve().parents[2] / "src" / "tarazu" / "data" / "corpus"


def words(text: str) -> list[str]:
    """Splits text into lower-case words."""
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower())


def sentence(text: str) -> str:
    """Capitalises a clause and closes it with a full stop."""
    text = text[0].upper() + text[1:]
    return text if text.endswith(".") else text + "."


@dataclass
class Seen:
    """Premises used so far, to keep them apart within and across splits."""

    word_sets: dict[str, list[frozenset[str]]] = field(
        default_factory=lambda: {"train": [], "test": []}
    )
    texts: set[str] = field(default_factory=set)

    def clashes(self, premise: str, split: str) -> bool:
        """Tells whether the premise is a repeat or too close to the other split."""
        if premise in self.texts:
            return True
        bag = frozenset(words(premise))
        others = self.word_sets["test" if split == "train" else "train"]
        return any(len(bag & o) >= SIMILARITY_LIMIT * len(bag | o) for o in others)

    def add(self, premise: str, split: str) -> None:
        """Remembers a premise."""
        self.texts.add(premise)
        self.word_sets[split].append(frozenset(words(premise)))


def compose(evidence: list[str], fillers: Sequence[str], rng: random.Random) -> str:
    """Joins the evidence on two claims, and sometimes a filler, to a premise."""
    rng.shuffle(evidence)
    if len(evidence) == 1:
        body = [sentence(evidence[0])]
    elif "," not in "".join(evidence) and rng.random() < 0.3:
        body = [sentence(rng.choice(("{}, and {}", "{}; {}")).format(*evidence))]
    else:
        link = rng.choice(LINKS) if rng.random() < 0.35 else ""
        body = [sentence(evidence[0]), sentence(link + evidence[1])]
    spare = rng.sample(fillers, 3)
    keep = rng.random() < 0.35
    while spare and (keep or sum(len(words(part)) for part in body) < WORD_RANGE[0]):
        body.insert(rng.choice((0, len(body))), spare.pop())
        keep = False
    return " ".join(body)


def overlap_features(premise: str, hypothesis: str) -> tuple[float, float, float]:
    """Returns covered share of the hypothesis, Jaccard index and premise length."""
    left, right = set(words(premise)), set(words(hypothesis))
    common = len(left & right)
    return common / len(right), common / len(left | right), len(words(premise)) / 40


def spread(rows: Sequence[tuple[float, float, float]]) -> float:
    """Sums the ranges of the columns."""
    return sum(max(column) - min(column) for column in zip(*rows, strict=True))


def most_even(options: list[list[str]], hypotheses: Sequence[str]) -> tuple[str, ...]:
    """Chooses one wording per premise so that overlap says least about the label."""
    table = {
        (text, hyp): overlap_features(text, hyp)
        for texts in options
        for text in texts
        for hyp in hypotheses
    }

    def cost(texts: tuple[str, ...]) -> float:
        return sum(spread([table[text, hyp] for text in texts]) for hyp in hypotheses)

    return min(itertools.product(*options), key=cost)


def evidence_for(claim: Claim, label: str, hypothesis: str) -> tuple[str, ...]:
    """Returns the evidence that gives the claim this label."""
    pools = {
        "entailment": claim.entail,
        "contradiction": claim.contradict,
        "neutral": claim.neutral,
    }
    return tuple(text for text in pools[label] if text != hypothesis)


@dataclass(frozen=True)
class Square:
    """One or two hypotheses, three premises and the label of each combination."""

    claims: tuple[Claim, ...]
    hypotheses: tuple[str, ...]
    premises: tuple[str, ...]
    labels: tuple[tuple[str, ...], ...]

    def rows(self, genre: str) -> Iterator[dict[str, str]]:
        """Yields the rows of the square, three per claim."""
        for claim, hypothesis, labels in zip(
            self.claims, self.hypotheses, self.labels, strict=True
        ):
            for premise, label in zip(self.premises, labels, strict=True):
                yield {
                    "premise": premise,
                    "hypothesis": sentence(hypothesis),
                    "label": label,
                    "genre": genre,
                    "phenomenon": claim.phenomenon,
                }


def draw_square(
    claims: tuple[Claim, ...], fillers: Sequence[str], seen: Seen, split: str, rng: random.Random
) -> Square | None:
    """Words the premises for the claims; gives up when wordings clash or run long."""
    hypotheses = tuple(rng.choice(claim.hypotheses) for claim in claims)
    shift = rng.choice((1, 2))
    labels = (LABELS, LABELS[shift:] + LABELS[:shift])[: len(claims)]
    options: list[list[str]] = []
    for pair in zip(*labels, strict=True):
        pools = [
            evidence_for(c, label, h) for c, label, h in zip(claims, pair, hypotheses, strict=True)
        ]
        drawn = [compose([rng.choice(p) for p in pools], fillers, rng) for _ in range(WORDINGS)]
        fitting = [text for text in drawn if WORD_RANGE[0] <= len(words(text)) <= WORD_RANGE[1]]
        options.append([text for text in fitting if not seen.clashes(text, split)])
    if not all(options):
        return None
    premises = most_even(options, hypotheses)
    return Square(claims, hypotheses, premises, labels)


def draw_people(genre: Genre, split: str, rng: random.Random) -> list[str]:
    """Draws five people: first names of the split and sometimes one job title."""
    people = rng.sample(TRAIN_NAMES if split == "train" else TEST_NAMES, 5)
    if rng.random() < 0.4:
        roles = genre.roles[:3] if split == "train" else genre.roles[2:]
        people[rng.randrange(5)] = rng.choice(roles)
    return people


def draw_claims(
    genre: Genre, split: str, builders: Sequence[Callable[[Context], Claim]], rng: random.Random
) -> tuple[Claim, ...]:
    """Draws one or two claims on a scene that do not use the same material."""
    while True:
        people = draw_people(genre, split, rng)
        first = (people[0], people[1], people[2])
        second = rng.choice(((people[3], people[4], people[2]), (people[1], people[3], people[4])))
        claims = tuple(
            builder(Context(genre, split, trio, rng))
            for builder, trio in zip(builders, (first, second), strict=False)
        )
        if len(claims) == 1 or not claims[0].keys & claims[1].keys:
            return claims


def schedule(count: int, rng: random.Random) -> Iterator[list[Callable[[Context], Claim]]]:
    """Yields ones and twos of builders, each about as often as its weight says."""
    weighted = [builder for builder in BUILDERS for _ in range(WEIGHTS[builder.__name__])]
    plan: list[Callable[[Context], Claim]] = []
    while len(plan) < count:
        plan += rng.sample(weighted, len(weighted))
    plan = plan[:count]
    while plan:
        size = 1 if rng.random() < SINGLE_SHARE else 2
        yield plan[:size]
        del plan[:size]


# Wordings that the readers of the test labels objected to, replaced after everything is drawn: a
# change of the scenes themselves would draw other pairs than those that were read.
REWORDED = {
    "withered in shade": "grew poorly in shade",
    "The coach was pleased with ": "The coach had only praise for ",
    "the coach was pleased with ": "the coach had only praise for ",
    "The coach praised ": "The coach had only good to say about ",
    "the coach praised ": "the coach had only good to say about ",
    "The coach was angry with ": "The coach had only blame for ",
    "the coach was angry with ": "the coach had only blame for ",
    "The coach scolded ": "The coach had only bad to say about ",
    "the coach scolded ": "the coach had only bad to say about ",
    "eople have to wait for the new software": "eople lose time with the slow new software",
}


def reworded(row: dict[str, str]) -> dict[str, str]:
    """Returns a row with the wordings that readers objected to replaced."""
    texts = {}
    for name in ("premise", "hypothesis"):
        texts[name] = row[name]
        for old, new in REWORDED.items():
            texts[name] = texts[name].replace(old, new)
    return {**row, **texts}


def build_split(split: str, seen: Seen) -> list[dict[str, str]]:
    """Builds all rows of a split in shuffled order, with their ids."""
    rng = random.Random(f"{SEED}-{split}")
    rows: list[dict[str, str]] = []
    for genre in GENRES:
        fillers = genre.fillers[:7] if split == "train" else genre.fillers[3:]
        for builders in schedule(CLAIMS_PER_GENRE[split], rng):
            square = None
            while square is None:
                claims = draw_claims(genre, split, builders, rng)
                square = draw_square(claims, fillers, seen, split, rng)
            for premise in square.premises:
                seen.add(premise, split)
            rows += square.rows(genre.name)
    rng.shuffle(rows)
    return [{"id": f"nli-{split}-{i:04d}", **reworded(row)} for i, row in enumerate(rows, 1)]


def main() -> None:
    """Writes both splits."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the two files")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    seen = Seen()
    for split in ("train", "test"):
        rows = build_split(split, seen)
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (output / f"nli_{split}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{split}: {len(rows)} rows")


if __name__ == "__main__":
    main()
