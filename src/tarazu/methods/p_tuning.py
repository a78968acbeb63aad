"""P-tuning: trained virtual tokens in front of the input, the model frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from tarazu.methods._asking import AnswerKnobs
from tarazu.methods._explain import fill, join, numbers_of
from tarazu.methods._method import Choices, Default, ExplainContext, Method, Range, Space, knob
from tarazu.methods._search import Scale, trained
from tarazu.methods._training import common
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.learner import Learner

PAPER = "Liu et al. 2021, arXiv 2103.10385"


class PTuningKnobs(AnswerKnobs):
    """Shape of the soft prompt."""

    virtual_tokens: int = knob(
        20,
        ge=1,
        reason="Gains level off near 20 tokens",
        source="Lester et al. 2021, arXiv 2104.08691, section 3.2",
    )
    """Number of virtual tokens."""
    encoder_hidden_size: int | None = knob(
        None,
        ge=1,
        reason="As wide as the model's embeddings",
        source="peft documentation, PromptEncoderConfig",
    )
    """Width of the prompt encoder; null takes the model's own."""
    reparameterization: Literal["MLP", "LSTM"] = knob(
        "MLP",
        reason="As stable as the paper's LSTM and much cheaper",
        source="peft documentation, PromptEncoderConfig (default)",
    )
    """What couples the virtual tokens while they are trained."""


def defaults(info: ModelInfo, task: Task) -> Mapping[str, Default]:
    """Return the training settings of P-tuning."""
    rate = Default(
        1e-3,
        "Soft prompts look broken at LoRA's usual 1e-4; from 1e-3 upwards they learn",
        "google-research/prompt-tuning#297; peft#2642; peft method_comparison",
    )
    return common(info, task, learning_rate=rate)


def search(info: ModelInfo | None, task: Task, knobs: Any) -> Space:
    """Search rates of the prompt's own scale, and the number of virtual tokens.

    A new head has a rate of its own here: at a soft prompt's rates it would fall apart.
    """
    assert info is not None
    more: dict[str, Range | Choices] = {}
    if info.kind == "encoder":
        more["head_learning_rate"] = Range(
            1e-4, 1e-2, "A head's scale, which is far below a soft prompt's", "tarazu's design",
            log=True,
        )  # fmt: skip
    more["virtual_tokens"] = Choices(
        (5, 10, 20, 50),
        "From very few to where gains have levelled off",
        "Lester et al. 2021, arXiv 2104.08691, figure 3 (1 to 150)",
    )
    reason = "Soft prompts look broken below it: up to a thousand times full fine-tuning's"
    source = "google-research/prompt-tuning#297 (0.3); fms-hf-tuning#103 (3e-2); peft#2642"
    return trained(Scale(1e-3, 3e-1), reason, source, **more)


def attach(learner: Learner, knobs: PTuningKnobs) -> None:
    """Freeze the model and put trained virtual tokens in front of every input."""
    from tarazu.models.soft_prompt import SoftPrompt

    learner.requires_grad_(False)
    width = learner.trunk.get_input_embeddings().embedding_dim
    prompt = SoftPrompt(
        knobs.virtual_tokens, width, knobs.encoder_hidden_size or width, knobs.reparameterization
    )
    learner.prompt = prompt.to(next(learner.parameters()).device)
    if learner.head is not None:
        learner.head.requires_grad_(True)


def deployed(learner: Learner) -> int:
    """Return the size of the virtual tokens: their encoder is needed in training only."""
    assert learner.prompt is not None
    return learner.prompt.virtual_tokens * learner.prompt.hidden_size


EXPLANATION = Text(
    en="""
**What it is.** A few vectors, the virtual tokens, are put in front of the embedded input.
They are trained; the model is not.

**Formula.** The model reads `[P; E(x)]` instead of `E(x)`, where `E(x)` are the embeddings of
the real tokens and `P = g(Q)` is a matrix v×h. `Q` holds one free vector per virtual token,
and `g` is a small network ({network}) that couples them while they are trained.

**Trained and frozen.** `Q`, `g` and a new head are trained; all of the model is frozen.
Afterwards `P` is computed once and `g` is thrown away: {vectors} All activations of the model
are still needed for the gradient, so memory falls less than the number of trained parameters
does.

**Hard and soft prompts.** A hard prompt consists of words: it can be read, written without
training, and used with any model, but only word sequences can be tried, and a small change of
wording may change the result. A soft prompt consists of vectors that gradient descent finds:
it may lie where no word lies, belongs to one model and one task, and cannot be read. What can
be shown of it is, for each virtual token, the nearest word, which is an illustration and not
its meaning.

**When to use it.** When very little may be stored for each task, or the model's weights may
not be touched, best with large models. Not for small models, where soft prompts lag behind,
nor when inputs already fill the context: every virtual token takes a place. It needs learning
rates about ten times LoRA's usual 1e-4; at that one it looks broken.

**For several tasks.** All tasks share the frozen base and each brings its vectors and its
head. Items of different tasks can even stand in one batch, each with its own prompt.
""",
    fa="""
**چیست؟** چند بردار، به نام توکن‌های مجازی، پیش از ورودیِ جاسازی‌شده گذاشته می‌شوند. آن‌ها
آموزش می‌بینند و مدل نه.

**فرمول.** مدل به‌جای `E(x)` دنبالهٔ `[P; E(x)]` را می‌خواند؛ `E(x)` جاسازی توکن‌های واقعی است
و `P = g(Q)` ماتریسی به اندازهٔ v×h. در `Q` برای هر توکن مجازی یک بردار آزاد هست و `g` شبکه‌ای
کوچک ({network}) است که هنگام آموزش آن‌ها را به هم پیوند می‌دهد.

**چه آموزش می‌بیند و چه یخ‌زده است؟** `Q`، `g` و سر تازه آموزش می‌بینند و تمام مدل یخ‌زده است.
پس از آموزش، `P` یک بار محاسبه و `g` دور ریخته می‌شود: {vectors} برای گرادیان همچنان همهٔ
فعال‌سازی‌های مدل لازم است؛ پس حافظه به اندازهٔ شمار پارامترهای آموزش‌پذیر کم نمی‌شود.

**پرسش سخت و پرسش نرم.** پرسش سخت از واژه‌ها ساخته شده است: خواندنی است، بی آموزش نوشته می‌شود
و با هر مدلی به کار می‌رود؛ ولی تنها دنباله‌های واژه را می‌توان آزمود و تغییر کوچکی در بیان
شاید نتیجه را عوض کند. پرسش نرم از بردارهایی ساخته شده که گرادیان کاهشی می‌یابد: می‌تواند جایی
باشد که هیچ واژه‌ای نیست، از آنِ یک مدل و یک کار است و خوانده نمی‌شود. آنچه می‌توان از آن نشان
داد نزدیک‌ترین واژه به هر توکن مجازی است که تنها نمایشی است، نه معنای آن.

**چه هنگام به کار می‌آید؟** وقتی باید برای هر کار بسیار کم ذخیره کرد یا نباید به وزن‌های مدل
دست زد، و بیشتر با مدل‌های بزرگ. با مدل‌های کوچک که در آن‌ها پرسش نرم عقب می‌ماند، یا وقتی
ورودی‌ها خود گنجایش مدل را پر می‌کنند، مناسب نیست: هر توکن مجازی جایی می‌گیرد. نرخ یادگیری آن
باید حدود ده برابر نرخ معمول لورا (`1e-4`) باشد؛ با آن نرخ، خراب به نظر می‌رسد.

**برای چند کار.** همهٔ کارها پایهٔ یخ‌زده را مشترک دارند و هر یک بردارها و سرِ خود را می‌آورد.
حتی نمونه‌های کارهای گوناگون می‌توانند در یک دسته باشند، هر کدام با پرسش نرم خود.
""",
)
VECTORS = Text(
    en="{v} virtual tokens of width {h}, {all} numbers, are stored.",
    fa="{v} توکن مجازی به پهنای {h}، یعنی {all} عدد، ذخیره می‌شود.",
)
UNNAMED = Text(
    en="only v·h numbers are stored, v = {v} vectors as wide as the model's embeddings (h).",
    fa="تنها v·h عدد ذخیره می‌شود، v = {v} بردار به پهنای جاسازی‌های مدل (h).",
)


def explain(context: ExplainContext) -> Text:
    """Explain P-tuning."""
    v, info = context.knobs.virtual_tokens, context.info
    vectors = fill(UNNAMED, v=v)
    if info is not None:
        # ELECTRA's embeddings are narrower than its layers.
        width = info.config.get("embedding_size", info.hidden_size)
        vectors = fill(VECTORS, v=v, h=width, all=v * width)
    text = fill(EXPLANATION, network=context.knobs.reparameterization, vectors=vectors)
    return join(text, numbers_of(context))


METHOD = Method(
    name="p-tuning",
    label=Text(en="P-tuning", fa="پی‌تیونینگ (P-tuning)"),
    family="soft-prompt",
    summary=Text(
        en="Freezes the model and trains virtual tokens that stand in front of the input.",
        fa="مدل یخ‌زده می‌ماند و توکن‌های مجازیِ پیش از ورودی آموزش می‌بینند.",
    ),
    explain=explain,
    knobs=PTuningKnobs,
    defaults=defaults,
    search=search,
    attach=attach,
    deployed=deployed,
    cite=(PAPER,),
)
