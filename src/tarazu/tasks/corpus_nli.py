"""The English inference pairs that ship with the package."""

from __future__ import annotations

from tarazu.tasks._nli import nli_task
from tarazu.text import Text

TASK = nli_task(
    name="corpus-nli",
    title=Text("Embedded NLI corpus", "پیکرهٔ همراه استنتاج"),
    summary=Text(
        "Decide whether a hypothesis follows from a premise, contradicts it, or neither; English "
        "pairs of several genres, written and generated for this package.",
        "تعیین اینکه فرضیه از مقدمه نتیجه می‌شود، با آن در تناقض است یا هیچ‌کدام؛ "
        "جفت‌های انگلیسی از چند گونه که برای همین بسته نوشته و ساخته شده‌اند.",
    ),
    licence="Apache-2.0",
    source="Written and generated for tarazu; ships with it",
)
