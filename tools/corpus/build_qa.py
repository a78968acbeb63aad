"""Build the project's own question answering corpus from its hand-written passages.

The passages and questions stand in ``qa_part1.jsonl`` and ``qa_part2.jsonl``. A passage with all
its questions goes to one split, about three tenths of every genre to the test split. An answer
that occurs more than once in its passage is placed where the question means it, as read by hand.

Run ``python tools/corpus/build_qa.py``; the same files come out every time.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

SEED = 20260
TEST_SHARE = 0.3
SOURCES = ("qa_part1.jsonl", "qa_part2.jsonl")
HERE = Path(__file__).resolve().parent
OUTPUT = HERE.parents[1] / "src" / "tarazu" / "data" / "corpus"

# Where an answer that occurs more than once is meant, by question and answer. None: no occurrence
# is meant, since another answer of the question says the same in the right place.
MEANT: dict[str, dict[str, int | None]] = {
    "Which of the two Brasks has more streets?": {"Little Brask": 174},
    "For which profession was the Night School of Pernell set up?": {"bakers": 111},
    "Who made the type for the music typewriter?": {"Ruth": 142},
    "What government position did Nkemi Adoula turn down?": {"minister": 427},
    "Which team delivered its letter in the race to Port Amaranth?": {"reindeer": 304},
    "At which bottle was syrup first offered to the bees?": {"the third": 121, "third": 125},
    "To which country does room 20 of the Hotel Meridional belong?": {"Lower Sorl": 270},
    "After what are the streets of Karabesh named?": {"a month": 107, "month": 109},
    "Which well in the Yellow Desert has good drinking water?": {"Tuffah": 296},
    "Which well is known for superior dates in the Yellow Desert?": {"Nur": 323},
    "In which town do children attend secondary school?": {"Aster": 241},
    "Who kept bees near Sisters' Ford?": {"Mechtild": 276},
    "Which village first existed only as a mapmaker's mistake?": {"Nether Plum": 288},
    "What was the penalty for oversleeping in the Brotherhood of the Second Bell?": {"candle": 255},
    "How many blades did Leonora Hatcher's slicer contain?": {"22": 147},
    "Who took out a patent on the slicer unfairly?": {"Mr Crane": 269},
    "Who was the main customer for Rudolf Ekern's ice?": {"the dairy": 265},
    "Who taught Amos Tidewell about the Coral Narrows?": {"Lau": 274},
    "What kind of music was played in greenhouse A?": {"marches": 122},
    "Who blamed the dogs for the yawning result?": {"Rourke": 337},
    "Which group adapted more quickly to Dr Halloway's room?": {"sailors": None},
    "What was planted in the moat of Fort Needle?": {"cabbages": 140},
    "What type of trees grow above the archive of Saint-Ouvre?": {"pear": 162},
    "What goods was the Concord carrying when it was wrecked?": {"chairs": 116},
    "What did Milica Stanev study before designing the roof?": {"eggs": 199},
    "How far ahead were Vellin's clocks set during the strike?": {"seven minutes": 100},
    "What did ushers at the Pomegranate Theatre give out because of the leaks?": {"umbrellas": 260},
    "What was the name of the leaky boat used by Tidewell women?": {
        "the Colander": 106,
        "Colander": 110,
    },
    "Who becomes the owner of a bicycle abandoned for forty days in Vell?": {
        "the nearest school": 127
    },
    "What does each successful voyage bring in Cartographer's Dinner?": {"teaspoon": 232},
    "Which of the Vesper sisters determines launch times?": {"Odile": 330},
    "How many flights did Vesper & Daughters carry out in its first year?": {"eight": 214},
    "What animals did the council set on the stonebreaker ivy?": {"goats": 405},
    "Which lost tool was the theme of Ebenezer Flood's sermon?": {"scythe": 348},
}

Passage = dict[str, Any]


def load(folder: Path) -> list[Passage]:
    """Read the hand-written passages."""
    return [
        json.loads(line)
        for name in SOURCES
        for line in (folder / name).read_text(encoding="utf-8").splitlines()
    ]


def place(context: str, question: str, answer: str) -> int | None:
    """Return where an answer stands in its passage; None for one that is left out.

    Raises:
        ValueError: It stands nowhere, or in several places of which none is the chosen one.
    """
    starts = [match.start() for match in re.finditer(f"(?={re.escape(answer)})", context)]
    chosen = MEANT.get(question, {})
    if answer not in chosen and len(starts) == 1:
        return starts[0]
    meant = chosen.get(answer, -1)
    if len(starts) < 2 or (meant is not None and meant not in starts):
        raise ValueError(f"{question!r}: {answer!r} stands at {starts}, meant is {meant}")
    return meant


def rows_of(passage: Passage) -> Iterator[dict[str, object]]:
    """Yield one row per question, in the layout of SQuAD."""
    context: str = passage["context"]
    for asked in passage["questions"]:
        question: str = asked["question"]
        spans = [(answer, place(context, question, answer)) for answer in asked["answers"]]
        placed = [(answer, start) for answer, start in spans if start is not None]
        yield {
            "title": passage["title"],
            "genre": passage["genre"],
            "context": context,
            "question": question,
            "answers": {
                "text": [answer for answer, _ in placed],
                "answer_start": [start for _, start in placed],
            },
        }


def split(passages: Sequence[Passage]) -> dict[str, list[Passage]]:
    """Deal the passages of every genre to the two splits, each in shuffled order."""
    rng = random.Random(SEED)
    splits: dict[str, list[Passage]] = {"train": [], "test": []}
    by_genre = itemgetter("genre")
    for _, group in groupby(sorted(passages, key=by_genre), key=by_genre):
        members = list(group)
        rng.shuffle(members)
        tested = round(TEST_SHARE * len(members))
        splits["test"] += members[:tested]
        splits["train"] += members[tested:]
    for members in splits.values():
        rng.shuffle(members)
    return splits


def main() -> None:
    """Write both splits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output", type=Path, default=OUTPUT, help="folder for the two files")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    passages = load(HERE)
    asked = {question["question"] for passage in passages for question in passage["questions"]}
    if unknown := MEANT.keys() - asked:
        raise ValueError(f"no such question: {sorted(unknown)}")
    for name, members in split(passages).items():
        rows = [row for passage in members for row in rows_of(passage)]
        numbered = ({"id": f"qa-{name}-{i:04d}", **row} for i, row in enumerate(rows, start=1))
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in numbered)
        (output / f"qa_{name}.jsonl").write_text(text, encoding="utf-8", newline="\n")
        print(f"{name}: {len(members)} passages, {len(rows)} questions")


if __name__ == "__main__":
    main()
