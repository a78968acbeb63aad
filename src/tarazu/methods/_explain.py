"""What the explanations of several methods share: numbers in both languages, the shared base.

Every number that depends on a model is computed here from its configuration, never typed in.
"""

from __future__ import annotations

import math

from tarazu.methods._method import ExplainContext
from tarazu.text import Language, Text

ADAMW_BYTES = 16
"""Per trained fp32 parameter: weight 4, gradient 4, two moments 8."""

PERSIAN = str.maketrans("0123456789,.", "۰۱۲۳۴۵۶۷۸۹٬٫")
_UNITS = {"B": "بایت", "kB": "کیلوبایت", "MB": "مگابایت", "GB": "گیگابایت", "TB": "ترابایت"}


def number(value: float, language: Language = "en") -> str:
    """Return a number for people: whole ones in full, others with three significant digits."""
    if isinstance(value, int) or value == 0 or abs(value) >= 100:
        text = f"{value:,.0f}"
    else:
        decimals = 2 - math.floor(math.log10(abs(value)))
        text = f"{value:.{decimals}f}"
        text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.translate(PERSIAN) if language == "fa" else text


def share(part: float, whole: float) -> Text:
    """Return a share in percent."""
    value = 100 * part / whole
    return Text(en=f"{number(value)} %", fa=f"{number(value, 'fa')}٪")


def size(count: float) -> Text:
    """Return a number of bytes in decimal units."""
    units = list(_UNITS)
    power = min(int(math.log10(count)) // 3, len(units) - 1) if count >= 1 else 0
    value, unit = count / 1000**power, units[power]
    return Text(en=f"{number(value)} {unit}", fa=f"{number(value, 'fa')} {_UNITS[unit]}")


def fill(template: Text, **values: float | str | Text) -> Text:
    """Fill a template's placeholders, with numbers written as each language writes them.

    Args:
        template: Text with ``{name}`` placeholders.
        **values: Numbers, texts in both languages, or names that are the same in both.
    """

    def filled(language: Language) -> str:
        shown = {
            name: value.in_(language)
            if isinstance(value, Text)
            else value
            if isinstance(value, str)
            else number(value, language)
            for name, value in values.items()
        }
        return template.in_(language).format(**shown)

    return Text(en=filled("en"), fa=filled("fa"))


def join(*parts: Text | None) -> Text:
    """Return parts as paragraphs of one text; None is left out."""
    there = [part for part in parts if part is not None]
    return Text(
        en="\n\n".join(part.en.strip() for part in there),
        fa="\n\n".join(part.fa.strip() for part in there),
    )


_SHAPE = Text(
    en="**Numbers of {model}.** {kind}, {layers} layers, hidden size {hidden}.",
    fa="**عددهای {model}.** {kind}، {layers} لایه، پهنای پنهان {hidden}.",
)
_COUNTS = Text(
    en="- parameters in use: {total}\n"
    "- trained by the method: {trained}; in a new head: {head}; together {share} of all\n"
    "- stored for each task beside the shared base: {deployed} ({bytes})",
    fa="- پارامترهای در کار: {total}\n"
    "- آموزش‌دیده با خود روش: {trained}؛ در سر تازه: {head}؛ روی هم {share} از کل\n"
    "- ذخیره‌شده برای هر کار در کنار پایهٔ مشترک: {deployed} ({bytes})",
)
_MEMORY = Text(
    en="- AdamW holds {each} bytes per trained fp32 parameter (weight 4, gradient 4, two moments "
    "8): {memory}, besides frozen weights and activations",
    fa="- AdamW برای هر پارامتر fp32 آموزش‌پذیر {each} بایت نگه می‌دارد (وزن ۴، گرادیان ۴، دو "
    "گشتاور ۸): {memory}، جدا از وزن‌های یخ‌زده و فعال‌سازی‌ها",
)
_UNTRAINED = Text(
    en="- nothing is trained: no gradients, no optimiser state",
    fa="- چیزی آموزش نمی‌بیند: نه گرادیانی در کار است و نه حالت بهینه‌ساز",
)
_UNNAMED = Text(
    en="**Numbers.** Name a model (`--model`) to see its counts here.",
    fa="**عددها.** برای دیدن شمارش‌ها یک مدل نام ببرید (`--model`).",
)
_KINDS = {
    "encoder": Text(en="Encoder", fa="رمزگذار"),
    "decoder": Text(en="Decoder", fa="رمزگشا"),
}


def numbers_of(context: ExplainContext) -> Text:
    """Return what is trained, stored and held in memory, for the model at hand."""
    info, counted = context.info, context.parameters
    if info is None:
        return _UNNAMED
    shape = fill(
        _SHAPE,
        model=info.name,
        kind=_KINDS[info.kind],
        layers=info.layers,
        hidden=info.hidden_size,
    )
    if counted is None:
        return shape
    trained = counted.trained + counted.head
    counts = fill(
        _COUNTS,
        total=counted.total,
        trained=counted.trained,
        head=counted.head,
        share=share(trained, counted.total),
        deployed=counted.deployed,
        bytes=size(counted.deployed_bytes),
    )
    memory = fill(_MEMORY, each=ADAMW_BYTES, memory=size(ADAMW_BYTES * trained))
    last = memory if trained else _UNTRAINED
    return Text(
        en=f"{shape.en}\n\n{counts.en}\n{last.en}", fa=f"{shape.fa}\n\n{counts.fa}\n{last.fa}"
    )


SHARED_BASE = Text(
    en="""**One base, several tasks.** The same encoder can serve inference, sentiment and question
answering. An encoder cannot generate text, so it answers questions with a span head, which
scores every token as start and as end of the answer.

| method | trained | stored for each task | shared by the tasks |
|---|---|---|---|
| full | every weight | a whole copy of the model | nothing |
| last-k | top layers and head | the top layers and the head | the lower trunk, computed once |
| LoRA | thin A and B | a small adapter, the head | the base; adapters are switched per request |
| P-tuning | virtual tokens | a few vectors and the head | the whole base |
| prompting | nothing | nothing but the prompt's text | the whole base (decoders only) |""",
    fa="""**یک پایه، چند کار.** یک رمزگذار می‌تواند هم برای استنتاج، هم برای احساس‌سنجی و هم برای پاسخ
به پرسش به کار رود. رمزگذار نمی‌تواند متن تولید کند؛ پس به پرسش‌ها با «سر بازه» پاسخ می‌دهد که
به هر توکن دو نمره می‌دهد: برای آغاز پاسخ و برای پایان آن.

| روش | چه آموزش می‌بیند | چه برای هر کار ذخیره می‌شود | چه میان کارها مشترک است |
|---|---|---|---|
| تنظیم کامل | همهٔ وزن‌ها | یک نسخهٔ کامل از مدل | هیچ |
| لایه‌های پایانی | لایه‌های بالایی و سر | لایه‌های بالایی و سر | تنهٔ پایینی که یک بار محاسبه می‌شود |
| لورا (LoRA) | A و B باریک | آداپتوری کوچک و سر | پایه؛ آداپتور در هر درخواست عوض می‌شود |
| پی‌تیونینگ | توکن‌های مجازی | چند بردار و سر | تمام پایه |
| پرسش با واژه | هیچ | هیچ، جز متن پرسش | تمام پایه (فقط رمزگشاها) |""",
)


def enumerated(numbers: list[int]) -> Text:
    """Return numbers as a list in a sentence; a dash for none."""
    en = ", ".join(map(str, numbers)) or "–"
    return Text(en=en, fa=en.replace(", ", "، ").translate(PERSIAN))
