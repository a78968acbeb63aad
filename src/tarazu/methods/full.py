"""Full fine-tuning: every weight of the model is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._explain import SHARED_BASE, join, numbers_of
from tarazu.methods._method import Default, ExplainContext, Method, Space
from tarazu.methods._search import FULL_SOURCE, full_scale, trained
from tarazu.methods._training import BERT, common
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.learner import Learner


def defaults(info: ModelInfo, task: Task) -> Mapping[str, Default]:
    """Return the training settings of full fine-tuning."""
    rate = Default(
        _rate(info.hidden_size),
        "Small steps, since every pretrained weight moves; compact models take larger ones",
        f"{BERT}; Turc et al. 2019, arXiv 1908.08962 (3e-5 to 3e-4 for compact models)",
    )
    return common(info, task, learning_rate=rate)


def _rate(width: int) -> float:
    if width >= 1024:
        return 2e-5
    return 5e-5 if width >= 512 else 1e-4


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search the learning rate around what is known to work, and the batch size."""
    assert info is not None
    reason = "Every pretrained weight moves: above it training falls apart, below it stands still"
    return trained(full_scale(info), reason, FULL_SOURCE)


def attach(learner: Learner, knobs: Any) -> None:
    """Train everything."""
    learner.requires_grad_(True)


def deployed(learner: Learner) -> int:
    """Return the size of the whole model: nothing is shared with other tasks."""
    return sum(parameter.numel() for parameter in learner.body.parameters())


EXPLANATION = Text(
    en="""
**What it is.** Every pretrained weight, and a new head, is moved by gradient descent on the
training examples. Decoders that answer in words need no new head.

**Formula.** `θ' = θ − η·∇L(θ)`, repeated with AdamW for every weight `θ`. The update of a
matrix `ΔW = W' − W` may have any rank.

**Trained and frozen.** All is trained, nothing is frozen. Weights, gradients and both moments
of AdamW are kept for the whole model.

**When to use it.** When there are many examples, memory suffices, and the task is far from
what the model has read; and always as the yardstick by which cheaper methods are judged. Not
when many tasks must be served from one machine, when data are so few that the model would
memorise them, or when the model is larger than what the memory holds several times over.

**Full, partial or LoRA.** Full fine-tuning may change everything and costs most. Partial
fine-tuning (`last-k`) changes a few layers as freely, and saves memory and time because
nothing is propagated back below them. LoRA reaches every layer, but only in a few directions
of each matrix. Which loses least is a question for measurement on the task at hand; this tool
asks it with one protocol for all.

**For several tasks.** One whole copy of the model per task. Changing the task means loading
another model, and two tasks cannot share a batch.
""",
    fa="""
**چیست؟** همهٔ وزن‌های پیش‌آموخته، همراه با یک سر تازه، با گرادیان کاهشی روی نمونه‌های آموزش
جابه‌جا می‌شوند. رمزگشایی که با واژه پاسخ می‌دهد به سر تازه نیاز ندارد.

**فرمول.** `θ' = θ − η·∇L(θ)` که با AdamW برای هر وزن `θ` تکرار می‌شود. تغییر هر ماتریس، یعنی
`ΔW = W' − W`، می‌تواند هر رتبه‌ای داشته باشد.

**چه آموزش می‌بیند و چه یخ‌زده است؟** همه چیز آموزش می‌بیند و هیچ چیز یخ‌زده نیست. وزن‌ها،
گرادیان‌ها و هر دو گشتاور AdamW برای تمام مدل نگه داشته می‌شوند.

**چه هنگام به کار می‌آید؟** وقتی نمونه فراوان است، حافظه بس است و کار از آنچه مدل خوانده دور
است؛ و همیشه به‌عنوان سنجه‌ای که روش‌های ارزان‌تر با آن داوری می‌شوند. وقتی باید کارهای بسیاری
را از یک دستگاه خدمت داد، یا نمونه چنان کم است که مدل آن‌ها را از بر می‌کند، یا حافظه چند
برابر مدل را جا نمی‌دهد، مناسب نیست.

**کامل، جزئی یا لورا؟** تنظیم کامل همه چیز را تغییر می‌دهد و گران‌ترین است. تنظیم جزئی
(`last-k`) چند لایه را به همان آزادی تغییر می‌دهد و چون زیر آن‌ها چیزی به عقب منتشر نمی‌شود،
در حافظه و زمان صرفه‌جویی می‌کند. لورا به همهٔ لایه‌ها می‌رسد، ولی در هر ماتریس تنها در چند
راستا. اینکه کدام کمتر زیان می‌بیند پرسشی است که باید روی همان کار اندازه گرفت؛ این ابزار آن
را با یک پروتکل برای همه می‌پرسد.

**برای چند کار.** برای هر کار یک نسخهٔ کامل از مدل لازم است. عوض کردن کار یعنی بار کردن مدلی
دیگر، و دو کار نمی‌توانند در یک دسته کنار هم پردازش شوند.
""",
)


def explain(context: ExplainContext) -> Text:
    """Explain full fine-tuning."""
    return join(EXPLANATION, SHARED_BASE, numbers_of(context))


METHOD = Method(
    name="full",
    label=Text(en="Full fine-tuning", fa="تنظیم دقیق کامل"),
    family="full",
    summary=Text(
        en="Trains every weight of the model and a new head.",
        fa="همهٔ وزن‌های مدل و یک سر تازه آموزش می‌بینند.",
    ),
    explain=explain,
    knobs=AnswerKnobs,
    defaults=defaults,
    search=search,
    attach=attach,
    deployed=deployed,
    cite=("Devlin et al. 2019, arXiv 1810.04805", "Howard and Ruder 2018, arXiv 1801.06146"),
)
