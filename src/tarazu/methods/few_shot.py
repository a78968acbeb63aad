"""Few-shot prompting: solved examples from the training split in front of the item."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tarazu.data.item import Item
from tarazu.data.leakage import normalised_item
from tarazu.errors import bad
from tarazu.methods._asking import AnswerKnobs, search_wording
from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._method import (
    Choices,
    Demonstrations,
    ExplainContext,
    Method,
    Space,
    knob,
)
from tarazu.methods.zero_shot import needs_decoder
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text


class FewShotKnobs(AnswerKnobs):
    """Which solved examples are shown."""

    k: int = knob(
        1,
        ge=1,
        reason="One-shot: the smallest demonstration of format and task",
        source="Brown et al. 2020, arXiv 2005.14165, section 2",
    )
    """Number of demonstrations."""
    select: Literal["random", "balanced", "similar"] = knob(
        "random",
        reason="No choice is tuned on anything; the seed decides, and seeds show its variance",
        source="Lu et al. 2022, arXiv 2104.08786 (choice and order matter a lot)",
    )
    """``random``; ``balanced`` over classes; ``similar`` to the item by TF-IDF (Liu et al. 2022,
    arXiv 2101.06804, with sparse vectors)."""
    draw: int | None = knob(
        None,
        ge=0,
        reason="Every seed draws its own demonstrations, so that their luck shows as spread",
        source="Lu et al. 2022, arXiv 2104.08786 (choice and order matter a lot)",
    )
    """Which draw of demonstrations and their order is used, whatever the seed; null: the seed's."""


def _text(item: Item) -> str:
    return "\n".join(item.fields.values())


def _innocent(order: Iterable[Item], item: Item) -> Iterator[Item]:
    """Leave out demonstrations that give the item away: itself, copies, its group (trap T15)."""
    told = normalised_item(item)
    return (s for s in order if s.group != item.group and normalised_item(s) != told)


def _first(order: Iterable[Item], k: int, item: Item) -> list[Item]:
    shots = list(itertools.islice(_innocent(order, item), k))
    if len(shots) < k:
        raise bad(
            f"few-shot, item {item.id}",
            f"k = {k} training items must be left that neither are the item nor share its group",
            len(shots),
            "Lower k, use more training items, or group by another column (data.group_by).",
        )
    return shots


def _fixed(order: Sequence[Item], k: int) -> Demonstrations:
    return Demonstrations(lambda item: _first(order, k, item), fixed=True, how="")


def _balanced(order: Sequence[Item], labels: Sequence[str]) -> list[Item]:
    """Reorder so that classes take turns, starting with a class that the seed decides."""
    if not labels:
        return list(order)
    by_label = {label: [i for i in order if i.gold[0] == label] for label in labels}
    turns = sorted(
        labels, key=lambda label: order.index(by_label[label][0]) if by_label[label] else len(order)
    )
    rounds = max(map(len, by_label.values()))
    return [
        by_label[label][n] for n in range(rounds) for label in turns if n < len(by_label[label])
    ]


class _Nearest:
    """Texts by their similarity to one that is asked about: TF-IDF cosine.

    What hangs on the texts alone is computed once. Chosen are those that scikit-learn's
    `NearestNeighbors` chooses, among equals too; that does it anew for every text that is asked.

    Args:
        texts: What is compared with.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize

        self._vectorizer = TfidfVectorizer(sublinear_tf=True)
        vectors = normalize(self._vectorizer.fit_transform(texts))
        self._by_word = vectors.T.tocsr()  # [words, texts]: a product reads the asked words only

    def distances(self, text: str) -> NDArray[np.float64]:
        """Return one minus the cosine to each text, [texts]."""
        from sklearn.preprocessing import normalize

        asked = normalize(self._vectorizer.transform([text]))
        cosines: NDArray[np.float64] = (asked @ self._by_word).toarray()[0]
        return np.clip(1 - cosines, 0, 2)


def _nearest(distances: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the places of the smallest, nearest first."""
    near = np.argpartition(distances, count - 1)[:count]
    return near[np.argsort(distances[near])]


def _similar(pool: Sequence[Item], k: int) -> Demonstrations:
    index = _Nearest([_text(item) for item in pool])

    def choose(item: Item) -> Sequence[Item]:
        distances = index.distances(_text(item))

        def nearest() -> Iterator[Item]:
            seen = 0
            for wanted in (4 * k + 16, len(pool)):  # all are sorted only when the near ones fail
                rows = _nearest(distances, min(wanted, len(pool)))
                yield from (pool[row] for row in rows[seen:])
                seen = len(rows)

        return _first(nearest(), k, item)[::-1]  # the most similar one stands next to the item

    return Demonstrations(choose, fixed=False, how="")


def demonstrations(
    knobs: FewShotKnobs, task: Task, train: Sequence[Item], seed: int
) -> Demonstrations:
    """Choose demonstrations out of the training split, never out of another one (trap T15).

    Args:
        knobs: How many, and how they are chosen.
        task: The task.
        train: The training split.
        seed: Of the choice and the order, unless the knobs name a draw.

    Raises:
        BadInput: There are too few training items, or too few that do not give an item away.
    """
    if knobs.k > len(train):
        rule = f"few-shot can show at most the {len(train)} training items that there are"
        raise bad("few-shot, k", rule, knobs.k, "Lower k, or use more training items.")
    seed = seed if knobs.draw is None else knobs.draw
    order = list(train)
    random.Random(seed).shuffle(order)
    drawn = f"seed {seed}" if knobs.draw is None else f"draw {seed}, whatever the seed"
    if knobs.select == "similar":
        chosen = _similar(order, knobs.k)
        how = f"the {knobs.k} training items most similar to the item (TF-IDF cosine), nearest last"
    elif knobs.select == "balanced":
        chosen = _fixed(_balanced(order, task.labels), knobs.k)
        how = f"{knobs.k} training items at random, classes in turn ({drawn})"
    else:
        chosen = _fixed(order, knobs.k)
        how = f"{knobs.k} training items at random ({drawn}), the same for all items"
    return Demonstrations(chosen.choose, chosen.fixed, how)


def draws(knobs: FewShotKnobs) -> bool:
    """Say whether anything is drawn: the demonstrations, or the answer's words."""
    drawn = knobs.select != "similar" and knobs.draw is None
    return drawn or knobs.decode.temperature > 0


def search(info: ModelInfo | None, task: Task, knobs: FewShotKnobs) -> Space:
    """Search wording and label score, and the demonstrations: how many, how chosen, which."""
    matters = "Lu et al. 2022, arXiv 2104.08786 (choice and order matter a lot)"
    ways = ("random", "balanced", "similar") if task.labels else ("random", "similar")
    space = {
        **search_wording(task, knobs),
        "k": Choices(
            (1, 2, 4, 8),
            "More demonstrations help until they push the item's own text out of the context",
            "Brown et al. 2020, arXiv 2005.14165, figure 1.2",
        ),
        "select": Choices(ways, "Similar ones tell more, balanced ones suggest no class", matters),
    }
    if knobs.select != "similar":
        space["draw"] = Choices(
            (None, *range(1, 8)), "Seven draws of demonstrations in their order", matters
        )
    return space


EXPLANATION = Text(
    en="""
**What it is.** Solved examples stand in the prompt before the item, and the pretrained
decoder continues the pattern. One-shot is k = 1; here k = {k}.

**Formula.** `ŷ = argmax_y p(y | instruction, (x_1, y_1), …, (x_k, y_k), x)`. The examples act
through attention alone ("in-context learning"): no weight changes.

**Trained and frozen.** Nothing is trained; every weight is frozen.

**How the examples are chosen.** Always from the training split, never from the data that are
scored; an example of the item's own group, or with its text, is left out. {select}

**Hard and soft prompts.** Examples and instruction are a hard prompt: words that a person
chose or drew, readable and portable. A soft prompt (`p-tuning`) puts trained vectors in the
same place: they digest thousands of examples into a few positions, but belong to one model
and one task, and cannot be read. Few-shot prompting takes k examples at every request and
learns nothing from the others.

**When to use it.** When there is a handful of labelled examples, the model is large, and the
format of the answer has to be shown. Not when there are thousands of examples, from which
training learns far more; nor when items are long: each example takes room in the context, and
what does not fit is cut from the context field and counted. Choice and order of the examples
alone can move the score from near the best to chance, so one seed proves little.

**For several tasks.** All tasks share one frozen base; a task is its instruction and its k
examples. They are read anew at each request, unless the same prefix is kept in a cache.
""",
    fa="""
**چیست؟** چند مثال حل‌شده پیش از نمونه در پرسش می‌آید و رمزگشای پیش‌آموخته الگو را ادامه
می‌دهد. «تک‌نمونه» یعنی k = ۱؛ اینجا k برابر {k} است.

**فرمول.** `ŷ = argmax_y p(y | instruction, (x_1, y_1), …, (x_k, y_k), x)`. مثال‌ها تنها از
راه توجه اثر می‌کنند («یادگیری درون‌متنی») و هیچ وزنی تغییر نمی‌کند.

**چه آموزش می‌بیند و چه یخ‌زده است؟** هیچ چیز آموزش نمی‌بیند و همهٔ وزن‌ها یخ‌زده‌اند.

**مثال‌ها چگونه برگزیده می‌شوند؟** همیشه از داده‌های آموزش و هرگز از داده‌هایی که سنجیده
می‌شوند؛ مثالی که هم‌گروه نمونه باشد یا متن آن را داشته باشد کنار گذاشته می‌شود. {select}

**پرسش سخت و پرسش نرم.** مثال‌ها و دستور کار پرسش سخت‌اند: واژه‌هایی که کسی برگزیده یا به قید
قرعه آمده، خواندنی و قابل انتقال به مدل دیگر. پرسش نرم (`p-tuning`) در همان جا بردارهای
آموزش‌دیده می‌گذارد: هزاران نمونه را در چند جایگاه فشرده می‌کند، ولی از آنِ یک مدل و یک کار
است و خوانده نمی‌شود. پرسش با نمونه در هر درخواست k مثال می‌برد و از بقیه چیزی نمی‌آموزد.

**چه هنگام به کار می‌آید؟** وقتی چند نمونهٔ برچسب‌دار هست، مدل بزرگ است و باید شکل پاسخ را
نشان داد. وقتی هزاران نمونه هست که آموزش بسیار بیشتر از آن‌ها می‌آموزد، یا وقتی نمونه‌ها
درازند، مناسب نیست: هر مثال جایی از گنجایش مدل را می‌گیرد و آنچه جا نشود از متن زمینه بریده و
شمرده می‌شود. انتخاب و ترتیب مثال‌ها به تنهایی می‌تواند نمره را از نزدیکیِ بهترین تا حد شانس
جابه‌جا کند؛ پس یک بذر چیز زیادی را ثابت نمی‌کند.

**برای چند کار.** همهٔ کارها یک پایهٔ یخ‌زده را مشترک دارند و هر کار دستور کار و k مثال خود
است. آن‌ها در هر درخواست از نو خوانده می‌شوند، مگر آنکه پیشوند یکسان در حافظهٔ نهان بماند.
""",
)
SELECT = {
    "random": Text(
        en="Here they are drawn at random by the seed and are the same for every item: nothing is "
        "tuned, and several seeds show how much the choice matters.",
        fa="اینجا با بذر به‌تصادف کشیده می‌شوند و برای همهٔ نمونه‌ها یکی‌اند: چیزی تنظیم نشده "
        "است و چند بذر نشان می‌دهد که انتخاب چقدر اثر دارد.",
    ),
    "balanced": Text(
        en="Here the classes take turns, so that the prompt suggests none of them by number.",
        fa="اینجا دسته‌ها به نوبت می‌آیند تا پرسش با شمار مثال‌ها یکی از آن‌ها را القا نکند.",
    ),
    "similar": Text(
        en="Here those most similar to the item by TF-IDF are taken, the nearest one last: they "
        "show what matters for this very item, at the price of a new prompt for each.",
        fa="اینجا شبیه‌ترین‌ها به نمونه بر پایهٔ TF-IDF برداشته می‌شوند و نزدیک‌ترین در آخر می‌آید: "
        "آنچه را برای همین نمونه مهم است نشان می‌دهند، به بهای پرسشی تازه برای هر نمونه.",
    ),
}


def explain(context: ExplainContext) -> Text:
    """Explain few-shot prompting."""
    knobs = context.knobs
    return join(fill(EXPLANATION, k=knobs.k, select=SELECT[knobs.select]), numbers_of(context))


METHOD = Method(
    name="few-shot",
    label=Text(en="Few-shot prompt", fa="پرسش با نمونه"),
    family="prompting",
    summary=Text(
        en="Asks the pretrained model after showing solved examples; nothing is trained.",
        fa="پس از نشان دادن نمونه‌های حل‌شده از مدل پرسیده می‌شود؛ چیزی آموزش نمی‌بیند.",
    ),
    explain=explain,
    knobs=FewShotKnobs,
    trains=False,
    seeded=draws,
    search=search,
    supports=needs_decoder,
    demonstrations=demonstrations,
    cite=("Brown et al. 2020, arXiv 2005.14165", "Lu et al. 2022, arXiv 2104.08786"),
)
