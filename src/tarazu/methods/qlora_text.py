"""QLoRA, first way: the answer is generated as text; then the adapter is merged."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._explain_low_rank import four_bit, low_rank_costs
from tarazu.methods._lora import inject
from tarazu.methods._method import ExplainContext, Method, knob
from tarazu.methods._qlora import QLORA, QloraKnobs, defaults, search, supports_decoder
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.learner import Learner
    from tarazu.models.merge import Into


class QloraTextKnobs(QloraKnobs):
    """LoRA on a 4-bit base, answering in words."""

    answer: Literal["auto", "score", "generate"] = knob(
        "generate",
        reason="This way of QLoRA lets the model write the label itself; the other way has a head",
        source="tarazu's design",
    )
    """``generate`` text and parse it, or ``score`` label words."""
    merge: Literal["none", "dequantised", "16bit", "both"] = knob(
        "both",
        reason="Which merged form answers better is measured, not assumed",
        source="tarazu's design",
    )
    """Into what the adapter is merged for models to evaluate: the dequantised 4-bit base, the
    published 16-bit weights, both, or ``none``. Each form is a whole model on disk for a while."""


_MERGED: dict[str, Into] = {"merged-dequantised": "dequantised", "merged-16bit": "16-bit"}


def variants(knobs: Any) -> Sequence[str]:
    """Return the merged forms that are asked for."""
    if knobs.merge == "none":
        return ()
    return [name for name in _MERGED if knobs.merge in ("both", name.removeprefix("merged-"))]


def write_variant(name: str, learner: Learner, base: Path, out: Path, dtype: str) -> None:
    """Merge the adapter into the dequantised base, or into the published weights."""
    from tarazu.models.merge import merge_into

    # fp32 compute has no 16-bit form of its own; bf16 keeps the range of the weights.
    stored = "bfloat16" if dtype == "float32" else dtype
    merge_into(learner, base, out, into=_MERGED[name], dtype=stored)


EXPLANATION = Text(
    en="""
**What it is.** LoRA on a base whose weights are held in 4 bits. The decoder is trained to
write the answer as text; afterwards the adapter is merged, and the merged model is evaluated.

**Formula.** `y = dequantise(W₄)·x + (α/r)·B·A·x` with r = {r}, α = {alpha}.

{four_bit}

**Trained and frozen.** Only `A` and `B` are trained, in fp32; the 4-bit base is frozen. The
loss counts the tokens of the answer and its end mark, not the prompt.

**Two ways of merging.** `merged-dequantised` adds `(α/r)·B·A` to the dequantised 4-bit
weights, the base that the adapter saw while it was trained. `merged-16bit` adds it to the
published 16-bit weights, whose difference from the 4-bit ones the adapter never saw but has
partly learnt to make up for. Both sums are made in fp32 and rounded once to 16 bits, so that
small updates are not lost more than they must be. All three forms may answer differently:
rounding and quantisation error move answers that were nearly tied. Which is best is not
assumed; each is reloaded from disk and evaluated on the same items, and changed answers are
counted. Merging back into 4 bits would round once more and is not done.

**When to use it.** When a large decoder would not fit otherwise. Not when 16-bit LoRA fits:
dequantising at each step costs time, and up-casting may even use up the memory saved.
Generated text can be unparsable; then it counts as wrong.

**For several tasks.** One 4-bit base serves all tasks with an adapter each, switched per
request. A merged model is a full copy of its own.
""",
    fa="""
**چیست؟** لورا روی پایه‌ای که وزن‌هایش با ۴ بیت نگه داشته می‌شود. رمزگشا می‌آموزد پاسخ را
به‌صورت متن بنویسد؛ سپس آداپتور ادغام و مدل ادغام‌شده سنجیده می‌شود.

**فرمول.** `y = dequantise(W₄)·x + (α/r)·B·A·x` با r برابر {r} و α برابر {alpha}.

{four_bit}

**چه آموزش می‌بیند و چه یخ‌زده است؟** تنها `A` و `B` در fp32 آموزش می‌بینند و پایهٔ چهاربیتی
یخ‌زده است. تابع زیان توکن‌های پاسخ و نشانهٔ پایان آن را می‌شمارد، نه پرسش را.

**دو راه ادغام.** در `merged-dequantised` مقدار `(α/r)·B·A` به وزن‌های چهاربیتیِ بازگشوده
افزوده می‌شود، یعنی همان پایه‌ای که آداپتور هنگام آموزش دیده است. در `merged-16bit` به وزن‌های
۱۶ بیتیِ منتشرشده افزوده می‌شود؛ آداپتور تفاوت این وزن‌ها با وزن‌های چهاربیتی را هرگز ندیده،
ولی تا اندازه‌ای آموخته که جبرانش کند. هر دو جمع در fp32 انجام و یک بار به ۱۶ بیت گرد می‌شود
تا تغییرهای کوچک بیش از ناگزیر از دست نرود. هر سه شکل ممکن است پاسخ‌های متفاوتی بدهند: خطای
گرد کردن و کوانتش پاسخ‌هایی را که نزدیک به هم بوده‌اند جابه‌جا می‌کند. اینکه کدام بهتر است فرض
نمی‌شود؛ هر یک از دیسک بار و روی همان نمونه‌ها سنجیده می‌شود و پاسخ‌های تغییرکرده شمرده
می‌شوند. ادغام دوباره در ۴ بیت یک بار دیگر گرد می‌کند و انجام نمی‌شود.

**چه هنگام به کار می‌آید؟** وقتی رمزگشای بزرگی به شکل دیگر در حافظه جا نمی‌شود. اگر لورای ۱۶
بیتی جا می‌شود مناسب نیست: بازگشودن در هر گام زمان می‌برد و بالا بردن دقت شاید همان حافظهٔ
صرفه‌جویی‌شده را هم بخورد. متن تولیدشده ممکن است ناخوانا باشد که در این صورت نادرست شمرده
می‌شود.

**برای چند کار.** یک پایهٔ چهاربیتی با یک آداپتور برای هر کار به همهٔ کارها خدمت می‌دهد و
آداپتور برای هر درخواست عوض می‌شود. مدل ادغام‌شده خود یک نسخهٔ کامل است.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain QLoRA that generates."""
    knobs = context.knobs
    text = fill(EXPLANATION, r=knobs.r, alpha=knobs.alpha, four_bit=four_bit(context.info))
    return join(text, low_rank_costs(context), numbers_of(context))


METHOD = Method(
    name="qlora-text",
    label=Text(en="QLoRA, generating", fa="کیولورا، با تولید متن"),
    family="quantised",
    summary=Text(
        en="Trains LoRA on a 4-bit (NF4) base to write the answer; the merged model is evaluated.",
        fa="لورا روی پایهٔ چهاربیتی (NF4) نوشتن پاسخ را می‌آموزد؛ مدل ادغام‌شده سنجیده می‌شود.",
    ),
    explain=explain,
    knobs=QloraTextKnobs,
    defaults=defaults,
    search=search,
    supports=supports_decoder,
    four_bit=True,
    attach=inject,
    variants=variants,
    write_variant=write_variant,
    primary_variant="merged-dequantised",
    cite=(QLORA, "Hu et al. 2021, arXiv 2106.09685"),
)
