"""Answer spans by logistic regression, in the spirit of SQuAD's own baseline.

Rajpurkar et al. 2016 (arXiv 1606.05250, section 5) score candidate spans with a linear model over
matches of words, lengths, positions and the lexical surroundings. Theirs are constituents of a
parser; ours are all word sequences within a sentence, so that no parser is needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tarazu.data.item import Prediction
from tarazu.errors import bad
from tarazu.methods._method import FitContext
from tarazu.methods._span_features import Candidates, Lexicon

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def predict_spans(
    context: FitContext, max_words: int, negatives: int, c: float
) -> list[Prediction]:
    """Train on the training split and answer every item with its best candidate.

    Args:
        context: Task, training items and items to answer.
        max_words: Longest candidate.
        negatives: Wrong candidates per training question.
        c: Inverse strength of the L2 penalty.

    Raises:
        BadInput: No training answer is a candidate.
    """
    lexicon = Lexicon.of(context.train)
    weights = _fit(context, lexicon, max_words, negatives, c)
    predictions = []
    for item in context.items:
        text = item.fields["context"]
        candidates = Candidates.of(item, lexicon, max_words)
        if len(candidates.starts):
            best = int(weights.score(candidates).argmax())
            first, last = candidates.starts[best], candidates.ends[best]
            text = text[candidates.words[first].start : candidates.words[last].end]
        answer = text.strip() or None
        predictions.append(Prediction(item.id, answer, answer or ""))
    return predictions


@dataclass(frozen=True)
class _Weights:
    """A fitted linear model: weights of the numbers, and of every category of every column."""

    dense: Floats
    codes: list[Floats]

    def score(self, candidates: Candidates) -> Floats:
        """Return the score of every candidate."""
        scores: Floats = candidates.dense @ self.dense
        for number, weights in enumerate(self.codes):
            scores = scores + weights[candidates.codes[:, number]]
        return scores


def _fit(
    context: FitContext, lexicon: Lexicon, max_words: int, negatives: int, c: float
) -> _Weights:
    import numpy as np
    from scipy.sparse import csr_matrix, hstack
    from sklearn.linear_model import LogisticRegression

    random = np.random.default_rng(context.seed)
    dense, codes, right = [], [], []
    for item in context.train:
        candidates = Candidates.of(item, lexicon, max_words)
        gold = candidates.gold(item)
        if not len(gold):
            continue
        wrong = np.setdiff1d(np.arange(len(candidates.starts)), gold)
        wrong = random.permutation(wrong)[:negatives]
        chosen = np.concatenate([gold, wrong])
        dense.append(candidates.dense[chosen])
        codes.append(candidates.codes[chosen])
        right.append(np.arange(len(chosen)) < len(gold))
    if not right or all(map(np.all, right)):
        raise bad(
            "methods.tfidf.max_words",
            "must leave right and wrong candidates in the training split",
            max_words,
            "Raise max_words, or name training data with short answers.",
        )
    categories = np.concatenate(codes) + np.cumsum([0, *lexicon.sizes[:-1]])
    rows = np.repeat(np.arange(len(categories)), categories.shape[1])
    shape = (len(categories), sum(lexicon.sizes))
    one_hot = csr_matrix((np.ones(categories.size), (rows, categories.ravel())), shape=shape)
    features = hstack([csr_matrix(np.concatenate(dense)), one_hot], format="csr")
    model = LogisticRegression(C=c, max_iter=2000, random_state=context.seed)
    model.fit(features, np.concatenate(right))
    weights: Any = model.coef_[0]
    width = dense[0].shape[1]
    return _Weights(weights[:width], np.split(weights[width:], np.cumsum(lexicon.sizes[:-1])))
