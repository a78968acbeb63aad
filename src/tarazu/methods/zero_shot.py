"""Zero-shot prompting: an instruction and the item, nothing trained."""

from __future__ import annotations

from typing import Any

from tarazu.methods._asking import AnswerKnobs, search_wording
from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._method import ExplainContext, Method, Space
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text


def needs_decoder(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse encoders, which cannot continue a text."""
    if info is not None and info.kind == "encoder":
        return f"{info.name} is an encoder and cannot be prompted: name a decoder"
    if knobs.answer == "score" and task.kind == "extract":
        return "there are no label words to score in a span task: set answer to generate"
    return None


def search(info: ModelInfo | None, task: Task, knobs: AnswerKnobs) -> Space:
    """Search the wording, and how labels are scored: nothing else can be chosen."""
    return search_wording(task, knobs)


def draws(knobs: AnswerKnobs) -> bool:
    """Say whether anything is drawn: only sampling is."""
    return knobs.decode.temperature > 0


EXPLANATION = Text(
    en="""
**What it is.** The pretrained decoder is given an instruction and the item in words, and its
answer is taken as it is. No example is shown and nothing is trained.

**Formula.** Labels, by scoring: `ŷ = argmax_y Σ_t log p(y_t | prompt, y_<t)` over the label
words `y`. This sum, the mean per token, and the score against a content-free prompt are all
recorded; which of them decides is fixed before the test. Answers, by generating: at
temperature T = 0 the most probable token is taken at each step; above it, a token is drawn
from `softmax(z/T)`, cut to the smallest set with probability top-p. Here temperature =
{temperature}, top-p = {top_p}. A generated text that cannot be read as an answer counts as
unparsable and never as some label.

**Trained and frozen.** Nothing is trained; every weight is frozen. What is chosen is the
wording.

**Hard and soft prompts.** This is a hard prompt: words, readable, usable with any decoder,
found by writing and not by gradients. Its weakness is that wording, order and even
punctuation can move the score. A soft prompt (see `p-tuning`) consists of trained vectors in
the same place: it is fitted to one model and one task by gradient, needs labelled examples
and cannot be read.

**When to use it.** When there are no labelled examples, as a first look, and as the baseline
that training must beat. Not with small models, which often prefer one label whatever is
asked, nor where answers must keep to a strict form.

**For several tasks.** All tasks share one frozen base and nothing is stored but the prompt's
text. The price is paid at each request: the instruction is read anew. Encoders cannot
continue a text and cannot be prompted in this way.
""",
    fa="""
**چیست؟** به رمزگشای پیش‌آموخته دستور کار و نمونه با واژه داده می‌شود و پاسخش همان‌گونه که هست
پذیرفته می‌شود. هیچ مثالی نشان داده نمی‌شود و چیزی آموزش نمی‌بیند.

**فرمول.** برچسب با نمره‌دهی: `ŷ = argmax_y Σ_t log p(y_t | prompt, y_<t)` روی واژه‌های برچسب
`y`. این مجموع، میانگین آن بر هر توکن و نمره در برابر پرسش بی‌محتوا هر سه ثبت می‌شوند؛ اینکه
کدام تصمیم بگیرد پیش از آزمون ثابت شده است. پاسخ با تولید متن: در دمای صفر هر بار محتمل‌ترین
توکن برداشته می‌شود و بالاتر از آن توکنی از `softmax(z/T)` کشیده می‌شود که به کوچک‌ترین مجموعه
با احتمال top-p بریده شده است. اینجا دما {temperature} و top-p برابر {top_p} است. متنی که
نتوان آن را پاسخ خواند «ناخوانا» شمرده می‌شود و هرگز به جای برچسبی گرفته نمی‌شود.

**چه آموزش می‌بیند و چه یخ‌زده است؟** هیچ چیز آموزش نمی‌بیند و همهٔ وزن‌ها یخ‌زده‌اند. آنچه
برگزیده می‌شود بیان پرسش است.

**پرسش سخت و پرسش نرم.** این پرسش سخت است: از واژه ساخته شده، خواندنی است، با هر رمزگشایی به
کار می‌رود و با نوشتن به دست می‌آید نه با گرادیان. ضعفش این است که بیان، ترتیب و حتی
نشانه‌گذاری می‌تواند نمره را جابه‌جا کند. پرسش نرم (نگاه کنید به `p-tuning`) در همان جا از
بردارهای آموزش‌دیده ساخته می‌شود: با گرادیان برای یک مدل و یک کار تنظیم می‌شود، به نمونهٔ
برچسب‌دار نیاز دارد و خواندنی نیست.

**چه هنگام به کار می‌آید؟** وقتی نمونهٔ برچسب‌دار نیست، برای نگاه نخست، و به‌عنوان پایه‌ای که
آموزش باید از آن بهتر باشد. با مدل‌های کوچک که اغلب هر چه بپرسید یک برچسب را ترجیح می‌دهند، یا
جایی که پاسخ باید شکل سفت‌وسختی داشته باشد، مناسب نیست.

**برای چند کار.** همهٔ کارها یک پایهٔ یخ‌زده را مشترک دارند و جز متن پرسش چیزی ذخیره نمی‌شود.
بهایش در هر درخواست پرداخته می‌شود: دستور کار هر بار از نو خوانده می‌شود. رمزگذار نمی‌تواند
متنی را ادامه دهد و با این روش از آن نمی‌توان پرسید.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain zero-shot prompting."""
    decode = context.knobs.decode
    text = fill(EXPLANATION, temperature=decode.temperature, top_p=decode.top_p)
    return join(text, numbers_of(context))


METHOD = Method(
    name="zero-shot",
    label=Text(en="Zero-shot prompt", fa="پرسش بی‌نمونه"),
    family="prompting",
    summary=Text(
        en="Asks the pretrained model in words; nothing is trained.",
        fa="از مدل پیش‌آموخته با واژه‌ها پرسیده می‌شود؛ چیزی آموزش نمی‌بیند.",
    ),
    explain=explain,
    knobs=AnswerKnobs,
    trains=False,
    seeded=draws,
    search=search,
    supports=needs_decoder,
    cite=("Brown et al. 2020, arXiv 2005.14165",),
)
