"""Majority: the answer that is most frequent in the training split, whatever is asked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from tarazu.data.item import Item, Prediction
from tarazu.evaluation.squad import normalize_answer
from tarazu.methods._explain import join
from tarazu.methods._method import ExplainContext, FitContext, Method
from tarazu.tasks._task import Task
from tarazu.text import Text

FLOOR = math.log(1e-9)
"""Log-probability of a label that training has never seen: finite, so that it can be stored."""


def predict(context: FitContext) -> list[Prediction]:
    """Answer every item with the most frequent training answer."""
    if context.task.kind == "extract":
        answer = commonest_answer(context.train, context.task)
        return [Prediction(item.id, answer, answer) for item in context.items]
    scores = label_shares(context.train, context.task)
    answer = context.task.labels[scores.index(max(scores))]
    return [Prediction(item.id, answer, answer, scores) for item in context.items]


def label_shares(train: Sequence[Item], task: Task) -> tuple[float, ...]:
    """Return the log-share of every label in the training split, in the order of the task.

    Args:
        train: Training items.
        task: A task with labels. The first of equally frequent labels stands first.
    """
    counts = Counter(item.gold[0] for item in train)
    return tuple(
        math.log(counts[label] / len(train)) if counts[label] else FLOOR for label in task.labels
    )


def commonest_answer(train: Sequence[Item], task: Task) -> str:
    """Return the most frequent gold answer, as first written, counted after normalisation.

    It need not stand in the context at hand: this is the floor that knows nothing of the item.

    Args:
        train: Training items.
        task: A task whose answers are spans.
    """
    forms: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for item in train:
        key = normalize_answer(item.gold[0], task.language)
        forms.setdefault(key, item.gold[0])
        counts[key] += 1
    return forms[counts.most_common(1)[0][0]]


EXPLANATION = Text(
    en="""
**What it is.** The answer that occurs most often in the training split, given to every item.
It reads nothing of the item: whatever does not beat it has learnt nothing that counts.

**Formula.** `ŷ = argmax_y n(y)`, where `n(y)` counts the training items with the answer `y`.
Of equally frequent labels the task's first one is taken. The score of a label is the
logarithm of its share. For question answering, answers are counted after the normalisation of
the metric, and the commonest one is given, whether or not it stands in the context.

**Trained and frozen.** One number per label is counted; there is no model, no gradient and no
hyperparameter.

**When to use it.** Always, as the floor of the table: accuracy means little until one knows
how unequal the classes are, and a model that has collapsed to one class gives itself away by
reaching exactly this score (usually a sign of a wrong learning rate). It is useless as a
product. On balanced classes it equals chance, and under macro-averaged measures it falls
below it.

**Why it differs on the test split.** The answer is chosen on the training split alone. If the
shares of the classes differ between the splits, the baseline scores less than the test
split's own largest class, and that is honest: no method may look there.

**For several tasks.** It shares nothing and needs nothing: a single answer is stored for each
task. It has no part in the question of one frozen base, but shows what serving no model at
all would bring.
""",
    fa="""
**چیست؟** پاسخی که در داده‌های آموزش از همه بیشتر آمده است به همهٔ نمونه‌ها داده می‌شود. از
نمونه چیزی نمی‌خواند: هر چه از آن بهتر نباشد چیز به‌دردبخوری نیاموخته است.

**فرمول.** `ŷ = argmax_y n(y)` که `n(y)` شمار نمونه‌های آموزش با پاسخ `y` است. از برچسب‌های
هم‌شمار، آنکه در کار زودتر آمده برداشته می‌شود. نمرهٔ هر برچسب لگاریتم سهم آن است. در
پاسخ‌گویی به پرسش، پاسخ‌ها پس از همان یکدست‌سازیِ سنجه شمرده می‌شوند و پرتکرارترینِ آن‌ها داده
می‌شود، چه در متن باشد و چه نباشد.

**چه آموزش می‌بیند و چه یخ‌زده است؟** برای هر برچسب یک عدد شمرده می‌شود؛ نه مدلی هست، نه
گرادیانی و نه ابرپارامتری.

**چه هنگام به کار می‌آید؟** همیشه، به‌عنوان کف جدول: تا ندانیم دسته‌ها چقدر نابرابرند، دقت
چیز زیادی نمی‌گوید؛ و مدلی که به یک دسته فروریخته با رسیدن به همین نمره خود را لو می‌دهد
(معمولاً نشانهٔ نرخ یادگیری نادرست است). به‌عنوان محصول بی‌فایده است. روی دسته‌های برابر همان
شانس است و در سنجه‌های میانگینِ دسته‌ها کمتر از آن.

**چرا روی دادهٔ آزمون فرق می‌کند؟** پاسخ تنها از داده‌های آموزش برگزیده می‌شود. اگر سهم
دسته‌ها در دو بخش یکی نباشد، نمرهٔ این روش از سهم بزرگ‌ترین دستهٔ آزمون کمتر می‌شود و این درست
است: هیچ روشی نباید به آنجا نگاه کند.

**برای چند کار.** نه چیزی را مشترک دارد و نه به چیزی نیاز دارد: برای هر کار تنها یک پاسخ ذخیره
می‌شود. در پرسشِ «یک پایهٔ یخ‌زده برای چند کار» سهمی ندارد، ولی نشان می‌دهد بی هیچ مدلی به کجا
می‌رسیم.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain the majority baseline."""
    return join(EXPLANATION)


METHOD = Method(
    name="majority",
    label=Text(en="Majority", fa="پاسخ پرتکرار"),
    family="baseline",
    summary=Text(
        en="Always gives the most frequent answer of the training split.",
        fa="همیشه پرتکرارترین پاسخ داده‌های آموزش را می‌دهد.",
    ),
    explain=explain,
    nothing_to_tune=Text(
        "The commonest answer is counted: there is nothing to choose.",
        "پرتکرارترین پاسخ شمرده می‌شود و چیزی برای برگزیدن نیست.",
    ),
    needs_model="no",
    trains=False,
    seeded=lambda knobs: False,
    predict=predict,
)
