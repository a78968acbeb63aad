"""The English passages with questions that ship with the package."""

from __future__ import annotations

from tarazu.tasks._qa import qa_task
from tarazu.text import Text

TASK = qa_task(
    name="corpus-qa",
    title=Text("Embedded question answering corpus", "پیکرهٔ همراه پرسش و پاسخ"),
    summary=Text(
        "Answer an English question with a span of a passage; passages and questions were written "
        "and generated for this package.",
        "پاسخ دادن به پرسش انگلیسی با بخشی از متن؛ متن‌ها و پرسش‌ها برای همین بسته نوشته و "
        "ساخته شده‌اند.",
    ),
    licence="Apache-2.0",
    source="Written and generated for tarazu; ships with it",
)
