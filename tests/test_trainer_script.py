"""The plain script that tarazu is measured against must be a fair peer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tarazu.testing.tiny import nli_items

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "peers" / "trainer_script.py"


def test_answers_belong_to_their_items(tiny, tmp_path):
    """What was learnt by heart is answered right; answers in another order would be a guess."""
    items = nli_items(24, seed=1)
    file = tmp_path / "items.jsonl"
    rows = ({"id": item.id, **item.fields, "label": item.gold[0]} for item in items)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    lengths = {len(item.fields["premise"].split()) for item in items}
    assert len(lengths) > 3  # else grouping by length changes no order
    done = subprocess.run(
        [
            sys.executable, str(SCRIPT), "--method", "lora", "--kind", "encoder",
            "--model", str(tiny("bert")), "--train", str(file), "--test", str(file),
            "--epochs", "40", "--batch-size", "4", "--learning-rate", "0.01", "--threads", "1",
        ],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    answers = json.loads(done.stdout.strip().splitlines()[-1])["predictions"]
    right = sum(answers[item.id] == item.gold[0] for item in items)
    assert right >= 20
