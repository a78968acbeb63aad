"""Tokens and passwords never reach what is kept."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tarazu import processes
from tarazu.errors import bad
from tarazu.record.ledger import Ledger, read_ledgers
from tarazu.record.progress import PlannedRun
from tarazu.record.record import Input
from tarazu.record.standing import Standing, read_plan
from tarazu.record.store import Store
from tarazu.record.watched import changed_files, watch
from tarazu.report.complaints import complain, print_problems, write_traceback
from tarazu.report.progress_view import ProgressView
from tarazu.runner import Outcome
from tarazu.scrub import HIDDEN, scrub
from tarazu.testing.records import Make
from tarazu.tuning.search import Job
from tarazu.workshop import Workshop

TOKEN = "tok-0123456789+/abc"


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WANDB_API_KEY", TOKEN)
    monkeypatch.setenv("MY_PASSWORD", 'pass"wörd\\123')
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    (tmp_path / "token").write_text("stored-token-of-the-hub\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


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


MACHINES = """machine api.wandb.ai
  login user password wandb-key-0123456789
machine h login ann password "quoted word-77"
default login me password short
"""


@pytest.mark.parametrize("named", [True, False])
def test_passwords_of_netrc_are_secrets(
    named: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / ("netrc" if named else ".netrc")
    if not named:
        monkeypatch.delenv("NETRC")
        monkeypatch.setenv("HOME", str(tmp_path))
    file.write_text(MACHINES)
    file.chmod(0o644)  # that others may read it makes it no less a secret
    assert scrub("user wandb-key-0123456789 short") == f"user {HIDDEN} short"


@pytest.mark.parametrize("content", [b"machine", b"\xff\xfe", b"machine h login a password"])
def test_a_damaged_netrc_is_passed_over(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_bytes(content)
    assert scrub(f"a {TOKEN}") == f"a {HIDDEN}"
    (tmp_path / "netrc").unlink()
    (tmp_path / "netrc").mkdir()
    assert scrub(f"a {TOKEN}") == f"a {HIDDEN}"


class Silent:
    """A listener that hears nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_no_token_reaches_the_plan_the_inputs_or_the_ledger(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TARAZU_LEDGER", str(tmp_path / "home" / "ledger.jsonl"))
    token = "tok-0123456789-abc"
    monkeypatch.setenv("WANDB_API_KEY", token)
    out = tmp_path / "out"
    out.mkdir()
    standing = Standing(Silent(), out)
    standing.planned([PlannedRun(f"{token} · seed 0", token, finished=False, work=1.0, key="k")])
    standing.started(0)
    for name in ("a.csv", f"{token}.csv"):
        (tmp_path / name).write_text("x")
    watch(out, [("data", tmp_path / "a.csv", None), ("data", tmp_path / f"{token}.csv", None),
                (f"model {token}", tmp_path / "a.csv", None)])  # fmt: skip
    record = make(token, inputs={"test": Input(rows=1, sha256="ab" * 32)}, test_access=["test"])
    Ledger(out, print).count(record)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".csv"]
    names = {path.name for path in written}
    assert {"plan.json", ".running.json", ".inputs.json", "ledger.jsonl"} <= names
    for file in written:
        assert token.encode() not in file.read_bytes(), file
    # What was written can be read: a file that cannot be named is not watched, and has not changed.
    assert [slot.entry for slot in read_plan(out) or []] == [HIDDEN]
    assert changed_files(out) == []
    assert [line.entry for line in read_ledgers([out / "ledger.jsonl"])] == [HIDDEN]


def test_an_error_log_steers_no_terminal_and_holds_no_token(
    tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    said = f"ValueError: \x1b]0;title\x07 a\rb \x9b31m \u202e \ud800 {TOKEN}\n\tline 2"
    workshop: Any = SimpleNamespace(
        store=Store(tmp_path / "out"), ledger=SimpleNamespace(count=lambda record: None)
    )
    outcome = Outcome(make("lora", status="failed", error="no", variants=[]), [], said)
    record = Workshop._keep(workshop, outcome, Job(outcome.record.spec), tmp_path / "none")
    log = (workshop.store.run_folder(record) / "error.log").read_text("utf-8")
    shown = "ValueError: \\u001b]0;title\\u0007 a\\u000db \\u009b31m \\u202e \\ud800 "
    assert log == f"{shown}{HIDDEN}\n\tline 2"
    unexpected = write_traceback(RuntimeError(said)).read_text("utf-8")
    assert f"{shown}{HIDDEN}\n\tline 2" in unexpected


def test_a_secret_of_any_bytes_is_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", "abcdefgh\udcff12345")
    assert scrub("it is abcdefgh\udcff12345, or abcdefgh%FF12345") == (
        f"it is {HIDDEN}, or {HIDDEN}"
    )
