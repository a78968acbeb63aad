"""lm-eval's side: a multiple-choice task over a local file, scored by its HFLM.

    python run.py job.json

The clock covers `HFLM.loglikelihood`: tokenising, batching and forward passes, no loading.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import lm_eval
from common import finish, read_job, rows_of
from lm_eval.models.huggingface import HFLM


def task(job: dict[str, Any], part: str) -> dict[str, Any]:
    """Return a task: prompts and choices stand ready in the file."""
    return {
        "task": f"prepared_{part.replace('-', '_')}",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(Path(job["folder"]) / f"{part}.jsonl")}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "doc_to_text": "{{asked}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "{{gold}}",
        "target_delimiter": "",  # a choice begins with its own space
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


def evaluate(lm: HFLM, job: dict[str, Any], part: str) -> tuple[Any, list[dict[str, Any]]]:
    """Return what scoring took, and the samples."""
    took = {"seconds": 0.0, "cpu_seconds": 0.0}
    scoring = HFLM.loglikelihood

    def timed(requests: Any, **options: Any) -> Any:
        start, cpu_start = time.perf_counter(), time.process_time()
        result = scoring(lm, requests, **options)
        took["seconds"] += time.perf_counter() - start
        took["cpu_seconds"] += time.process_time() - cpu_start
        return result

    lm.loglikelihood = timed
    result = lm_eval.simple_evaluate(model=lm, tasks=[task(job, part)], bootstrap_iters=0)
    (samples,) = result["samples"].values()
    return took, sorted(samples, key=lambda sample: sample["doc_id"])


def main() -> None:
    job = read_job()
    peer = job["peer"]
    lm = HFLM(
        pretrained=job["model"],
        device="cpu",
        dtype=peer["dtype"],
        batch_size=peer["batch_size"],
        max_batch_size=64,
    )
    evaluate(lm, job, "warm")
    took, samples = evaluate(lm, job, "held-out")
    rows = rows_of(job, "held-out")
    answers, loss = {}, 0.0
    for row, sample in zip(rows, samples, strict=True):
        scores = [float(response[0][0]) for response in sample["resps"]]
        answers[row["id"]] = max(range(len(scores)), key=scores.__getitem__)
        loss -= scores[row["gold"]] / len(rows)
    finish(**took, examples=len(rows), updates=0, loss=loss, answers=answers)


if __name__ == "__main__":
    main()
