"""Check the question answering corpus: sizes, splits, answers at their offsets.

Prints every number and ends with an error when a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

CORPUS = Path(__file__).resolve().parents[2] / "src" / "tarazu" / "data" / "corpus"
MIN_PASSAGES, MIN_QUESTIONS = 300, 600
MIN_TEST_PASSAGES, MIN_TEST_QUESTIONS = 90, 220
TEST_SHARE = (0.25, 0.35)
MIN_ANSWERS = 1
SIMILARITY_BOUND = 0.5
KEYS = ["id", "title", "genre", "context", "question", "answers"]

Row = dict[str, Any]


def load(folder: Path, split: str) -> list[Row]:
    """Read the rows of a split."""
    with (folder / f"qa_{split}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words(text: str) -> list[str]:
    """Split text into lower-case words."""
    return re.findall(r"\w+(?:'\w+)?", text.lower())


def row_problems(row: Row) -> list[str]:
    """Return what is wrong with a row by itself."""
    texts, starts = row["answers"]["text"], row["answers"]["answer_start"]
    context: str = row["context"]
    broken = {
        "keys": list(row) != KEYS,
        "empty field": any(not row[key] or row[key] != row[key].strip() for key in KEYS[:-1]),
        "no answer": len(texts) < MIN_ANSWERS,
        "repeated answer": len(set(texts)) < len(texts),
        "as many offsets as answers": len(texts) != len(starts),
        "answer not at its offset": any(
            not text or context[start : start + len(text)] != text
            for text, start in zip(texts, starts, strict=False)
        ),
    }
    return [f"{row['id']}: {what}" for what, is_broken in broken.items() if is_broken]


def describe(split: str, rows: list[Row]) -> None:
    """Print the sizes of a split."""
    contexts = dict.fromkeys(row["context"] for row in rows)
    lengths = [len(words(context)) for context in contexts]
    answers = [text for row in rows for text in row["answers"]["text"]]
    firsts = Counter(" ".join(words(row["question"])[:2]) for row in rows)
    print(f"{split}: {len(contexts)} passages, {len(rows)} questions, {len(answers)} answers")
    print(f"  passage words {min(lengths)}-{max(lengths)}, mean {mean(lengths):.1f}")
    print(f"  question words, mean {mean(len(words(row['question'])) for row in rows):.1f}")
    print(f"  answer words, mean {mean(len(words(text)) for text in answers):.1f}")
    print("  question openings", dict(firsts.most_common(8)))


def nearest(train: list[Row], test: list[Row], column: str) -> float:
    """Return the highest word Jaccard index of a text of each split."""
    left = {frozenset(words(row[column])) for row in train}
    right = {frozenset(words(row[column])) for row in test}
    return max(len(a & b) / len(a | b) for a in left for b in right)


def shares(train: list[Row], test: list[Row]) -> dict[str, float]:
    """Return the share of the passages of each genre that is tested, and print the counts."""
    counts = {
        name: Counter(genre for genre, _ in {(row["genre"], row["context"]) for row in rows})
        for name, rows in (("train", train), ("test", test))
    }
    for genre, count in sorted(counts["train"].items()):
        print(f"  {genre:16} train={count} test={counts['test'][genre]}")
    genres = counts["train"] | counts["test"]
    return {
        genre: counts["test"][genre] / (counts["train"][genre] + counts["test"][genre])
        for genre in genres
    }


def corpus_problems(train: list[Row], test: list[Row]) -> list[str]:
    """Return what is wrong with the two splits together."""
    both = train + test
    passages = {row["context"] for row in both}
    tested = {row["context"] for row in test}
    share = len(tested) / len(passages)
    genre_shares = shares(train, test)
    print(f"tested passages {share:.3f}, by genre {min(genre_shares.values()):.2f}", end="")
    print(f"-{max(genre_shares.values()):.2f}")
    similar = {column: nearest(train, test, column) for column in ("context", "question")}
    print("nearest of train and test (word Jaccard):", {k: f"{v:.3f}" for k, v in similar.items()})
    broken = {
        "passages": len(passages) < MIN_PASSAGES,
        "questions": len(both) < MIN_QUESTIONS,
        "test passages": len(tested) < MIN_TEST_PASSAGES,
        "test questions": len(test) < MIN_TEST_QUESTIONS,
        "test share": not TEST_SHARE[0] <= share <= TEST_SHARE[1],
        "genre in one split only": not all(0 < part < 1 for part in genre_shares.values()),
        "repeated id": len({row["id"] for row in both}) < len(both),
        "repeated question": len({row["question"] for row in both}) < len(both),
        "passage in both splits": bool(tested & {row["context"] for row in train}),
        "title in both splits": bool(
            {row["title"] for row in test} & {row["title"] for row in train}
        ),
        "title of several passages": len({row["title"] for row in both}) < len(passages),
        "similar passages": similar["context"] > SIMILARITY_BOUND,
    }
    return [what for what, is_broken in broken.items() if is_broken]


def main() -> None:
    """Check both splits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder of the two files")
    folder: Path = parser.parse_args().corpus
    train, test = load(folder, "train"), load(folder, "test")
    problems = [problem for row in train + test for problem in row_problems(row)]
    if not problems:
        for split, rows in (("train", train), ("test", test)):
            describe(split, rows)
        problems = corpus_problems(train, test)
    if problems:
        sys.exit("\n".join(f"broken: {problem}" for problem in problems))
    print("all bounds hold")


if __name__ == "__main__":
    main()
