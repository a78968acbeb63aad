"""Partial input: the hypothesis without the premise, the question without the context.

A score well above the majority's shows that answers can be told from giveaways in one field alone.
"""

from __future__ import annotations

from typing import Any

from tarazu.data.item import Item, Prediction
from tarazu.methods import full, tfidf
from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._method import Choices, ExplainContext, FitContext, Method, Space, knob
from tarazu.methods.majority import commonest_answer
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

GURURANGAN = "Gururangan et al. 2018, arXiv 1803.02324"
POLIAK = "Poliak et al. 2018, arXiv 1805.01042"
KAUSHIK = "Kaushik and Lipton 2018, arXiv 1808.04926"


class PartialInputKnobs(AnswerKnobs, tfidf.TfidfKnobs):
    """What is kept of an item; without a model, the features of the linear model."""

    keep: str | None = knob(
        None,
        reason="The field that annotators wrote, where giveaways are found",
        source=f"{GURURANGAN}; {POLIAK}; {KAUSHIK}",
    )
    """The one text field that is kept; null takes the task's own (hypothesis, question)."""


def kept(task: Task, knobs: Any) -> str:
    """Return the name of the field that is kept."""
    return knobs.keep or task.partial


def supports(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse tasks of one text, unknown fields, and span heads without a context."""
    if len(task.texts) < 2:
        return f"{task.name} has a single text ({task.texts[0]}): nothing can be left out"
    field = kept(task, knobs)
    if field not in task.texts:
        return f"{task.name} has no text field '{field}': keep one of {', '.join(task.texts)}"
    if task.kind == "extract" and field != "context" and info and info.kind == "encoder":
        return (
            f"{info.name} is an encoder and answers with a span of the context, which is left out: "
            "name a decoder, or no model"
        )
    return full.METHOD.supports(info, task, knobs)


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search as the method does that it is with the rest of the input."""
    if info is not None:
        return full.search(info, task, knobs)
    if task.kind == "extract" and kept(task, knobs) != "context":
        # The answer of the most similar question: there is nothing but its features.
        reason, source = "Words, pairs, triples", "As for tfidf on labels"
        return {"ngrams": Choices((1, 2, 3), reason, source)}
    return tfidf.search(info, task, knobs)


def view(item: Item, task: Task, knobs: Any) -> Item:
    """Empty every text field but the kept one."""
    field = kept(task, knobs)
    return item.with_fields(**{name: "" for name in task.texts if name != field})


def predict(context: FitContext) -> list[Prediction]:
    """Answer from what is left, without a pretrained model."""
    if context.task.kind == "extract" and kept(context.task, context.knobs) != "context":
        return answer_of_similar(context)
    return tfidf.predict(context)


def answer_of_similar(context: FitContext) -> list[Prediction]:
    """Answer with the gold answer of the training item most similar by TF-IDF.

    The first of equally similar ones counts; where not one word is shared, the commonest answer.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    fallback = commonest_answer(context.train, context.task)
    features = tfidf.features_of(context.knobs.ngrams)
    if not context.items or not any(map(features, context.train)):
        return [Prediction(item.id, fallback, fallback) for item in context.items]
    vectorizer = TfidfVectorizer(analyzer=features)
    by_word = vectorizer.fit_transform(context.train).T.tocsr()  # else every product turns it
    asked = vectorizer.transform(context.items)
    predictions = []
    for row, item in enumerate(context.items):  # all pairs at once would not fit into memory
        similarity = (asked[row] @ by_word).toarray()[0]
        best = int(similarity.argmax())
        answer = context.train[best].gold[0] if similarity[best] > 0 else fallback
        predictions.append(Prediction(item.id, answer, answer))
    return predictions


EXPLANATION = Text(
    en="""
**What it is.** A part of every item is taken away, so that the task cannot be solved
honestly: the hypothesis is judged without its premise, the question is answered without its
context. {keep}

**Formula.** `p(y | x_kept)` is fitted instead of `p(y | x)`; the other text fields are empty,
in training and in test alike. Without a model this is the linear model of `tfidf`; a question
without its context gets the answer of the most similar training question, `argmax_i cos(q,
q_i)` over TF-IDF. With a model named it is full fine-tuning (`full`) on what is left.

**Trained and frozen.** Without a model, the weights of the linear model; with one, every
weight and a new head, as in `full`.

**When to use it.** On every task of two texts, before any other result is believed.
Gururangan et al. 2018 and Poliak et al. 2018 found that the hypothesis alone gives away far
more than chance in popular inference data, since annotators write negations into
contradictions; Kaushik and Lipton 2018 found the same for reading comprehension. What a
method gains above this baseline is the most that can be credited to reading both texts. A low
score is no proof that there are no giveaways: others may lie in the overlap of both texts.
Not for tasks of a single text, where nothing can be left out, and not as a product.

**For several tasks.** It says something about the data, not about serving. Without a model
nothing is shared; with one, it costs a whole copy of the model per task, as full fine-tuning
does. If methods that share a base merely reach this score, they share giveaways rather than
understanding.
""",
    fa="""
**چیست؟** بخشی از هر نمونه برداشته می‌شود تا کار را نتوان درست انجام داد: فرضیه بی مقدمه‌اش
داوری می‌شود و پرسش بی متنش پاسخ می‌گیرد. {keep}

**فرمول.** به‌جای `p(y | x)` احتمال `p(y | x_kept)` برازش می‌شود؛ متن‌های دیگر، هم در آموزش و
هم در آزمون، تهی‌اند. بی مدل، این همان مدل خطیِ `tfidf` است و پرسشِ بی‌متن پاسخ شبیه‌ترین پرسش
آموزش را می‌گیرد، `argmax_i cos(q, q_i)` روی TF-IDF. اگر مدلی نام برده شود، تنظیم کامل
(`full`) است روی آنچه مانده.

**چه آموزش می‌بیند و چه یخ‌زده است؟** بی مدل، وزن‌های مدل خطی؛ با مدل، همهٔ وزن‌ها و یک سر
تازه، مانند `full`.

**چه هنگام به کار می‌آید؟** در هر کارِ دومتنی و پیش از باور کردن هر نتیجهٔ دیگری. گورورانگان و
همکاران (۲۰۱۸) و پولیاک و همکاران (۲۰۱۸) دیدند که در داده‌های رایج استنتاج، فرضیه به تنهایی
بسیار بیش از شانس پاسخ را لو می‌دهد، زیرا نویسندگان در جمله‌های متناقض واژه‌های نفی می‌آورند؛
کوشیک و لیپتون (۲۰۱۸) همین را در درک مطلب دیدند. آنچه روشی بالاتر از این پایه به دست می‌آورد
بیشترین چیزی است که می‌توان به خواندن هر دو متن نسبت داد. نمرهٔ پایین ثابت نمی‌کند که نشانهٔ
لودهنده‌ای نیست: شاید در همپوشانی دو متن باشد. برای کارهای تک‌متنی که چیزی را نمی‌توان کنار
گذاشت و به‌عنوان محصول مناسب نیست.

**برای چند کار.** از داده چیزی می‌گوید، نه از خدمت‌دهی. بی مدل چیزی مشترک نیست؛ با مدل، مانند
تنظیم کامل برای هر کار یک نسخهٔ کامل از مدل می‌خواهد. اگر روش‌هایی که پایهٔ مشترک دارند تنها
به همین نمره برسند، آنچه مشترک دارند نشانه‌های لودهنده است نه فهم.
""",
)
KEEP = Text(
    en="Here the field `{field}` is kept.",
    fa="اینجا متن `{field}` نگه داشته می‌شود.",
)
TASKS_OWN = Text(
    en="The field that annotators wrote is kept, as the task names it.",
    fa="متنی که برچسب‌زنان نوشته‌اند نگه داشته می‌شود، همان که کار نام برده است.",
)


def explain(context: ExplainContext) -> Text:
    """Explain the partial-input baseline."""
    field = context.knobs.keep
    keep = fill(KEEP, field=field) if field else TASKS_OWN
    return join(fill(EXPLANATION, keep=keep), numbers_of(context) if context.info else None)


METHOD = Method(
    name="partial-input",
    label=Text(en="Partial input", fa="ورودی ناقص"),
    family="baseline",
    summary=Text(
        en="Sees the hypothesis without the premise, or the question without the context.",
        fa="فرضیه را بی مقدمه می‌بیند، یا پرسش را بی متن.",
    ),
    explain=explain,
    knobs=PartialInputKnobs,
    needs_model="optional",
    defaults=full.defaults,
    search=search,
    supports=supports,
    attach=full.attach,
    deployed=full.deployed,
    view=view,
    predict=predict,
    cite=(GURURANGAN, POLIAK, KAUSHIK),
)
