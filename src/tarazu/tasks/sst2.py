"""SST-2: sentiment of English sentences from film reviews."""

from __future__ import annotations

from tarazu.tasks._classification import classification_task
from tarazu.tasks._task import Template
from tarazu.text import Text

TASK = classification_task(
    name="sst2",
    labels=("negative", "positive"),
    title=Text("SST-2", "SST-2"),
    summary=Text(
        "Decide whether an English sentence from a film review is positive or negative.",
        "تعیین مثبت یا منفی بودن جمله‌ای انگلیسی از نقد فیلم.",
    ),
    templates={
        "default": Template(
            "Decide whether the sentence from a film review expresses a positive or a negative "
            "opinion. Answer with one of: {labels}.",
            "Review: {text}",
            "Sentiment:",
        ),
        "choice": Template(
            "Choose the sentiment of the sentence: {labels}.",
            "{text}",
            "The sentiment is:",
        ),
        "question": Template(
            "Answer each question with one of: {labels}.",
            "{text}\nQuestion: What does the reviewer think of the film?",
            "Answer:",
        ),
    },
    label_names={"0": "negative", "1": "positive"},
    source="Socher et al. 2013, Recursive Deep Models for Semantic Compositionality Over a "
    "Sentiment Treebank (EMNLP); hf:stanfordnlp/sst2, whose text column is `sentence`",
    known_as=("SST-2", "sst2", "stanfordnlp/sst2", "SST", "GLUE"),
)
