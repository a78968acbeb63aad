"""Checks the inference corpus: sizes, balance, splits and give-away cues.

Prints every number and ends with an error when a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler

CORPUS = Path(__file__).resolve().parents[2] / "src" / "tarazu" / "data" / "corpus"
LABELS = {"entailment", "neutral", "contradiction"}
MIN_ROWS = {"train": 3000, "test": 600}
MIN_GENRES = 6
HYPOTHESIS_BOUND = 0.45
PREMISE_BOUND = 0.55
OVERLAP_BOUND = 0.50
SIMILARITY_BOUND = 0.8
NEGATION = {"not", "no", "never", "none", "nobody", "nothing", "without", "didn't", "avoided"}

Row = dict[str, str]


def load(folder: Path, split: str) -> list[Row]:
    """Reads the rows of a split."""
    with (folder / f"nli_{split}.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def words(text: str) -> list[str]:
    """Splits text into lower-case words."""
    return re.findall(r"[a-z0-9]+(?:'[a-z]+)?", text.lower())


def targets(rows: list[Row]) -> list[str]:
    """Returns the labels."""
    return [row["label"] for row in rows]


def length_column(texts: list[str]) -> np.ndarray:
    """Returns word and character counts, scaled to about one."""
    return np.array([[len(words(t)) / 10, len(t) / 50] for t in texts])


def text_cue_scores(train: list[Row], test: list[Row], column: str) -> dict[str, float]:
    """Scores classifiers that see one of the two texts only."""
    word = {"ngram_range": (1, 2), "sublinear_tf": True}
    char = {"ngram_range": (2, 5), "analyzer": "char_wb", "sublinear_tf": True}
    features = {
        "word 1-2 grams": lambda: TfidfVectorizer(**word),
        "char 2-5 grams": lambda: TfidfVectorizer(**char),
        "word 1-2 grams + length": lambda: make_union(
            TfidfVectorizer(**word), FunctionTransformer(length_column)
        ),
    }
    scores = {}
    for name, make in features.items():
        model = make_pipeline(make(), LogisticRegression(max_iter=1000))
        model.fit([r[column] for r in train], targets(train))
        scores[name] = float(model.score([r[column] for r in test], targets(test)))
    return scores


def overlap_row(row: Row) -> list[float]:
    """Describes a pair by its lengths and shared words alone."""
    premise, hypothesis = words(row["premise"]), words(row["hypothesis"])
    left, right = set(premise), set(hypothesis)
    return [
        len(left & right) / len(right),
        len(left & right) / len(left | right),
        len(premise),
        len(hypothesis),
        len(hypothesis) / len(premise),
        len(right - left),
        float(bool(right & NEGATION)),
        float(bool(left & NEGATION)),
    ]


def overlap_scores(train: list[Row], test: list[Row]) -> dict[str, float]:
    """Scores classifiers that see only overlap, lengths and negation."""
    models = {
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "gradient boosting": GradientBoostingClassifier(random_state=0),
    }
    x_train, x_test = (np.array([overlap_row(r) for r in rows]) for rows in (train, test))
    return {
        name: float(model.fit(x_train, targets(train)).score(x_test, targets(test)))
        for name, model in models.items()
    }


def nearest_premises(train: list[Row], test: list[Row]) -> float:
    """Returns the highest word Jaccard index of a test and a train premise."""
    left = {frozenset(words(r["premise"])) for r in train}
    right = {frozenset(words(r["premise"])) for r in test}
    return max(len(a & b) / len(a | b) for a in right for b in left)


def size_problems(split: str, rows: list[Row]) -> list[str]:
    """Prints sizes and balance of a split and returns what is wrong with them."""
    labels = Counter(targets(rows))
    genres = Counter((r["genre"], r["label"]) for r in rows)
    names = sorted({genre for genre, _ in genres})
    print(f"{split}: {len(rows)} rows, {dict(sorted(labels.items()))}")
    for name in names:
        print(f"  {name:16}", *(f"{label}={genres[name, label]}" for label in sorted(LABELS)))
    print("  phenomena", dict(Counter(r["phenomenon"] for r in rows).most_common()))
    lengths = [len(words(r["premise"])) for r in rows]
    print(f"  premise words {min(lengths)}-{max(lengths)}, mean {np.mean(lengths):.1f}")
    pairs = {(r["premise"], r["hypothesis"]) for r in rows}
    broken = {
        "too few rows": len(rows) < MIN_ROWS[split],
        "unexpected label": set(labels) != LABELS,
        "labels unbalanced": len(set(labels.values())) != 1,
        "too few genres": len(names) < MIN_GENRES,
        "genre unbalanced": any(len({genres[n, la] for la in LABELS}) != 1 for n in names),
        "duplicate pair": len(pairs) != len(rows),
        "duplicate id": len({r["id"] for r in rows}) != len(rows),
    }
    distinct = [len(set(column)) for column in zip(*pairs, strict=True)]
    print(f"  distinct premises {distinct[0]}, hypotheses {distinct[1]}")
    return [f"{split}: {name}" for name, bad in broken.items() if bad]


def print_scores(title: str, scores: dict[str, float]) -> float:
    """Prints accuracies and returns the highest."""
    for name, score in scores.items():
        print(f"{title}, {name}: {score:.3f}")
    return max(scores.values())


def main() -> int:
    """Runs all checks and returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", type=Path, default=CORPUS, help="folder with the two files")
    folder: Path = parser.parse_args().corpus
    train, test = load(folder, "train"), load(folder, "test")
    problems = size_problems("train", train) + size_problems("test", test)
    cues = {
        "hypothesis only": (text_cue_scores(train, test, "hypothesis"), HYPOTHESIS_BOUND),
        "premise only": (text_cue_scores(train, test, "premise"), PREMISE_BOUND),
        "overlap only": (overlap_scores(train, test), OVERLAP_BOUND),
    }
    for title, (scores, bound) in cues.items():
        if print_scores(title, scores) >= bound:
            problems.append(f"{title} bound broken")
    nearest = nearest_premises(train, test)
    print(f"closest train and test premises: word Jaccard {nearest:.3f}")
    if nearest >= SIMILARITY_BOUND:
        problems.append("a premise is in both splits")
    print("\n".join(f"BROKEN {problem}" for problem in problems) or "all bounds hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
