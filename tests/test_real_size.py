"""The benchmark at real size: its weights, its verdicts, and all of it in miniature."""

from __future__ import annotations

import importlib
import json
import math
import mmap
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaForCausalLM,
    RobertaForMaskedLM,
)

from tarazu.errors import BadInput
from tarazu.models.cards import find_card
from tarazu.record.record import Parameters, Phase, VariantResult
from tarazu.study_file import load_study
from tarazu.testing.records import make_record

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
GIB = 2**30


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    names = ("at_size.weights", "at_size.watching", "at_size.result", "real_size")
    found = {name.rpartition(".")[2]: importlib.import_module(name) for name in names}
    yield SimpleNamespace(**found)
    for name in names:
        del sys.modules[name]


@pytest.fixture(scope="module")
def tiny_models(bench: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in bench.weights.LAYOUTS:
        bench.weights.make_model(name, folder / name, tiny=True, note=lambda line: None)
    return folder


def published(name: str) -> Any:
    """Return a model of transformers itself, made of the card alone, on meta tensors."""
    ids = {"llama": "meta-llama/Meta-Llama-3-8B", "roberta": "FacebookAI/roberta-large"}
    card = find_card(ids[name])
    assert card is not None
    model = {"llama": LlamaForCausalLM, "roberta": RobertaForMaskedLM}[name]
    with torch.device("meta"):
        return model(AutoConfig.for_model(**card.config))


@pytest.mark.parametrize(
    ("name", "numbers", "size"),
    # As the Hub shows them for the published files; RoBERTa's has 514 numbers of positions more.
    [("llama", 8_030_261_248, 16_060_522_496), ("roberta", 355_412_057, 1_421_652_340)],
)
def test_the_layout_is_that_of_the_published_model(
    bench: SimpleNamespace, name: str, numbers: int, size: int
) -> None:
    tensors = bench.weights.tensors_of(bench.weights.LAYOUTS[name], tiny=False)
    written = {one.name: one.shape for one in tensors}
    assert len(written) == len(tensors)
    positions = written.pop("roberta.embeddings.position_ids", None)
    assert positions == (None if name == "llama" else (1, 514))
    model = published(name)
    assert written == {key: tuple(value.shape) for key, value in model.named_parameters()}
    # What else transformers would look for is one of these under a second name.
    rest = set(model.state_dict()) - set(written)
    assert rest <= {"lm_head.decoder.weight", "lm_head.decoder.bias"}
    assert sum(one.numbers for one in tensors if one.dtype.is_floating_point) == numbers
    assert bench.weights.size_of(name, tiny=False) == size


def test_llama_has_the_four_files_that_are_published(bench: SimpleNamespace) -> None:
    layout = bench.weights.LAYOUTS["llama"]
    shards = bench.weights.shards_of(bench.weights.tensors_of(layout, tiny=False), layout.shard)
    assert list(shards) == [f"model-0000{n}-of-00004.safetensors" for n in range(1, 5)]
    sizes = [sum(one.bytes for one in part) for part in shards.values()]
    assert [round(size / 1e9, 2) for size in sizes] == [4.98, 5.0, 4.92, 1.17]


def test_transformers_finds_every_weight_and_no_other(
    bench: SimpleNamespace, tiny_models: Path
) -> None:
    for auto, name in ((AutoModelForCausalLM, "llama"), (RobertaForMaskedLM, "roberta")):
        model, told = auto.from_pretrained(
            tiny_models / name, output_loading_info=True, dtype="auto"
        )
        assert not any(told.values()), told
        assert model.dtype == bench.weights.LAYOUTS[name].dtype
        with torch.no_grad():
            out = model(input_ids=torch.tensor([[5, 6, 7, 8]]))
        assert out[0].isfinite().all()


def test_llama_in_miniature_is_sharded_as_the_large_one(tiny_models: Path) -> None:
    folder = tiny_models / "llama"
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    files = sorted(path.name for path in folder.glob("*.safetensors"))
    assert sorted(set(index["weight_map"].values())) == files
    assert len(files) == 4
    held = {}
    for file in files:
        with safe_open(folder / file, "pt") as opened:
            held |= dict.fromkeys(opened.keys(), file)
    assert held == index["weight_map"]


def test_weights_are_small_and_no_two_rows_or_matrices_are_equal(
    bench: SimpleNamespace, tiny_models: Path
) -> None:
    with safe_open(tiny_models / "roberta" / "model.safetensors", "pt") as opened:
        weights = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
    words = weights["roberta.embeddings.word_embeddings.weight"]
    assert words.std().item() == pytest.approx(0.02, rel=0.05)
    assert len(words.unique(dim=0)) == len(words)
    layers = [weights[f"roberta.encoder.layer.{n}.output.dense.weight"] for n in range(24)]
    assert len(torch.stack(layers).flatten(1).unique(dim=0)) == 24
    assert (weights["roberta.encoder.layer.3.output.LayerNorm.weight"] == 1).all()
    assert (weights["lm_head.layer_norm.weight"] == 1).all()
    assert weights["roberta.embeddings.position_ids"].tolist() == [[*range(514)]]


def test_at_real_size_rows_begin_at_different_places_of_the_block(bench: SimpleNamespace) -> None:
    block = bench.weights.BLOCK
    for name in bench.weights.LAYOUTS:
        for tensor in bench.weights.tensors_of(bench.weights.LAYOUTS[name], tiny=False):
            # Then row after row begins somewhere else until the block's length is through.
            assert math.gcd(block, tensor.shape[-1]) == 1
            assert tensor.shape[0] < block


def test_pieces_go_round_the_block(bench: SimpleNamespace) -> None:
    block = memoryview(bytes(range(10)))
    got = b"".join(bench.weights.pieces(block, 7, 25))
    assert got == bytes((7 + n) % 10 for n in range(25))


def test_a_model_is_made_once_and_anew_when_it_is_not_whole(
    bench: SimpleNamespace, tmp_path: Path
) -> None:
    lines: list[str] = []
    folder = tmp_path / "llama"

    def make() -> int:
        lines.clear()
        bench.weights.make_model("llama", folder, tiny=True, note=lines.append)
        return len(lines)

    assert make() == 4
    first = (folder / "model-00001-of-00004.safetensors").read_bytes()
    assert make() == 0
    (folder / "whole.json").unlink()
    assert make() == 4
    assert (folder / "model-00001-of-00004.safetensors").read_bytes() == first
    assert not bench.weights.is_made(folder, "llama", tiny=False)


def test_every_entry_stays_with_its_settings(bench: SimpleNamespace, tmp_path: Path) -> None:
    places = bench.real_size.Places(tmp_path, tmp_path / "models", tmp_path, tiny=True)
    for name in ("llama", "roberta"):
        (places.models / name).mkdir(parents=True)
    worked = load_study(bench.real_size.STUDY)
    made = load_study(bench.real_size.write_study(places))
    assert made.spec.methods == worked.spec.methods
    assert made.spec.training == worked.spec.training.model_copy(update={"epochs": 1})
    assert made.spec.seeds == [0]
    rows = {
        split: [json.loads(line) for line in (tmp_path / "data" / f"{split}.jsonl").open()]
        for split in ("train", "validation", "matched")
    }
    assert len(rows["train"]) == worked.spec.training.batch_size  # one update
    assert len(rows["matched"]) == 8
    every = [row["premise"] for part in rows.values() for row in part]
    assert len(set(every)) == len(every)
    for part in rows.values():
        assert {row["label"] for row in part} == {"entailment", "neutral", "contradiction"}


def done(method: str = "full", **changes: Any) -> Any:
    """Return the record of a run that is as it must be."""
    merges = method == "qlora-text"
    forms = ["adapter", "merged-dequantised", "merged-16bit"] if merges else ["main"]
    peaks = {name: Phase(seconds=1.0, rss=GIB) for name in ("load", "train", "evaluate")}
    peaks["validate"] = Phase(seconds=0.1, rss=GIB)
    if merges:
        peaks["merge"] = Phase(seconds=1.0, rss=GIB)
        for form in forms[1:]:
            peaks |= {f"{name} {form}": Phase(rss=GIB) for name in ("load", "evaluate")}
    record = make_record(entry=method, seed=0)
    return record.model_copy(
        update={
            "status": "done",
            "method": method,
            "model": "llama",
            "parameters": Parameters(total=100, trained=7, head=3, deployed=10, deployed_bytes=40),
            "variants": [
                VariantResult(variant=form, split="matched", n=8, metrics={}) for form in forms
            ],
            "measured": peaks,
            **changes,
        }
    )


def found(bench: SimpleNamespace, record: Any, updates: int = 1) -> list[str]:
    row = bench.result.entry_row(record, {"updates": updates, "phases": {}})
    return bench.result.problems([row], [record.entry])  # type: ignore[no-any-return]


@pytest.mark.parametrize("method", ["full", "qlora-text"])
def test_what_is_as_it_must_be_passes(bench: SimpleNamespace, method: str) -> None:
    assert found(bench, done(method)) == []


def test_a_phase_above_the_limit_is_a_problem(bench: SimpleNamespace) -> None:
    limit = bench.result.LIMIT
    assert limit == 20 * GIB
    at, above = done(), done()
    at.measured["load"].rss = limit
    above.measured["load"].rss = limit + 2**27
    assert found(bench, at) == []
    (told,) = found(bench, above)
    assert told == "full: phase 'load' had 20.12 GiB of resident memory"
    row = bench.result.entry_row(above, {"updates": 1})
    stamp = {"machine": "m", "date": "d", "commit": "c", "versions": {}, "models": {}}
    whole = bench.result.whole_row([row], [told], stamp)
    assert (whole["within_limit"], whole["complete"]) == (False, False)
    assert "**above**" in bench.result.table(whole)


def test_a_failed_run_is_judged_by_what_was_sampled(bench: SimpleNamespace) -> None:
    record = done(status="failed", error="no memory", measured={"lost": Phase(seconds=9)})
    peaks = {"resident": 21 * GIB, "anonymous": 15 * GIB, "tree_resident": 22 * GIB}
    row = bench.result.entry_row(record, {"phases": {"start": peaks, "load": peaks}})
    told = bench.result.problems([row], ["full"])
    assert told == [
        "full: failed: no memory",
        "full: phase 'load' had 21.00 GiB of resident memory",
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "failed", "error": "why"}, "full: failed: why"),
        ({"variants": []}, "full: variant 'main' must have answered 8 items, not 0"),
    ],
)
def test_what_is_missing_is_a_problem(
    bench: SimpleNamespace, change: dict[str, Any], told: str
) -> None:
    assert found(bench, done(**change)) == [told]


def test_a_missing_form_update_phase_or_entry_is_a_problem(bench: SimpleNamespace) -> None:
    record = done("qlora-text")
    record.variants.pop()
    assert found(bench, record) == [
        "qlora-text: variant 'merged-16bit' must have answered 8 items, not 0"
    ]
    assert found(bench, done(), updates=3) == ["full: it must have made 1 update, not 3"]
    record = done()
    record.measured["train"].rss = 0
    assert found(bench, record) == ["full: phase 'train' was not measured"]
    assert bench.result.problems([], ["lora"]) == ["lora: it was not run"]


def test_samples_of_merged_forms_go_to_the_form_that_was_loaded(bench: SimpleNamespace) -> None:
    heard: list[tuple[str, Any]] = []
    watch = bench.watching.Watch(lambda line: None, lambda *seen: heard.append(seen))
    told = ("load", "train", "evaluate", "merge", "load", "evaluate", "load", "evaluate")
    for place, phase in enumerate(("start", *told)):
        words = {"entry": "qlora-text", "phase": phase, "done": int(phase == "train")}
        watch.hear(bench.watching.MARK + json.dumps(words))
        memory = bench.watching.Memory(place * GIB, place, of_run=True)
        watch._watched.phases[watch._phase].take([memory])
    end = {"entry": "qlora-text", "finished": "done", "key": "k"}
    watch.hear(bench.watching.MARK + json.dumps(end))
    ((entry, seen),) = heard
    row = bench.result.entry_row(done("qlora-text"), seen.to_json())
    assert (entry, row["updates"], seen.key) == ("qlora-text", 1, "k")
    tree = {phase["phase"]: phase["tree_bytes"] for phase in row["phases"]}
    assert tree["load"] == GIB
    assert tree["merge"] == 4 * GIB
    assert tree["load merged-dequantised"] == 5 * GIB
    assert tree["evaluate merged-16bit"] == 8 * GIB
    assert "start" not in tree


def test_runs_that_were_done_before_are_not_taken_for_new_ones(bench: SimpleNamespace) -> None:
    heard: list[object] = []
    watch = bench.watching.Watch(lambda line: None, lambda *seen: heard.append(seen))
    watch.hear(bench.watching.MARK + json.dumps({"entry": "a", "finished": "done", "key": "k"}))
    assert heard == []


def test_mapped_pages_are_told_from_anonymous_ones(bench: SimpleNamespace, tmp_path: Path) -> None:
    here = psutil.Process()
    before = bench.watching.memory_below(here)[0]
    # Not by the allocator: what it has free already would be no growth.
    held = mmap.mmap(-1, 2**27, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    for place in range(0, 2**27, mmap.PAGESIZE):
        held[place] = 1
    file = tmp_path / "mapped"
    file.write_bytes(bytes(2**27))
    mapped = torch.from_file(str(file), size=2**25)
    assert mapped.sum().item() == 0
    after = bench.watching.memory_below(here)[0]
    assert not after.of_run  # that of the command
    assert after.anonymous - before.anonymous == pytest.approx(2**27, rel=0.2)
    assert after.resident - before.resident == pytest.approx(2**28, rel=0.2)
    assert held[0] == 1


def test_a_disk_that_is_too_small_is_refused_with_numbers(
    bench: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=int(20e9)))
    places = bench.real_size.Places(tmp_path, tmp_path / "models", tmp_path, tiny=False)
    with pytest.raises(BadInput, match=r"needs 27\.5 GB \(17\.5 of it for models\).*20\.0 GB free"):
        bench.real_size.check_space(places, ["full"])
    with pytest.raises(BadInput, match=r"needs 59\.6 GB"):  # two merged forms more
        bench.real_size.check_space(places, ["full", "qlora-text"])
    with pytest.raises(BadInput, match=r"must name entries of nli\.yaml"):
        bench.real_size.main(["--only", "nonsense", "--out", str(tmp_path)])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_script_in_miniature(
    bench: SimpleNamespace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main: Any = bench.real_size.main
    words = ["--tiny", "--out", str(tmp_path)]
    assert main([*words, "--only", "lora"]) == 0  # of the others none is asked for
    (part,) = json.loads((tmp_path / "real_size.json").read_text())
    assert [row["entry"] for row in part["entries"]] == ["lora"]
    assert not part["complete"]
    assert main(words) == 0
    (whole,) = json.loads((tmp_path / "real_size.json").read_text())
    assert whole["complete"]
    assert whole["within_limit"]
    entries = {row["entry"]: row for row in whole["entries"]}
    assert list(entries) == list(bench.real_size.read_study()["methods"])
    assert entries["lora"] == part["entries"][0]  # not run again
    forms = {"adapter/matched": 8, "merged-dequantised/matched": 8, "merged-16bit/matched": 8}
    assert entries["qlora-text"]["variants"] == forms
    assert entries["qlora-head"]["updates"] == 1
    train = next(p for p in entries["qlora-head"]["phases"] if p["phase"] == "train")
    assert 0 < train["anonymous_bytes"] <= train["tree_anonymous_bytes"] <= train["tree_bytes"]
    assert "| `qlora-text` |" in (tmp_path / "real_size.md").read_text()
    log = (tmp_path / "real-size.log").read_text()
    assert "lora · done already" in log
    assert "zero-shot-generate · evaluate" in log
    # A limit that is too low is found: the verdict is not always the same.
    rows = bench.real_size.collect(bench.real_size.Places(tmp_path, tmp_path, tmp_path, tiny=True))
    peak = max(phase["peak_bytes"] or 0 for row in rows for phase in row["phases"])
    assert peak == whole["peak_bytes"]
    capsys.readouterr()
