"""LoRA: a trained low-rank update beside frozen matrices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tarazu.methods._explain import SHARED_BASE, fill, join, numbers_of
from tarazu.methods._explain_low_rank import low_rank_costs, low_rank_example
from tarazu.methods._lora import LoraKnobs, inject, search_low_rank, supports_lora
from tarazu.methods._method import Choices, Default, ExplainContext, Method, Space
from tarazu.methods._search import THINKING
from tarazu.methods._training import LORA, common
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text


def defaults(info: ModelInfo, task: Task) -> Mapping[str, Default]:
    """Return the training settings of LoRA."""
    rate = Default(
        4e-4 if info.kind == "decoder" else 5e-4,
        "About ten times full fine-tuning's: few parameters, started at zero",
        f"{LORA} (4e-4 to 5e-4 on base models); Schulman et al. 2025, LoRA Without Regret",
    )
    return common(info, task, learning_rate=rate)


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search rate, rank, dropout, and whether all linear layers get an adapter."""
    assert info is not None
    targets = Choices(
        ("query-value", "all-linear"),
        "Query and value are the paper's choice; adapters in the MLP are said to matter more",
        f"Hu et al. 2021, arXiv 2106.09685, table 5; {THINKING}",
    )
    space = search_low_rank(info, ranks=(2, 4, 8, 16, 32), source=f"{LORA}; section 7.2")
    return {**space, "targets": targets}


EXPLANATION = Text(
    en="""
**What it is.** Low-rank adaptation leaves the pretrained matrices as they are and adds to
some of them a product of two thin matrices, which alone are trained.

**Formula.** `W' = W + (α/r)·B·A` with `W` d×k, `B` d×r and `A` r×k; here r = {r}, α =
{alpha}, so `α/r` = {scale}. `A` starts at random and `B` at zero, so training starts from the
pretrained model.

**Trained and frozen.** Gradients exist for `A` and `B` (and a new head); `W` is frozen. A
matrix has `d·k` parameters, its adapter `r·(d+k)`.

**Why LoRA: what it costs and saves.** {example}

- Forward: `W·x` is still computed for all n tokens, `O(n·d·k)`; the adapter adds
  `O(n·r·(d+k))`. So the forward pass is not cheaper by an order, and a little dearer until
  the adapter is merged.
- Backward: gradients with respect to activations still pass through `W`; those with respect
  to `W` are left out.
- The saving is in gradients, in optimiser state, in the memory for both, and in what is
  stored.

**A frequent misstatement.** "LoRA costs `O(n·d·r)`, about 1 %, with `A` d×r and `B` r×k" is
wrong three times. `O(n·d·r)` is the adapter's part alone: the frozen product is done as well.
"About 1 %" is no constant: the share is `r·(d+k)/(d·k)`, different for every matrix, and it
counts parameters, not operations. And with those shapes `B·A` would be (r×k)·(d×r), which is
undefined unless k = d and then has the size r×r, not d×k.

**When to use it.** The usual first choice when a model is large, tasks are many, or memory is
short. Not when the task needs a change of high rank (much new knowledge, long training): then
full fine-tuning may win. Its learning rate must be about ten times that of full fine-tuning.

**For several tasks.** All tasks share the frozen base. For each, a small adapter and a head
are kept and switched per request; the base weights are never written to. Merged into the
base, an adapter costs no time, but then the base is no longer shared.
""",
    fa="""
**چیست؟** «سازگاری کم‌رتبه» ماتریس‌های پیش‌آموخته را همان‌گونه که هستند نگه می‌دارد و به برخی
از آن‌ها حاصل‌ضرب دو ماتریس باریک را می‌افزاید که تنها همان‌ها آموزش می‌بینند.

**فرمول.** `W' = W + (α/r)·B·A` که در آن `W` به اندازهٔ d×k، `B` به اندازهٔ d×r و `A` به
اندازهٔ r×k است؛ اینجا r برابر {r} و α برابر {alpha} است، پس `α/r` برابر {scale} می‌شود. `A`
تصادفی و `B` با صفر آغاز می‌شود؛ پس آموزش از خودِ مدل پیش‌آموخته شروع می‌شود.

**چه آموزش می‌بیند و چه یخ‌زده است؟** گرادیان تنها برای `A` و `B` (و سر تازه) هست و `W` یخ‌زده
است. هر ماتریس `d·k` پارامتر دارد و آداپتورش `r·(d+k)`.

**چرا لورا: چه هزینه‌ای دارد و چه صرفه‌ای؟** {example}

- گذر پیش‌رو: `W·x` همچنان برای هر n توکن محاسبه می‌شود، `O(n·d·k)`؛ آداپتور `O(n·r·(d+k))` به
  آن می‌افزاید. پس مرتبهٔ هزینهٔ گذر پیش‌رو کم نمی‌شود و تا پیش از ادغام اندکی هم بیشتر است.
- گذر پس‌رو: گرادیان نسبت به فعال‌سازی‌ها همچنان از `W` می‌گذرد؛ گرادیان نسبت به خود `W` حذف
  می‌شود.
- صرفه‌جویی در گرادیان‌ها، در حالت بهینه‌ساز، در حافظهٔ این دو و در حجم ذخیره است.

**گفته‌ای رایج و نادرست.** این جمله که «هزینهٔ لورا `O(n·d·r)` و نزدیک یک درصد است، با `A` به
اندازهٔ d×r و `B` به اندازهٔ r×k» از سه جا نادرست است. `O(n·d·r)` تنها سهم آداپتور است و ضرب
یخ‌زده هم انجام می‌شود. «نزدیک یک درصد» عدد ثابتی نیست: سهم برابر `r·(d+k)/(d·k)` است، برای هر
ماتریس فرق می‌کند و پارامترها را می‌شمارد نه عملیات را. و با آن اندازه‌ها `B·A` می‌شود
(r×k)·(d×r) که جز وقتی k = d باشد تعریف نشده و آنگاه هم اندازه‌اش r×r است، نه d×k.

**چه هنگام به کار می‌آید؟** وقتی مدل بزرگ است، کارها بسیارند یا حافظه کم است، معمولاً نخستین
گزینه است. وقتی کار به تغییری با رتبهٔ بالا نیاز دارد (دانش تازهٔ فراوان، آموزش دراز)، ممکن
است تنظیم کامل بهتر باشد. نرخ یادگیری آن باید نزدیک ده برابر تنظیم کامل باشد.

**برای چند کار.** همهٔ کارها پایهٔ یخ‌زده را مشترک دارند. برای هر کار یک آداپتور کوچک و یک سر
نگه داشته می‌شود که برای هر درخواست عوض می‌شوند و در وزن‌های پایه هرگز چیزی نوشته نمی‌شود.
آداپتوری که در پایه ادغام شود زمان نمی‌گیرد، ولی آن پایه دیگر مشترک نیست.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain LoRA."""
    knobs = context.knobs
    text = fill(
        EXPLANATION,
        r=knobs.r,
        alpha=knobs.alpha,
        scale=knobs.alpha / knobs.r,
        example=low_rank_example(context),
    )
    return join(text, low_rank_costs(context), SHARED_BASE, numbers_of(context))


METHOD = Method(
    name="lora",
    label=Text(en="LoRA", fa="لورا (LoRA)"),
    family="adapter",
    summary=Text(
        en="Freezes the model and trains a low-rank update beside some of its matrices.",
        fa="مدل یخ‌زده می‌ماند و کنار برخی ماتریس‌ها یک به‌روزرسانی کم‌رتبه آموزش می‌بیند.",
    ),
    explain=explain,
    knobs=LoraKnobs,
    defaults=defaults,
    search=search,
    supports=supports_lora,
    attach=inject,
    cite=("Hu et al. 2021, arXiv 2106.09685",),
)
