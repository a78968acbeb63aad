"""What pip-audit found is said as it is: clean, weak, or not looked up at all."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

GOOD = {"name": "a", "version": "1", "vulns": []}
WEAK = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "PYSEC-2"}]}
UNKNOWN = {"name": "c", "skip_reason": "not found on the index"}


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    file = Path(__file__).resolve().parents[1] / "tools" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("packages", "clean", "said"),
    [
        ([GOOD], True, "audit: 1 of 1 packages looked up, 0 with weaknesses"),
        ([GOOD, WEAK], False, "b 2: PYSEC-1, PYSEC-2"),
        ([UNKNOWN, UNKNOWN], True, "NOT looked up: 2 packages, such as c (not found on the index)"),
        ([UNKNOWN, WEAK], False, "audit: 1 of 2 packages looked up, 1 with weaknesses"),
    ],
)
def test_verdict(
    audit: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    packages: list[dict[str, object]],
    clean: bool,
    said: str,
) -> None:
    file = tmp_path / "audit.json"
    file.write_text(json.dumps({"dependencies": packages, "fixes": []}))
    monkeypatch.setattr(sys, "argv", ["audit.py", str(file)])
    with pytest.raises(SystemExit) as end:
        audit.main()
    assert end.value.code == (not clean)
    assert said in capsys.readouterr().out.splitlines()
