"""A short run of the fuzzing that coverage guides; `make fuzz-guided` runs it for long."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

HERE = Path(__file__).parent


@cache
def load_guided() -> ModuleType:
    spec = importlib.util.spec_from_file_location("guided", HERE / "guided.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def guided() -> ModuleType:
    return load_guided()


@pytest.fixture
def atheris() -> None:
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: pip install -c constraints.txt '.[fuzz]'")


@pytest.mark.slow
@pytest.mark.usefixtures("atheris")
@pytest.mark.parametrize("kind", ["study", "csv", "tsv", "jsonl", "parquet", "gguf", "safetensors"])
def test_guided_inputs_are_accepted_or_refused_and_nothing_else(
    guided: ModuleType, kind: str
) -> None:
    found = guided.guide(kind, 0, "-runs=300")
    assert found["examples"] == []
    assert found["broken"] == 0
    # The sound inputs that the corpus starts with are among them.
    assert found["accepted"] + found["refused"] >= 300
    assert found["accepted"] > 0
    assert found["refused"] > 0
    assert 0 < found["edges"][0] <= found["edges"][1]
    assert 0 < found["peak"] < 1024


# Three bytes one after the other: chance alone would need 16 million inputs.
PLANTED = """
def planted(kind, file):
    data = file.read_bytes()
    if len(data) > 0 and data[0] == 0x7b:
        if len(data) > 1 and data[1] == 0x5d:
            if len(data) > 2 and data[2] == 0x21:
                {mistake}
"""


@pytest.mark.slow
@pytest.mark.usefixtures("atheris")
@pytest.mark.parametrize(
    ("mistake", "found"),
    [
        ("raise KeyError('planted')", "KeyError"),
        ("while True: pass", "Hang"),
        ("bytearray(1 << 31)", "MemoryError"),
    ],
    ids=["traceback", "hang", "memory"],
)
def test_coverage_leads_to_what_breaks_the_rule(
    guided: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mistake: str, found: str
) -> None:
    (tmp_path / "planted.py").write_text(PLANTED.format(mistake=mistake))
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys; sys.path[:0] = [{str(HERE)!r}, {str(tmp_path)!r}]\n"
        "import atheris, feed, guided\n"
        "with atheris.instrument_imports(include=['planted']): import planted\n"
        "feed.SECONDS, feed.read = 0.5, planted.planted\n"
        "feed.read_sound = lambda *_: None\n"
        "guided.sow = lambda kind, seed, file, corpus: (corpus / '0').write_bytes(b'abc')\n"
        "guided.main()\n"
    )
    monkeypatch.setattr(guided, "__file__", str(program))
    said = guided.guide("csv", 0, "-runs=200000")
    assert said["broken"] == 1
    assert said["examples"][0]["input"].startswith("b'{]!")
    assert found in said["examples"][0]["error"]
    assert said["edges"][1] > said["edges"][0]


def more(data: bytes, longest: int) -> bytes:
    return (data[:-1] + b"more")[:longest]


def test_a_bent_header_keeps_its_length_true(guided: ModuleType) -> None:
    header = json.dumps({"w": {"shape": [2, 30]}, "v": 1}).encode()
    sound = len(header).to_bytes(8, "little") + header + b"data"
    made = [
        guided.MUTATORS["safetensors"](sound, 200, random.Random(number), more)
        for number in range(200)
    ]
    kept = [one for one in made if one[:-4][8:] == one[8 : 8 + int.from_bytes(one[:8], "little")]]
    assert 100 < len(kept) < 200  # the others are bent anywhere
    assert len({len(one) for one in kept}) > 5
    assert all(one.endswith(b"data") for one in kept)
    for broken in (b"", b"abc", (1 << 63).to_bytes(8, "little") + header, bytes(8) + header):
        said = guided.MUTATORS["safetensors"](broken, 200, random.Random(0), more)
        assert said == broken[:-1] + b"more"


WORDS = st.sampled_from([b'"a long word"', b'"', b" ", b"1.5", b"{", b"\xff\x00", b"entailment"])


@given(st.lists(WORDS, max_size=20).map(b"".join), st.integers(0, 2**32), st.integers(1, 9))
def test_a_mutator_makes_no_more_than_it_may(data: bytes, number: int, room: int) -> None:
    for mutator in load_guided().MUTATORS.values():
        made = mutator(data, len(data) + room, random.Random(number), more)
        assert len(made) <= len(data) + room
        assert made == mutator(data, len(data) + room, random.Random(number), more)


def test_a_word_in_quotes_is_bent_inside_of_them(guided: ModuleType) -> None:
    dice, bent = random.Random(0), set()
    for _ in range(200):
        bent.add(guided.MUTATORS["jsonl"](b'"some text"', 400, dice, lambda data, _: data + b"!"))
    assert b'"some text!"' in bent
    assert b'"some text"!' in bent  # bent as a whole, as in a quarter of the cases


SAID = """\
#4 pulse  cov: 3 ft: 3 corp: 2/20b exec/s: 2 rss: 90Mb
#9 INITED cov: 50 ft: 61 corp: 7/90b exec/s: 9 rss: 90Mb
#12 NEW    cov: 51 ft: 62 corp: 8/99b lim: 4096 exec/s: 9 rss: 91Mb L: 9/9 MS: 1 Custom-
#300 DONE   cov: 58 ft: 70 corp: 12/150b lim: 4096 exec/s: 9 rss: 92Mb
stat::peak_rss_mb:              93
"""
PROGRAM = """\
import pathlib, struct, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--folder") + 1])
(folder / "counts").write_bytes(struct.pack("<QQ", 20, 280))
(folder / "broken-crash-1").write_bytes(b"evil")
sys.stderr.write({said!r})
sys.exit({code})
"""


def test_figures_are_those_that_libfuzzer_states(
    guided: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program.py"
    monkeypatch.setattr(guided, "__file__", str(program))
    program.write_text(PROGRAM.format(said=SAID, code=0))
    said = guided.guide("csv", 0)
    assert (said["accepted"], said["refused"], said["broken"], said["peak"]) == (20, 280, 0, 93)
    # What a `pulse` says before all first inputs are read is not the start.
    assert said["edges"] == (50, 58)
    assert said["corpus"] == (7, 12)
    program.write_text(PROGRAM.format(said=f"{SAID}Oh dear", code=77))
    said = guided.guide("csv", 0)
    assert said["broken"] == 1
    assert said["examples"] == [{"input": "b'evil'", "error": "exit code 77\nOh dear"}]


def test_without_atheris_it_says_how_to_get_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['atheris'] = None; sys.argv[1:] = ['--seconds', '1']\n"
    code += f"sys.path.insert(0, {str(HERE)!r}); import guided; sys.exit(guided.main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 2
    assert b"[fuzz]" in done.stderr
