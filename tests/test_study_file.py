from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest
from pydantic import model_validator

from tarazu import catalog
from tarazu.errors import BadInput, bad
from tarazu.methods._method import Knobs, Method, knob
from tarazu.study_file import Study, load_study, read_knobs
from tarazu.tasks._task import Task
from tarazu.text import Text

WORDS = Text("words", "واژه‌ها")


class Decode(Knobs):
    temperature: float = 0.0
    max_new_tokens: int = 8


class LoraKnobs(Knobs):
    r: int = knob(8, reason="r", source="s", ge=1)
    layers: int | list[int] | Literal["all"] = knob("all", reason="r", source="s")
    decode: Decode = Decode()
    betas: tuple[float, float] = (0.9, 0.999)

    @model_validator(mode="after")
    def _no_unlucky_rank(self) -> LoraKnobs:
        if self.r == 13:
            raise ValueError("r must not be 13")
        return self


def fake(name: str, **more: object) -> Method:
    return Method(
        name=name,
        label=WORDS,
        family="adapter",
        summary=WORDS,
        explain=lambda context: WORDS,
        **more,  # type: ignore[arg-type]
    )


METHODS = {
    method.name: method
    for method in (
        fake("majority", needs_model="no", trains=False),
        fake("lora", knobs=LoraKnobs),
        fake("zero-shot", trains=False),
        fake("partial-input", needs_model="optional"),
    )
}
TASK = Task(
    name="multinli",
    family="nli",
    kind="classify",
    title=WORDS,
    summary=WORDS,
    language="en",
    columns={},
    texts=("premise",),
    cut="premise",
    partial="premise",
    group_by="premise",
    templates={},
    primary_metric="accuracy",
    metric_names={},
    score=lambda answer, item: {},
    parse=lambda text, item: None,
)

GOOD = """\
version: 1
study: small
task: multinli
data:
  train: corpus:nli
  validation: {from: train, rows: 100}
  test: {matched: m.csv}
  sample: {train: 300, test: 0.5}
models:
  mini: {source: ORG/mini}
  smol-1.1: {source: ORG/smol}
training: {epochs: 3, learning_rate: 2e-4, clip: 1.0}
methods:
  majority:
  lora: {model: [mini, smol-1.1], r: 4, layers: [4, 5], epochs: 2, clip: null}
  wide: {method: lora, model: mini, r: 32, decode: {temperature: 0}}
  zero-shot: {model: mini}
  partial-input: {}
seeds: [0, 1]
"""


@pytest.fixture(autouse=True)
def _catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    def resolve(task: object) -> Task:
        if isinstance(task, dict):
            raise bad("task.labels", "must be a list", repr(task.get("labels")))
        if task != "multinli":
            raise bad("task", "must be a known task", repr(task), "Did you mean 'multinli'?")
        return TASK

    monkeypatch.setattr(catalog, "methods", lambda: METHODS)
    monkeypatch.setattr(catalog, "resolve_task", resolve)


def load(folder: Path, text: str, *overrides: str) -> Study:
    path = folder / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path, overrides)


def problems(folder: Path, text: str, *overrides: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        load(folder, text, *overrides)
    return [str(problem) for problem in caught.value.problems]


def test_good_study(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD)
    assert study.base == tmp_path.resolve()
    assert study.task is TASK
    assert study.spec.data.sample.train == 300
    assert study.spec.data.sample.test == 0.5
    ids = [entry.id for entry in study.entries]
    assert ids == ["majority", "lora@mini", "lora@smol-1.1", "wide", "zero-shot", "partial-input"]
    assert [entry.model for entry in study.entries] == [
        None, "mini", "smol-1.1", "mini", "mini", None,
    ]  # fmt: skip


def test_settings_are_merged_and_say_who_chose_them(tmp_path: Path) -> None:
    entries = {entry.id: entry for entry in load(tmp_path, GOOD).entries}
    lora = entries["lora@smol-1.1"]
    assert isinstance(lora.knobs, LoraKnobs)
    assert (lora.knobs.r, lora.knobs.layers) == (4, [4, 5])
    # An entry's null goes back to the method's own default.
    assert lora.training == {"epochs": 2, "learning_rate": 2e-4}
    assert lora.chosen_by == {
        "epochs": "entry", "learning_rate": "study", "r": "entry", "layers": "entry",
    }  # fmt: skip
    assert entries["wide"].training == {"clip": 1.0, "epochs": 3, "learning_rate": 2e-4}


def test_settings_without_meaning_do_not_reach_a_method(tmp_path: Path) -> None:
    text = GOOD.replace("{epochs: 3,", "{max_length: 64, epochs: 3,")
    entries = {entry.id: entry for entry in load(tmp_path, text).entries}
    assert entries["majority"].training == {}
    assert entries["partial-input"].training == {}
    # A prompt is as long as the model reads, unless the entry itself says otherwise.
    assert entries["zero-shot"].training == {}
    own = text.replace("zero-shot: {", "zero-shot: {max_length: 32, ")
    assert own != text
    entries = {entry.id: entry for entry in load(tmp_path, own).entries}
    assert entries["zero-shot"].training == {"max_length": 32}
    (found,) = problems(tmp_path, GOOD.replace("partial-input: {}", "partial-input: {epochs: 2}"))
    assert "'partial-input' trains nothing here" in found


BROKEN = """\
version: 1
study: ../outside
taks: multinli
task: multinlu
data:
  train: [a, b]
  validation: {from: train, rows: many}
  test: {train: m.csv}
  sample: {train: 1.5}
  seed: 0
  seed: 1
models:
  mini: {source: ORG/mini, kind: encodr}
  wheel: {source: "pypi:a==1/m"}
training: {epochs: 0, epoch: 3}
methods:
  lroa: {model: mini}
  lora: {model: [mini, smal], rank: 8, r: 0, decode: {temprature: 1}}
  unlucky: {method: lora, model: mini, r: 13}
  typed: {method: lora, model: mini, r: "8", layers: first}
  majority: {model: mini, epochs: 3}
  zero-shot: {max_len: 3}
seeds: [0, 0]
compute: 7
"""

EXPECTED = [
    (2, "study", "must match", "../outside"),
    (3, "taks", "known key", "Did you mean 'task'?"),
    (4, "task", "known task", "Did you mean 'multinli'?"),
    (6, "data.train", "must be text", '["a", "b"]'),
    (7, "data.validation.rows", "must be a whole number", '"many"'),
    (8, "data.test.train", "name of its own", "'train'"),
    (9, "data.sample.train", "fraction above 0", "1.5"),
    (11, "data.seed", "only once", "also on line 10"),
    (13, "models.mini.kind", "'encoder' or 'decoder'", "Did you mean 'encoder'?"),
    (14, "models.wheel", "checksum", "sha256"),
    (15, "training.epochs", "must be above 0", "0"),
    (15, "training.epoch", "known key", "Did you mean 'epochs'?"),
    (17, "methods.lroa", "known method", "Did you mean 'lora'?"),
    (18, "methods.lora.model.1", "'models'", "Valid: mini, wheel"),
    (18, "methods.lora.rank", "must be a knob of 'lora'", "Valid: batch_size"),
    (18, "methods.lora.r", "must be at least 1", "0"),
    (18, "methods.lora.decode.temprature", "known key", "Did you mean 'temperature'?"),
    (19, "methods.unlucky", "must not be 13", ""),
    (20, "methods.typed.r", "must be a whole number", '"8"'),
    (20, "methods.typed.layers", "'all'", '"first"'),
    (21, "methods.majority.model", "uses no model", "mini"),
    (21, "methods.majority.epochs", "trains nothing", ""),
    (22, "methods.zero-shot", "needs a model", "mini or wheel"),
    (22, "methods.zero-shot.max_len", "knob of 'zero-shot'", "Did you mean 'max_length'?"),
    (23, "seeds", "only once", "[0, 0]"),
    (24, "compute", "must be a mapping", "7"),
]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.sample.train=[]", "must name at least one size"),
        ("data.sample.train=[300, 300]", "each once"),
        ("data.sample.train=[300, 1.5]", "a fraction above 0 and at most 1"),
        ("data.sample.train=[300, many]", "must be"),
        ("data.sample.test=[30, 60]", "must be"),
        ("data.near_duplicates=0.3", "must be at least 0.5"),
        ("data.near_duplicates=1.1", "must be at most 1"),
    ],
)
def test_samples_and_near_duplicates_that_mean_nothing(
    tmp_path: Path, override: str, message: str
) -> None:
    (found,) = problems(tmp_path, GOOD, override)
    assert override.partition("=")[0] in found
    assert message in found


def test_sizes_of_the_training_split(tmp_path: Path) -> None:
    study = load(tmp_path, GOOD, "data.sample.train=[100, 300, 0.5]", "data.near_duplicates=null")
    assert study.spec.data.sample.train == [100, 300, 0.5]
    assert [type(size) for size in study.spec.data.sample.train] == [int, int, float]
    assert study.spec.data.near_duplicates is None
    assert load(tmp_path, GOOD).spec.data.near_duplicates == 0.8


def test_all_mistakes_at_once_each_with_its_line(tmp_path: Path) -> None:
    found = problems(tmp_path, BROKEN)
    for line, key, *words in EXPECTED:
        place = f"study.yaml:{line} {key}: "
        there = [text for text in found if text.startswith(place)]
        assert len(there) == 1, (place, "\n".join(found))
        assert all(word in there[0] for word in words), (words, there)
    assert len(found) == len(EXPECTED), "\n".join(found)
    lines = [int(text.split(":")[1].split()[0]) for text in found]
    assert lines == sorted(lines)


def test_missing_keys_are_named(tmp_path: Path) -> None:
    found = problems(tmp_path, "version: 1\ndata: {train: a.csv}\n")
    assert found == [
        "study.yaml:1 study: the key 'study' is required. Add it.",
        "study.yaml:1 task: the key 'task' is required. Add it.",
        "study.yaml:1 methods: the key 'methods' is required. Add it.",
        "study.yaml:2 data.test: the key 'test' is required. Add it.",
    ]


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("study=../../etc", "must match"),
        ("study=/tmp/x", "must match"),
        ("study=a/b", "must match"),
        ("study=..", "must match"),
    ],
)
def test_a_study_name_cannot_leave_the_output_folder(
    tmp_path: Path, override: str, rule: str
) -> None:
    (found,) = problems(tmp_path, GOOD, override)
    assert found.startswith(f"--set {override}: ")
    assert rule in found


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("version: 1\ndata: {train: [\n", 3, "must be valid YAML"),
        ("version: 1\nstudy:\n\t- x\n", 3, "cannot start any token"),
        ("version: 1\nstudy: !!python/object:os.x {}\n", 2, "without tags"),
        ("version: 1\n--- b\n", 2, "another document"),
        ("version: *none\n", 1, "undefined alias"),
        ("a: &x [*x]\n", 1, "nested at most"),
        ("- 1\n- 2\n", 1, "must be a mapping"),
        ("", 1, "must be a mapping"),
    ],
)
def test_what_is_not_a_study_file(tmp_path: Path, text: str, line: int, words: str) -> None:
    (found,) = problems(tmp_path, text)
    assert found.startswith(f"study.yaml:{line}")
    assert words in found


def test_tuning_is_read_and_overridden(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD).spec.tuning is None
    given = load(tmp_path, GOOD, "tuning.trials=4").spec.tuning
    assert given is not None
    assert (given.trials, given.seconds, given.sampler, given.pruning) == (4, None, "qmc", True)
    assert given.seed not in (0, 1)
    text = GOOD + "tuning: {seconds: 600, pruning: false, seed: 5}\n"
    given = load(tmp_path, text).spec.tuning
    assert given is not None
    assert (given.trials, given.seconds, given.pruning, given.seed) == (None, 600.0, False, 5)
    assert load(tmp_path, text, "tuning=null").spec.tuning is None


@pytest.mark.parametrize(
    ("tuning", "place", "words"),
    [
        ("{}", "study.yaml:20", "must give either 'trials' or 'seconds'"),
        ("{trials: 4, seconds: 9}", "study.yaml:20", "must give either 'trials' or 'seconds'"),
        ("4", "study.yaml:20", "must be a mapping"),
        ("{trials: 0}", "study.yaml:20", "must be above 0"),
        ("{trials: 1001}", "study.yaml:20", "must be at most 1000"),
        ("{trials: '4'}", "study.yaml:20", "must be a whole number"),
        ("{seconds: -1}", "study.yaml:20", "must be above 0"),
        ("{trials: 4, sampler: random}", "study.yaml:20", "must be 'qmc'"),
        ("{trials: 4, pruning: 1}", "study.yaml:20", "must be true or false"),
        ("{trails: 4}", "study.yaml:20", "Did you mean 'trials'?"),
        ("{trials: 4, seed: 1}", "study.yaml:20", "must not be one of the study's seeds"),
    ],
)
def test_mistakes_in_tuning_are_told_like_all_others(
    tmp_path: Path, tuning: str, place: str, words: str
) -> None:
    found = problems(tmp_path, f"{GOOD}tuning: {tuning}\n")
    assert any(problem.startswith(place) and words in problem for problem in found), found


def test_limits(tmp_path: Path) -> None:
    laughs = "a0: &a0 [x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10)
    )
    assert "hold at most" in problems(tmp_path, laughs)[0]
    many = "a: &a 1\nb: [" + ", ".join(["*a"] * 101) + "]\n"
    assert "at most 100 aliases" in problems(tmp_path, many)[0]
    assert "at most 500000 bytes" in problems(tmp_path, "#" * 500_001)[0]
    assert "nested" in problems(tmp_path, "a: " + "[" * 400_000)[0]


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "demo.yaml").write_text(GOOD)
    with pytest.raises(BadInput, match=r"must exist.*Did you mean 'demo\.yaml'"):
        load_study(tmp_path / "dmo.yaml")
    (tmp_path / "latin.yaml").write_bytes("study: é".encode("latin-1"))
    with pytest.raises(BadInput, match="must be UTF-8"):
        load_study(tmp_path / "latin.yaml")


def test_overrides_create_and_replace(tmp_path: Path) -> None:
    study = load(
        tmp_path, GOOD,
        "training.epochs=1", "seeds.0=3", "methods.lora.r=2", "compute.threads=2",
        "models.smol-1.1.kind=decoder", "data.test=other.csv", "methods.new={method: majority}",
    )  # fmt: skip
    assert study.spec.seeds == [3, 1]
    assert study.spec.compute.threads == 2
    assert study.spec.models["smol-1.1"].kind == "decoder"
    assert study.spec.data.test == "other.csv"
    assert study.entries[-1].id == "new"
    wide = next(entry for entry in study.entries if entry.id == "wide")
    assert wide.training["epochs"] == 1
    assert wide.chosen_by["epochs"] == "command line"
    lora = next(entry for entry in study.entries if entry.id == "lora@mini")
    assert (lora.training["epochs"], lora.chosen_by["epochs"]) == (2, "entry")
    assert lora.chosen_by["r"] == "command line"


def test_an_override_changes_only_what_it_names(tmp_path: Path) -> None:
    text = GOOD.replace("{method: lora, model: mini, r: 32", "&w {method: lora, model: mini, r: 32")
    text = text.replace("  zero-shot:", "  again: *w\n  zero-shot:")
    entries = {e.id: e for e in load(tmp_path, text, "methods.wide.r=1").entries}
    assert entries["wide"].knobs.model_dump()["r"] == 1
    assert entries["again"].knobs.model_dump()["r"] == 32


def test_mistakes_of_overrides_name_the_override(tmp_path: Path) -> None:
    wrong = [
        "training.epochs=many", "seeds.5=1", "seeds.x=1", "noequals", ".a=1", "study.x=1",
        "training.lr=1", "compute.device=[", "methods.lora.rr=1",
    ]  # fmt: skip
    found = problems(tmp_path, GOOD, *wrong)
    assert sorted(text.split(": ")[0] for text in found) == sorted(f"--set {w}" for w in wrong)
    by_override = {text.split(": ")[0]: text for text in found}
    assert "Valid: 0 to 1." in by_override["--set seeds.5=1"]
    assert "single value" in by_override["--set study.x=1"]
    assert "Did you mean 'learning_rate'" not in by_override["--set methods.lora.rr=1"]


def test_yaml_1_2_words_and_numbers(tmp_path: Path) -> None:
    text = GOOD.replace("learning_rate: 2e-4", "learning_rate: 1e3")
    text = text.replace("corpus:nli", "no").replace("study: small", "study: 2024-01-01")
    spec = load(tmp_path, text).spec
    assert (spec.training.learning_rate, spec.data.train, spec.study) == (
        1000.0,
        "no",
        "2024-01-01",
    )


def test_types_are_taken_as_they_are(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("r: 32", "r: true"))
    assert "methods.wide.r: must be a whole number" in found
    (found,) = problems(tmp_path, GOOD.replace("clip: 1.0", "clip: .inf"))
    assert "must be a finite number" in found


def test_merge_keys_carry_their_lines(tmp_path: Path) -> None:
    text = GOOD.replace("wide: {", "wide: &w {").replace(
        "  partial-input: {}", "  other: {<<: *w, r: 0}\n  partial-input: {}"
    )
    (found,) = problems(tmp_path, text)
    assert found.startswith("study.yaml:18 methods.other.r: must be at least 1")


def test_model_lists(tmp_path: Path) -> None:
    (found,) = problems(tmp_path, GOOD.replace("[mini, smol-1.1]", "[mini, mini]"))
    assert "must name each of its models once" in found
    (found,) = problems(tmp_path, GOOD.replace("[mini, smol-1.1]", "[]"))
    assert "must name each of its models once" in found


def test_ids_hold_no_separators(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace("  wide:", '  "../w@x":'))
    assert found == ['study.yaml:16 methods.../w@x: a name must be letters, digits, '
                     "'-', '_' and '.', at most 64, but got \"../w@x\"."]  # fmt: skip


def test_declared_task_problems_get_their_line(tmp_path: Path) -> None:
    text = GOOD.replace("task: multinli", "task:\n  family: nli\n  labels: 3")
    (found,) = problems(tmp_path, text)
    assert found.startswith("study.yaml:5 task.labels: must be a list, but got 3")


def test_knobs_outside_of_a_study() -> None:
    knobs = read_knobs(METHODS["lora"], ["r=4", "decode.temperature=0.5", "betas=[0.8, 0.9]"])
    assert knobs == LoraKnobs(r=4, decode=Decode(temperature=0.5), betas=(0.8, 0.9))
    with pytest.raises(BadInput, match=r"--set rr=4: must be a known key.*Did you mean 'r'"):
        read_knobs(METHODS["lora"], ["rr=4"])
