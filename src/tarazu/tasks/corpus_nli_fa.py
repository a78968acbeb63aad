"""The Persian inference pairs that ship with the package."""

from __future__ import annotations

from tarazu.tasks._nli import nli_task
from tarazu.text import Text

TASK = nli_task(
    name="corpus-nli-fa",
    title=Text("Embedded Persian NLI corpus", "پیکرهٔ همراه استنتاج فارسی"),
    summary=Text(
        "Decide whether a Persian hypothesis follows from a premise, contradicts it, or neither; "
        "pairs written for this package.",
        "تعیین اینکه فرضیهٔ فارسی از مقدمه نتیجه می‌شود، با آن در تناقض است یا هیچ‌کدام؛ "
        "جفت‌هایی که برای همین بسته نوشته شده‌اند.",
    ),
    language="fa",
    licence="Apache-2.0",
    source="Written for tarazu; ships with it",
)
