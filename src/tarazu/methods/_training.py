"""Default training settings that several methods share, each with its reason and source."""

from __future__ import annotations

from collections.abc import Mapping

from tarazu.methods._method import Default
from tarazu.models.info import ModelInfo
from tarazu.tasks._task import Task

BERT = "Devlin et al. 2019, arXiv 1810.04805, appendix A.3"
ROBERTA = "Liu et al. 2019, arXiv 1907.11692, table 10"
LORA = "Hu et al. 2021, arXiv 2106.09685, table 9"


def common(info: ModelInfo, task: Task, *, learning_rate: Default) -> Mapping[str, Default]:
    """Return the settings that all trained methods share, around a family's learning rate.

    Args:
        info: The model.
        task: The task.
        learning_rate: Peak learning rate; its right scale differs between families by orders of
            magnitude (trap T33).
    """
    longest = {"classify": 256, "extract": 384}[task.kind]
    return {
        "epochs": Default(3, "Enough to level off on small data, too few to memorise it", BERT),
        "batch_size": Default(16, "The smaller of the two that the source searches", BERT),
        "micro_batch_size": Default(
            None, "The whole batch at once when memory allows", "tarazu's design"
        ),
        "max_length": Default(
            min(longest, info.context_length),
            "Covers nearly all items; the context of longer ones is cut and counted",
            BERT if task.kind == "extract" else "Length distribution of MultiNLI",
        ),
        "learning_rate": learning_rate,
        "head_learning_rate": Default(
            None, "The same as for the method: one knob fewer to tune unequally", "tarazu's design"
        ),
        "weight_decay": Default(0.01, "Mild; not on biases and norms", BERT),
        "warmup": Default(0.06, "Adam's second moment needs some steps to settle", ROBERTA),
        "schedule": Default("linear", "Falls to zero, so that the last epoch settles", ROBERTA),
        "clip": Default(1.0, "Keeps one odd batch from wrecking the weights", BERT),
        "select": Default(
            "best",
            "Chosen on validation loss only; the test split plays no part",
            "Chen et al. 2022, arXiv 2202.07962 (what goes wrong otherwise)",
        ),
        "validate_rows": Default(
            200, "Enough for a trend; the loss is over all of them", "tarazu's design"
        ),
        "loss_on": Default(
            "answer",
            "The prompt is given, so learning to say it is wasted and hides the loss that counts",
            "Dettmers et al. 2023, arXiv 2305.14314, table 10; artidoro/qlora#188",
        ),
    }
