"""Fine-tuning of the last k layers, or of any layers, and the head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import model_validator

from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._explain import SHARED_BASE, enumerated, fill, join, numbers_of
from tarazu.methods._method import Choices, Default, ExplainContext, Method, Space, knob
from tarazu.methods._search import FULL_SOURCE, full_scale, trained
from tarazu.methods._training import BERT, common
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.learner import Learner


class LastKKnobs(AnswerKnobs):
    """Which layers are trained."""

    k: int = knob(
        2,
        ge=0,
        reason="Upper layers carry most of what is specific to a task",
        source="Lee et al. 2019, arXiv 1911.03090 (a quarter of the layers gives 90 % of quality)",
    )
    """How many of the last layers; 0 trains the head alone."""
    layers: tuple[int, ...] | None = knob(
        None, reason="The last k are the usual choice", source="Lee et al. 2019, arXiv 1911.03090"
    )
    """Numbers of the layers to train, counted from 0, instead of the last k."""

    @model_validator(mode="after")
    def _each_once(self) -> LastKKnobs:
        if self.layers is not None and (
            len(set(self.layers)) != len(self.layers) or min(self.layers, default=0) < 0
        ):
            raise ValueError("layers must be different numbers, counted from 0")
        return self

    def chosen(self, layers: int) -> list[int]:
        """Return the numbers of the trained layers of a model with so many."""
        if self.layers is not None:
            return sorted(self.layers)
        return list(range(layers - self.k, layers))


def supports(info: ModelInfo | None, task: Task, knobs: Any) -> str | None:
    """Refuse layers that the model does not have."""
    if info is None:
        return None
    wanted = [n for n in (knobs.layers or ()) if n >= info.layers]
    if wanted:
        return f"{info.name} has the layers 0 to {info.layers - 1}, but layers asks for {wanted}"
    if knobs.layers is None and knobs.k > info.layers:
        return f"{info.name} has {info.layers} layers, but k asks for {knobs.k}"
    if info.kind == "decoder" and not knobs.chosen(info.layers):
        return f"{info.name} is a decoder and answers in words: without layers nothing is trained"
    return None


def defaults(info: ModelInfo, task: Task) -> Mapping[str, Default]:
    """Return the training settings of partial fine-tuning."""
    rate = Default(
        1e-4, "Fewer weights move than in full fine-tuning, so each may move further", BERT
    )
    return common(info, task, learning_rate=rate)


def search(info: ModelInfo | None, task: Task, knobs: LastKKnobs) -> Space:
    """Search the learning rate, and how many layers are trained unless they are named."""
    assert info is not None
    more = {}
    if knobs.layers is None:
        numbers = {1, 2, info.layers // 4, info.layers // 2}
        more["k"] = Choices(
            tuple(sorted(k for k in numbers if 1 <= k <= info.layers)),
            "From one layer to half of them; with all it would be full fine-tuning",
            "Lee et al. 2019, arXiv 1911.03090",
        )
    reason = "Twice full fine-tuning's: fewer weights move, so each may move further"
    return trained(full_scale(info).times(2), reason, FULL_SOURCE, **more)


def attach(learner: Learner, knobs: LastKKnobs) -> None:
    """Train the chosen layers, the final norm above the last one, and the head.

    An output projection tied to the input embeddings stays frozen: training it would train the
    lowest layer too.
    """
    learner.requires_grad_(False)
    blocks = learner.blocks()
    chosen = knobs.chosen(len(blocks))
    for number in chosen:
        blocks[number].requires_grad_(True)
    if chosen and max(chosen) == len(blocks) - 1:
        for norm in learner.after_blocks():
            norm.requires_grad_(True)
    if learner.head is not None:
        learner.head.requires_grad_(True)


EXPLANATION = Text(
    en="""
**What it is.** Some layers, usually the last k, and the head are trained as in full
fine-tuning; everything else stays as it was pretrained.

**Formula.** With layers `f_1 … f_L`, the output is `head(f_L(… f_m(trunk(x))))`. Gradients
are computed for the head and for the chosen layers only, and go no further back than the
lowest of them.

**Trained and frozen.** {chosen} The final norm belongs to the last layer and is trained with
it. An output projection that is tied to the input embeddings stays frozen: training it would
also train the very first layer. The frozen trunk runs in evaluation mode, without dropout, so
its output is the same in every epoch.

**When to use it.** When memory or time is short, or when several tasks share a trunk:
features of the lower layers are general, those of the upper layers belong to the task. Not
when the task needs other low-level features, as a new language or notation does; then methods
that reach every layer do better.

**Full, partial or LoRA.** Partial fine-tuning leaves the lower layers untouched and the
chosen ones free; LoRA touches every layer, each a little; full fine-tuning frees all. A
trained layer costs far more parameters than an adapter in it, but the backward pass ends
earlier.

**For several tasks.** The lower trunk is shared and can be computed once for all tasks that
leave it alone; every task keeps its own copy of the trained layers and its head.
""",
    fa="""
**چیست؟** چند لایه، معمولاً k لایهٔ پایانی، و سر مانند تنظیم کامل آموزش می‌بینند و بقیه
همان‌گونه که پیش‌آموخته است می‌ماند.

**فرمول.** با لایه‌های `f_1 … f_L`، خروجی `head(f_L(… f_m(trunk(x))))` است. گرادیان تنها برای
سر و لایه‌های برگزیده محاسبه می‌شود و از پایین‌ترینِ آن‌ها عقب‌تر نمی‌رود.

**چه آموزش می‌بیند و چه یخ‌زده است؟** {chosen} نرمال‌ساز پایانی به لایهٔ آخر تعلق دارد و با آن
آموزش می‌بیند. اگر لایهٔ خروجی با جاسازی ورودی مشترک باشد، یخ‌زده می‌ماند؛ زیرا آموزش آن،
نخستین لایه را هم آموزش می‌داد. تنهٔ یخ‌زده در حالت ارزیابی و بی حذف تصادفی اجرا می‌شود؛ پس
خروجی‌اش در همهٔ دورها یکی است.

**چه هنگام به کار می‌آید؟** وقتی حافظه یا زمان کم است، یا چند کار باید تنهٔ مشترکی داشته
باشند: ویژگی‌های لایه‌های پایین عمومی‌اند و ویژگی‌های لایه‌های بالا از آنِ خود کار. وقتی کار
به ویژگی‌های پایه‌ای دیگری نیاز دارد، مانند زبان یا نشانه‌گذاری تازه، مناسب نیست؛ آنجا
روش‌هایی که به همهٔ لایه‌ها می‌رسند بهترند.

**کامل، جزئی یا لورا؟** تنظیم جزئی به لایه‌های پایین دست نمی‌زند و لایه‌های برگزیده را آزاد
می‌گذارد؛ لورا به همهٔ لایه‌ها دست می‌زند، به هر کدام اندکی؛ تنظیم کامل همه را آزاد می‌گذارد.
یک لایهٔ آموزش‌پذیر بسیار بیش از یک آداپتور در همان لایه پارامتر دارد، ولی گذر پس‌رو زودتر
پایان می‌یابد.

**برای چند کار.** تنهٔ پایینی مشترک است و برای همهٔ کارهایی که به آن دست نمی‌زنند یک بار
محاسبه می‌شود؛ هر کار نسخهٔ خود را از لایه‌های آموزش‌دیده و سرِ خود را نگه می‌دارد.
""",
)
CHOSEN = Text(
    en="Of the {layers} layers of {model} (counted from 0), these are trained: {numbers}.",
    fa="از {layers} لایهٔ {model} (شمارش از ۰) این‌ها آموزش می‌بینند: {numbers}.",
)
UNNAMED = Text(
    en="The chosen layers and the head are trained.",
    fa="لایه‌های برگزیده و سر آموزش می‌بینند.",
)


def explain(context: ExplainContext) -> Text:
    """Explain partial fine-tuning."""
    chosen, info = UNNAMED, context.info
    if info is not None:
        numbers = context.knobs.chosen(info.layers)
        chosen = fill(CHOSEN, layers=info.layers, model=info.name, numbers=enumerated(numbers))
    return join(fill(EXPLANATION, chosen=chosen), SHARED_BASE, numbers_of(context))


METHOD = Method(
    name="last-k",
    label=Text(en="Last layers", fa="لایه‌های پایانی"),
    family="partial",
    summary=Text(
        en="Trains the last k layers (or any layers) and the head; everything below is frozen.",
        fa="k لایهٔ پایانی (یا هر لایه‌ای) و سر آموزش می‌بینند؛ هر چه پایین‌تر است یخ‌زده می‌ماند.",
    ),
    explain=explain,
    knobs=LastKKnobs,
    defaults=defaults,
    search=search,
    supports=supports,
    attach=attach,
    cite=("Lee et al. 2019, arXiv 1911.03090",),
)
