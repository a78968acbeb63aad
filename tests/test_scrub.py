"""Tokens and passwords never reach what is kept."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from tarazu import processes
from tarazu.errors import bad
from tarazu.record.store import Store
from tarazu.report.complaints import complain, print_problems, write_traceback
from tarazu.report.progress_view import ProgressView
from tarazu.scrub import HIDDEN, scrub
from tarazu.testing.records import Make

TOKEN = "tok-0123456789+/abc"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    monkeypatch.setenv("MY_PASSWORD", 'pass"wörd\\123')
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("stored-token-of-the-hub\n")


@pytest.mark.parametrize("name", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MLFLOW_TRACKING_PASSWORD"])
def test_what_the_environment_calls_a_secret(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "another&secret=value")
    text = scrub("a another&secret=value b another%26secret%3Dvalue c")
    assert text == f"a {HIDDEN} b {HIDDEN} c"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"key={TOKEN}.", f"key={HIDDEN}."),
        ("stored-token-of-the-hub", HIDDEN),
        ("hf_" + "aB3" * 11, HIDDEN),
        ("https://ann:pa55@example.org/x?y=1", f"https://{HIDDEN}@example.org/x?y=1"),
        ("https://0123456789abcdef@example.org", f"https://{HIDDEN}@example.org"),
        ("Authorization: Bearer abc.def-123456", f"Authorization: Bearer {HIDDEN}"),
        ("https://h/?q=%20hf_" + "aB3" * 11, f"https://h/?q=%20{HIDDEN}"),
        (json.dumps({"a": 'pass"wörd\\123'}, ensure_ascii=False), f'{{"a": "{HIDDEN}"}}'),
    ],
)
def test_forms_of_secrets(text: str, expected: str) -> None:
    assert scrub(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.org",
        "https://example.org:80/a@b",
        "hf_hub",
        "a: b @ c",
        "{premise}",
        "ORG/NAME@v1",
        "A bearer certificates-and-shares; bearer instruments",
        "not_hf_hub_download_of_many_words",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert scrub(text) == text


def test_short_values_and_paths_of_tokens_are_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "neutral")
    monkeypatch.setenv("MY_TOKEN_FILE", "/var/run/a/long/path")
    monkeypatch.setenv("OTHER_TOKEN", "20261122")
    assert scrub("neutral 20261122 /var/run/a/long/path") == "neutral 20261122 /var/run/a/long/path"
    monkeypatch.setenv("OTHER_TOKEN", "hunter22")
    assert scrub("hunter22") == HIDDEN


@pytest.mark.parametrize("name", ["HF_HOME", "XDG_CACHE_HOME"])
def test_the_stored_token_is_looked_for_where_the_hub_looks(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for other in ("HF_TOKEN_PATH", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, str(tmp_path / "here"))
    home = tmp_path / "here" / ("huggingface" if name == "XDG_CACHE_HOME" else "")
    home.mkdir(parents=True)
    (home / "token").write_text("kept-by-the-login\n")
    assert scrub("it says kept-by-the-login") == f"it says {HIDDEN}"


def fail(tell: object) -> None:
    raise RuntimeError(f"401 for https://user:password@example.org with {TOKEN}")


def test_a_failed_run_tells_no_token() -> None:
    # What the run's own process does:
    kind, failed = processes._answer(fail, (), lambda progress: None)
    assert kind == "error"
    assert isinstance(failed, processes.RunFailed)
    assert "RuntimeError: 401" in failed.reason
    for text in (failed.reason, failed.details):
        assert HIDDEN in text
        assert TOKEN not in text
        assert "password" not in text


def test_no_token_reaches_a_record_or_the_study(tmp_path: Path, make: Make) -> None:
    store = Store(tmp_path / "out")
    record = make("lora", error=f"said {TOKEN}", events=(("note", f"at https://a:{TOKEN}@b"),))
    store.write_record(record)
    store.write_study({"study": "s", "models": {"m": {"source": f"https://u:{TOKEN}@h/m"}}})
    written = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert len(written) >= 3
    for file in written:
        assert TOKEN.encode() not in file.read_bytes(), file
    assert [one.error for one in store.records()] == [f"said {HIDDEN}"]


def test_no_token_reaches_the_lines_of_progress() -> None:
    console = Console(file=io.StringIO(), width=200)
    with ProgressView(console) as view:
        view.note(f"fetching https://u:{TOKEN}@h/m")
    assert isinstance(console.file, io.StringIO)
    assert HIDDEN in console.file.getvalue()
    assert TOKEN not in console.file.getvalue()


def test_a_record_without_secrets_is_kept_as_it_is(tmp_path: Path, make: Make) -> None:
    store = Store(tmp_path / "out")
    record = make("lora", error="bearer bonds at https://h/@b, hf_hub, a@b.example", events=())
    store.write_record(record)
    assert store.records() == [record]


def test_no_token_reaches_the_terminal_or_a_log(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    complain(f"Unexpected: {TOKEN}")
    # Cut in the middle, a token would no longer be known as one.
    print_problems(bad("x", "y", "a" * 190 + TOKEN))
    said = capsys.readouterr().err
    assert TOKEN[:8] not in said
    log = write_traceback(RuntimeError(TOKEN)).read_text()
    assert TOKEN not in log
    assert HIDDEN in log
