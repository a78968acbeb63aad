"""What a low-rank update and a 4-bit base cost, for the explanations of LoRA and QLoRA."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from tarazu.methods._explain import PERSIAN, fill, join, share, size
from tarazu.methods._lora import targets_of
from tarazu.methods._method import ExplainContext
from tarazu.text import Text

if TYPE_CHECKING:
    from tarazu.models.info import ModelInfo

NF4_BITS = 4 + 8 / 64 + 32 / (64 * 256)
"""Per 4-bit parameter: its code, an 8-bit scale per block of 64, an fp32 scale per 256 of those."""


class Shape(NamedTuple):
    """A weight matrix W [d, k], which maps k inputs to d outputs.

    Attributes:
        name: Name of the module within a layer.
        d: Outputs.
        k: Inputs.
    """

    name: str
    d: int
    k: int

    @property
    def whole(self) -> int:
        """Parameters of the matrix."""
        return self.d * self.k

    def low_rank(self, r: int) -> int:
        """Parameters of B [d, r] and A [r, k]."""
        return r * (self.d + self.k)


def matrices(info: ModelInfo, targets: list[str] | str) -> Counter[Shape]:
    """Return the matrices that adapters stand beside, and how many there are of each.

    Args:
        info: The model; only its configuration is used.
        targets: Module names, or ``all-linear``: every linear layer but the output projection.
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    from tarazu.models.load import empty_learner

    body = empty_learner(info, "text", 0).body
    found: Counter[Shape] = Counter()
    for name, module in body.named_modules():
        leaf = name.rsplit(".", 1)[-1]
        if not isinstance(module, nn.Linear | Conv1D) or module is body.get_output_embeddings():
            continue
        if isinstance(targets, str) or any(name == t or name.endswith(f".{t}") for t in targets):
            rows, columns = module.weight.shape
            # GPT-2's Conv1D keeps [in, out] (trap T28).
            d, k = (columns, rows) if isinstance(module, Conv1D) else (rows, columns)
            found[Shape(leaf, d, k)] += 1
    return found


_HEADER = Text(
    en="| matrix | d × k | number | d·k | r·(d+k) | share |\n|---|---|---|---|---|---|\n",
    fa="| ماتریس | d × k | تعداد | d·k | r·(d+k) | سهم |\n|---|---|---|---|---|---|\n",
)
_ROW = Text(
    en="| `{name}` | {d} × {k} | {count} | {whole} | {low} | {share} |",
    fa="| `{name}` | {d} × {k} | {count} | {whole} | {low} | {share} |",
)


def cost_table(found: Counter[Shape], r: int) -> Text:
    """Return a table of what a rank-r update of every matrix costs against the matrix itself."""
    rows = [
        fill(
            _ROW,
            name=shape.name,
            d=shape.d,
            k=shape.k,
            count=count,
            whole=shape.whole,
            low=shape.low_rank(r),
            share=share(shape.low_rank(r), shape.whole),
        )
        for shape, count in found.items()
    ]
    return Text(
        en=_HEADER.en + "\n".join(row.en for row in rows),
        fa=_HEADER.fa + "\n".join(row.fa for row in rows),
    )


_EXAMPLE = Text(
    en="For a {d} × {k} matrix at r = {r} that is {low} trained of {whole} parameters, {share}.",
    fa="برای ماتریس {d} × {k} با r برابر {r} یعنی {low} پارامتر آموزش‌پذیر از {whole}، {share}.",
)
_GPT2 = Text(
    en="(This is the shape of GPT-2's `c_attn`.)", fa="(این اندازهٔ `c_attn` در GPT-2 است.)"
)
GPT2_C_ATTN = Shape("c_attn", d=3 * 768, k=768)


def low_rank_example(context: ExplainContext) -> Text:
    """Return what one adapter costs: of the model's first target, or else of GPT-2's `c_attn`."""
    found = _targets(context)
    shape, r = next(iter(found), GPT2_C_ATTN), context.knobs.r
    example = fill(
        _EXAMPLE,
        d=shape.d,
        k=shape.k,
        r=r,
        low=shape.low_rank(r),
        whole=shape.whole,
        share=share(shape.low_rank(r), shape.whole),
    )
    if found:
        return example
    return Text(en=f"{example.en} {_GPT2.en}", fa=f"{example.fa} {_GPT2.fa}")


_SUM = Text(
    en="All adapters together: {adapters} parameters.",
    fa="همهٔ آداپتورها روی هم: {adapters} پارامتر.",
)


def low_rank_costs(context: ExplainContext) -> Text | None:
    """Return the cost table of all adapters of the model at hand; None without a model."""
    found = _targets(context)
    if not found:
        return None
    r = context.knobs.r
    total = sum(shape.low_rank(r) * count for shape, count in found.items())
    return join(cost_table(found, r), fill(_SUM, adapters=total))


def _targets(context: ExplainContext) -> Counter[Shape]:
    if context.info is None:
        return Counter()
    return matrices(context.info, targets_of(context.info, context.knobs))


_FOUR_BIT = Text(
    en="""**Four bits.** NF4 (4-bit NormalFloat) has 16 values at the quantiles of a normal
distribution, as pretrained weights nearly follow one. Every block of 64 weights has a scale,
and with double quantisation the scales are quantised too: `4 + 8/64 + 32/(64·256)` = {bits}
bits per parameter. For each product the weights are dequantised and computed with in 16 bits
(fp32 on processors without them). Paged optimisers are not needed here: the state is that of
the adapters alone. {saved}""",
    fa="""**چهار بیت.** NF4 (عدد نرمال چهاربیتی) ۱۶ مقدار دارد که در چندک‌های توزیع نرمال جای
گرفته‌اند، زیرا وزن‌های پیش‌آموخته کم‌وبیش نرمال‌اند. هر بلوکِ ۶۴ وزنی یک مقیاس دارد و با کوانتش دوگانه
خود مقیاس‌ها هم کوانتیده می‌شوند: `4 + 8/64 + 32/(64·256)` یعنی {bits} بیت برای هر پارامتر.
برای هر ضرب، وزن‌ها بازگشوده و با ۱۶ بیت محاسبه می‌شوند (روی پردازنده‌هایی که آن را ندارند با
fp32). به بهینه‌ساز صفحه‌بندی‌شده اینجا نیازی نیست: حالت آن تنها از آنِ آداپتورهاست. {saved}""",
)
_SAVED = Text(
    en="In {model}, {weights} weights of the layers take {small} instead of {large}; "
    "embeddings and norms stay in 16 bits.",
    fa="در {model}، {weights} وزنِ لایه‌ها به‌جای {large} تنها {small} جا می‌گیرند؛ "
    "جاسازی‌ها و نرمال‌سازها ۱۶ بیتی می‌مانند.",
)
_NO_MODEL = Text(
    en="Embeddings and norms stay in 16 bits.", fa="جاسازی‌ها و نرمال‌سازها ۱۶ بیتی می‌مانند."
)


def four_bit(info: ModelInfo | None) -> Text:
    """Explain the 4-bit base, with what it saves on the model at hand."""
    saved = _NO_MODEL
    if info is not None:
        found = matrices(info, "all-linear")
        weights = sum(shape.whole * count for shape, count in found.items())
        saved = fill(
            _SAVED,
            model=info.name,
            weights=weights,
            small=size(weights * NF4_BITS / 8),
            large=size(weights * 2),
        )
    bits = Text(en=f"{NF4_BITS:.3f}", fa=f"{NF4_BITS:.3f}".translate(PERSIAN))
    return fill(_FOUR_BIT, bits=bits, saved=saved)
