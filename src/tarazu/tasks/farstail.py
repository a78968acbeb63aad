"""FarsTail: Persian inference, made from multiple-choice questions."""

from __future__ import annotations

from tarazu.tasks._nli import nli_task
from tarazu.text import Text

TASK = nli_task(
    name="farstail",
    title=Text("FarsTail", "فارس‌تیل"),
    summary=Text(
        "Decide whether a Persian hypothesis follows from a premise, contradicts it, or neither.",
        "تعیین اینکه فرضیهٔ فارسی از مقدمه نتیجه می‌شود، با آن در تناقض است یا هیچ‌کدام.",
    ),
    language="fa",
    # The published files abbreviate the labels.
    label_names={"e": "entailment", "n": "neutral", "c": "contradiction"},
    licence="Apache-2.0",
    source="Amirkhani et al. 2023, FarsTail: a Persian natural language inference dataset "
    "(Soft Computing, doi 10.1007/s00500-023-08959-3); hf:azarijafari/FarsTail",
    known_as=("FarsTail", "azarijafari/FarsTail", "PNLPhub/FarsTail"),
)
