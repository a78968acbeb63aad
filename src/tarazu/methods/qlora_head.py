"""QLoRA, second way: a linear layer of our own on the last real token's hidden state."""

from __future__ import annotations

from typing import Any

from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._explain_low_rank import four_bit, low_rank_costs
from tarazu.methods._lora import inject
from tarazu.methods._method import ExplainContext, Method, ReadingName
from tarazu.methods._qlora import QLORA, QloraKnobs, defaults, search, supports_decoder
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text


def supports(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse span tasks: a causal model's context tokens have not seen the question."""
    if task.kind == "extract":
        return (
            f"{task.name} asks for a span, and a decoder's hidden states of the context have not "
            "seen the question that follows: use qlora-text, or an encoder with lora"
        )
    return supports_decoder(info, task, knobs)


def reading(info: ModelInfo, task: Task, knobs: Any) -> ReadingName:
    """Read classes from a head, although the model is a decoder."""
    return "classes"


EXPLANATION = Text(
    en="""
**What it is.** LoRA on a base in 4 bits, trained together with a linear layer of our own that
reads one hidden state of the decoder and scores the classes.

**Formula.** `p(y | x) = softmax(U·h_t + b)`, `h_t` the last layer's state at the last real
token t; beneath, every adapted matrix is `dequantise(W₄) + (α/r)·B·A` with r = {r}, α =
{alpha}.

{four_bit}

**Trained and frozen.** `A`, `B`, `U` and `b` are trained, in fp32; the 4-bit base is frozen.
The head is never quantised.

**Which hidden state, and why.** Attention is causal: a token sees only itself and what stands
before it. So only the last real token has seen the whole input; the first has seen nothing
but itself, which is why an encoder's choice would fail here. Its place is found from the
attention mask, so the side of the padding does not matter, nor does a text that contains the
end-of-text token.

**Why no ready-made `…ForSequenceClassification`.** Those classes look for the padding token
by its id. Where padding and end-of-text share an id, or a text contains it, or the padding
stands on the left, they have read the wrong position; and loaders have quantised their head
with the base.

**When to use it.** To classify with a large decoder: no label can be unparsable, one forward
pass is enough, and the scores are probabilities. Not for answers in words or spans
(`qlora-text`), nor with very few examples: the head starts at random and knows nothing of
what the labels' words mean.

**For several tasks.** One 4-bit base, and per task an adapter and a head of `classes·(h+1)`
numbers, which must be stored together: without its head an adapter answers at random.
""",
    fa="""
**چیست؟** لورا روی پایهٔ چهاربیتی، همراه با لایه‌ای خطی از خودمان که یک حالت پنهان رمزگشا را
می‌خواند و به دسته‌ها نمره می‌دهد؛ هر دو با هم آموزش می‌بینند.

**فرمول.** `p(y | x) = softmax(U·h_t + b)` که `h_t` حالت لایهٔ آخر در آخرین توکن واقعی t است؛
زیر آن هر ماتریسِ دارای آداپتور `dequantise(W₄) + (α/r)·B·A` است با r برابر {r} و α برابر
{alpha}.

{four_bit}

**چه آموزش می‌بیند و چه یخ‌زده است؟** `A`، `B`، `U` و `b` در fp32 آموزش می‌بینند و پایهٔ
چهاربیتی یخ‌زده است. سر هرگز کوانتیده نمی‌شود.

**کدام حالت پنهان و چرا؟** توجه علّی است: هر توکن تنها خود و پیش از خود را می‌بیند. پس فقط
آخرین توکن واقعی تمام ورودی را دیده است؛ نخستین توکن جز خود چیزی ندیده و از همین رو انتخاب
معمولِ رمزگذارها اینجا شکست می‌خورد. جای آن از روی نقاب توجه پیدا می‌شود؛ پس سمت پرکننده‌ها
مهم نیست و متنی هم که توکن پایان در خود دارد خطا پدید نمی‌آورد.

**چرا کلاس آمادهٔ `…ForSequenceClassification` نه؟** این کلاس‌ها توکن پرکننده را با شناسه‌اش
می‌جویند. هر جا پرکننده و پایان متن یک شناسه داشته‌اند، یا متن آن را در خود داشته، یا پرکننده
در سمت چپ بوده، جای نادرستی را خوانده‌اند؛ و بارکننده‌ها سرِ آن‌ها را هم همراه پایه
کوانتیده‌اند.

**چه هنگام به کار می‌آید؟** برای دسته‌بندی با رمزگشای بزرگ: هیچ برچسبی ناخوانا نمی‌شود، یک گذر
پیش‌رو بس است و نمره‌ها احتمال‌اند. برای پاسخ‌های واژه‌ای یا بازه‌ای (`qlora-text`) یا با
نمونه‌های بسیار کم مناسب نیست: سر تصادفی آغاز می‌شود و از معنای واژه‌های برچسب هیچ نمی‌داند.

**برای چند کار.** یک پایهٔ چهاربیتی، و برای هر کار یک آداپتور و سری با `classes·(h+1)` عدد که
باید با هم ذخیره شوند: آداپتور بی سرِ خود تصادفی پاسخ می‌دهد.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain QLoRA with a head."""
    knobs = context.knobs
    text = fill(EXPLANATION, r=knobs.r, alpha=knobs.alpha, four_bit=four_bit(context.info))
    return join(text, low_rank_costs(context), numbers_of(context))


METHOD = Method(
    name="qlora-head",
    label=Text(en="QLoRA, own head", fa="کیولورا، با سر خودی"),
    family="quantised",
    summary=Text(
        en="Trains LoRA on a 4-bit (NF4) base together with a linear layer over the classes.",
        fa="لورا روی پایهٔ چهاربیتی (NF4) همراه با یک لایهٔ خطی روی رده‌ها آموزش می‌بیند.",
    ),
    explain=explain,
    knobs=QloraKnobs,
    defaults=defaults,
    search=search,
    supports=supports,
    reading=reading,
    four_bit=True,
    attach=inject,
    cite=(QLORA,),
)
