"""SQuAD v1.1: English questions answered by a span of a Wikipedia paragraph."""

from __future__ import annotations

from tarazu.tasks._qa import qa_task
from tarazu.text import Text

TASK = qa_task(
    name="squad",
    title=Text("SQuAD v1.1", "SQuAD v1.1"),
    summary=Text(
        "Answer an English question with a span of a Wikipedia paragraph.",
        "پاسخ دادن به پرسش انگلیسی با بخشی از یک بند ویکی‌پدیا.",
    ),
    licence="CC BY-SA 4.0",
    source="Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text "
    "(EMNLP); hf:rajpurkar/squad",
    # SQuAD 2.0 contains the questions of v1.1.
    known_as=(
        "SQuAD",
        "SQuAD v1.1",
        "rajpurkar/squad",
        "SQuAD 2.0",
        "SQuAD2.0",
        "squad_v2",
        "rajpurkar/squad_v2",
    ),
)
