"""MultiNLI: English inference over genres of written and spoken text."""

from __future__ import annotations

from tarazu.tasks._nli import nli_task
from tarazu.text import Text

TASK = nli_task(
    name="multinli",
    title=Text("MultiNLI", "MultiNLI"),
    summary=Text(
        "Decide whether an English hypothesis follows from a premise, contradicts it, or neither; "
        "the premises come from several genres.",
        "تعیین اینکه فرضیهٔ انگلیسی از مقدمه نتیجه می‌شود، با آن در تناقض است یا هیچ‌کدام؛ "
        "مقدمه‌ها از چند گونهٔ متن‌اند.",
    ),
    # The order on the Hub's data-set card; fairseq's models number the labels the other way.
    label_names={"0": "entailment", "1": "neutral", "2": "contradiction"},
    licence="Most of it under the OANC's licence (free of restrictions); the fiction section under "
    "CC BY 3.0, CC BY-SA 3.0 and in the public domain of the United States",
    source="Williams, Nangia and Bowman 2018, A Broad-Coverage Challenge Corpus for Sentence "
    "Understanding through Inference (NAACL); hf:nyu-mll/multi_nli",
    known_as=("MultiNLI", "AllNLI", "multi_nli", "nyu-mll/multi_nli", "MNLI", "GLUE"),
)
