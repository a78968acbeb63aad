"""TF-IDF: a bag of words and logistic regression, without any pretrained model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tarazu.data.item import Item, Prediction
from tarazu.methods._explain import fill, join
from tarazu.methods._method import (
    Choices,
    ExplainContext,
    FitContext,
    Knobs,
    Method,
    Range,
    Space,
    knob,
)
from tarazu.methods._span_features import find_words
from tarazu.methods._tfidf_spans import predict_spans
from tarazu.methods.majority import FLOOR
from tarazu.methods.majority import predict as predict_majority
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

SKLEARN = "scikit-learn documentation, LogisticRegression (default)"


class TfidfKnobs(Knobs):
    """Features and regularisation of the linear model."""

    ngrams: int = knob(
        2,
        ge=1,
        le=4,
        reason="Pairs of words catch 'not good'; longer ones are too rare in small data",
        source="Wang and Manning 2012, Baselines and Bigrams (ACL), section 4",
    )
    """Longest sequence of words that is one feature."""
    c: float = knob(
        1.0, gt=0, reason="No tuning: a baseline should be reproducible at sight", source=SKLEARN
    )
    """Inverse strength of the L2 penalty."""
    max_words: int = knob(
        8,
        ge=1,
        le=20,
        reason="Covers most answers that lie within one sentence; longer spans are mostly noise",
        source="93 % of 3,000 SQuAD v1.1 training answers have at most 8 words (measured)",
    )
    """Span tasks: longest candidate in words."""
    negatives: int = knob(
        50,
        ge=1,
        reason="Nearly all candidates are wrong, so a sample tells nearly as much; twice as many "
        "gain one point of F1 for twice the memory",
        source="Measured: 3,000 SQuAD training questions, 1,000 from other articles (35.5 % "
        "against 34.7 %)",
    )
    """Span tasks: wrong candidates per training question."""


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search the penalty, and the features: runs of words, or the length of candidates."""
    space: dict[str, Range | Choices] = {
        "c": Range(
            1e-2, 1e2, "Two orders of magnitude to both sides of the default",
            "scikit-learn documentation, LogisticRegressionCV (logarithmic grid)", log=True,
        )
    }  # fmt: skip
    if task.kind == "extract":
        space["max_words"] = Choices(
            (4, 6, 8, 12),
            "Longer candidates reach more answers, and bring more wrong ones",
            "Lengths of answers in SQuAD v1.1",
        )
    else:
        space["ngrams"] = Choices(
            (1, 2, 3),
            "Words, pairs, triples",
            "Wang and Manning 2012, Baselines and Bigrams (ACL), section 4",
        )
    return space


def predict(context: FitContext) -> list[Prediction]:
    """Answer items from a linear model over the words of the training split."""
    if context.task.kind == "extract":
        knobs = context.knobs
        return predict_spans(context, knobs.max_words, knobs.negatives, knobs.c)
    return classify(context)


def classify(context: FitContext) -> list[Prediction]:
    """Answer with multinomial logistic regression over TF-IDF of words and word pairs.

    A word of the premise and the same word of the hypothesis are different features, and there is
    no feature for their overlap.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    features = features_of(context.knobs.ngrams)
    gold = [item.gold[0] for item in context.train]
    if len(set(gold)) < 2 or not any(map(features, context.train)):
        return predict_majority(context)  # nothing to tell apart, or nothing to tell by
    vectorizer = TfidfVectorizer(analyzer=features)
    model = LogisticRegression(C=context.knobs.c, max_iter=2000, random_state=context.seed)
    model.fit(vectorizer.fit_transform(context.train), gold)
    found = model.predict_log_proba(vectorizer.transform(context.items))
    column = {label: number for number, label in enumerate(model.classes_)}
    predictions = []
    for item, row in zip(context.items, found, strict=True):
        scores = tuple(
            max(float(row[column[label]]), FLOOR) if label in column else FLOOR
            for label in context.task.labels
        )
        answer = context.task.labels[scores.index(max(scores))]
        predictions.append(Prediction(item.id, answer, answer, scores))
    return predictions


def features_of(ngrams: int) -> Callable[[Item], list[str]]:
    """Return a function from an item to its features, each marked with the field it stands in.

    Args:
        ngrams: Longest sequence of words that is one feature.
    """

    def features(item: Item) -> list[str]:
        found = []
        for field, text in item.fields.items():
            words = [word.text for word in find_words(text)]
            for n in range(1, ngrams + 1):
                found += [f"{field}: {' '.join(gram)}" for gram in _grams(words, n)]
        return found

    return features


def _grams(words: list[str], n: int) -> list[tuple[str, ...]]:
    return list(zip(*(words[start:] for start in range(n)), strict=False))


EXPLANATION = Text(
    en="""
**What it is.** A linear model over the words of an item, trained on the same training split
as all other methods, without any pretrained model.

**Formula.** A feature f (a run of up to {ngrams} words in one field) of an item has the
weight `tf(f)·idf(f)`, `idf(f) = ln((1+N)/(1+n_f)) + 1`, N items of which n_f contain f; each
item's vector `x` is scaled to length 1. Then `p(y | x) = softmax(W·x + b)`, with the penalty
`‖W‖²/(2C)`, C = {c}. The same word in premise and hypothesis is two features, and nothing
tells whether they agree: a plain bag of words. For question answering the same kind of model
scores candidates, all runs of up to {max_words} words within a sentence, by how much of the
question stands in the sentence and around the candidate, by rare, capitalised and numeric
words together with the question word, by length and by place; {negatives} wrong candidates
per training question are drawn by the seed.

**Trained and frozen.** `W` and `b` are trained, by a convex problem with one solution;
nothing is pretrained and nothing frozen.

**When to use it.** Always as a yardstick: what it reaches can be had in seconds and without a
model. Where it comes near a large model (topics, strong sentiment words), the large one is
hardly worth its cost; where it stays near chance (inference), the task needs more than words.
Not for tasks that hang on order, negation or meaning shared by different words.

**For several tasks.** Nothing is shared: every task has its own vocabulary and its own
weights. They are small, so many can be kept, but no task learns from another and none profits
from pretraining.
""",
    fa="""
**چیست؟** مدلی خطی روی واژه‌های نمونه که با همان داده‌های آموزشِ روش‌های دیگر و بی هیچ مدل
پیش‌آموخته‌ای آموزش می‌بیند.

**فرمول.** هر ویژگی f (دنباله‌ای تا {ngrams} واژه در یکی از متن‌های نمونه) وزن `tf(f)·idf(f)`
دارد که `idf(f) = ln((1+N)/(1+n_f)) + 1` است؛ N شمار نمونه‌هاست و n_f شمار آن‌هایی که f را
دارند. بردار `x` هر نمونه به درازای ۱ رسانده می‌شود. سپس `p(y | x) = softmax(W·x + b)` با
جریمهٔ `‖W‖²/(2C)` و C برابر {c}. یک واژه در مقدمه و همان واژه در فرضیه دو ویژگی است و چیزی از
یکی بودن آن‌ها نمی‌گوید: کیسهٔ سادهٔ واژه‌ها. در پاسخ‌گویی به پرسش همین گونه مدل به نامزدها
نمره می‌دهد، یعنی همهٔ دنباله‌های تا {max_words} واژه در یک جمله: بر پایهٔ اینکه چه اندازه از
پرسش در جمله و پیرامون نامزد هست، واژه‌های کمیاب، نام‌ها و عددها همراه با واژهٔ پرسش، درازا و
جا؛ برای هر پرسش آموزش {negatives} نامزد نادرست با بذر کشیده می‌شود.

**چه آموزش می‌بیند و چه یخ‌زده است؟** `W` و `b` با مسئله‌ای محدب که یک جواب دارد آموزش
می‌بینند؛ چیزی پیش‌آموخته یا یخ‌زده نیست.

**چه هنگام به کار می‌آید؟** همیشه به‌عنوان سنجه: آنچه به آن می‌رسد در چند ثانیه و بی مدل به
دست می‌آید. جایی که به مدل بزرگ نزدیک شود (موضوع متن، واژه‌های پرمعنای احساس)، مدل بزرگ به
هزینه‌اش نمی‌ارزد؛ جایی که نزدیک شانس بماند (استنتاج)، کار به چیزی بیش از واژه نیاز دارد. برای
کارهایی که به ترتیب، نفی یا هم‌معناییِ واژه‌های متفاوت بسته‌اند مناسب نیست.

**برای چند کار.** چیزی مشترک نیست: هر کار واژگان و وزن‌های خود را دارد. کوچک‌اند و می‌توان
بسیاری از آن‌ها را نگه داشت، ولی هیچ کاری از دیگری نمی‌آموزد و از پیش‌آموزش بهره نمی‌برد.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain the TF-IDF baseline."""
    return join(fill(EXPLANATION, **context.knobs.model_dump()))


METHOD = Method(
    name="tfidf",
    label=Text(en="TF-IDF + logistic regression", fa="TF-IDF و رگرسیون لجستیک"),
    family="baseline",
    summary=Text(
        en="A linear model over words and word pairs, trained without any pretrained model.",
        fa="مدلی خطی روی واژه‌ها و جفت‌واژه‌ها که بی هیچ مدل پیش‌آموخته‌ای آموزش می‌بیند.",
    ),
    explain=explain,
    knobs=TfidfKnobs,
    search=search,
    needs_model="no",
    trains=False,
    predict=predict,
    cite=(
        "Wang and Manning 2012, Baselines and Bigrams (ACL)",
        "Rajpurkar et al. 2016, arXiv 1606.05250, section 5",
    ),
)
