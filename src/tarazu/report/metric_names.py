"""Metrics by the names that people give them."""

from __future__ import annotations

from tarazu.report.persian import isolated
from tarazu.report.plain import one_line
from tarazu.text import Text

_NAMES = {
    "accuracy": Text("Accuracy", "دقت"),
    "f1": Text("F1", "F1"),
    "em": Text("EM", "تطابق کامل"),
    "exact_match": Text("EM", "تطابق کامل"),
    "macro_f1": Text("Macro F1", "F1 کلان"),
    "accuracy_sum": Text("Accuracy, whole word", "دقت با احتمال کل واژه"),
    "accuracy_token": Text("Accuracy, per token", "دقت با احتمال هر توکن"),
    "accuracy_calibrated": Text("Accuracy, calibrated", "دقت واسنجیده"),
}


def metric_name(name: str) -> Text:
    """Return a metric's name for people; a name that is not known stays as it is.

    Args:
        name: As it stands in records.
    """
    words = one_line(name).replace("_", " ")
    return _NAMES.get(name, Text(words, isolated(words)))
