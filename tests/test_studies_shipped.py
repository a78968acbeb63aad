"""Every study file that ships loads, and its methods can use its models."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tarazu.asking import find_template
from tarazu.methods._asking import AnswerKnobs
from tarazu.models.cards import find_card
from tarazu.models.config import info_from_config
from tarazu.models.hub import HubSource
from tarazu.models.info import ModelInfo
from tarazu.models.load import empty_learner
from tarazu.models.source import describe, parse_source
from tarazu.models.wheel import WheelSource
from tarazu.study_file import Study, load_study

FOLDER = Path(__file__).parent.parent / "studies"
FILES = sorted(FOLDER.rglob("*.yaml"))


def test_every_study_on_disk_is_checked() -> None:
    on_disk = [path for path in FOLDER.rglob("*") if path.suffix in (".yaml", ".yml")]
    assert len(FILES) == len(on_disk) >= 1
    assert "demo" in [path.stem for path in FILES]


def built_in(study: Study) -> dict[str, ModelInfo]:
    """Describe the models that have a card; nothing is fetched."""
    found = {}
    for name, spec in study.spec.models.items():
        source = parse_source(spec, f"models.{name}", study.base)
        if isinstance(source, (HubSource, WheelSource)):
            info = describe(spec, name, base=study.base, note=print)
            assert info.card is not None, f"{name}: no card is built in"
            found[name] = info
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_study_loads_and_its_methods_support_its_models(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("no network is needed"))
    study = load_study(path)
    assert study.spec.study == path.stem
    infos = built_in(study)
    used = {entry.model for entry in study.entries if entry.model is not None}
    assert used == set(study.spec.models), "a model that no entry uses"
    assert infos.keys() == used
    for entry in study.entries:
        info = infos[entry.model] if entry.model is not None else None
        assert entry.method.supports(info, study.task, entry.knobs) is None, entry.id
        if isinstance(entry.knobs, AnswerKnobs):
            find_template(study.task, entry.knobs.template)
        longest = entry.training.get("max_length")
        assert info is None or longest is None or longest <= info.context_length, entry.id


CARD = 15 * 2**30
"""Bytes of memory of a T4 that a program can have."""


@pytest.mark.parametrize("name", ["nli-t4", "squad-t4"])
def test_studies_for_a_free_card_name_their_size_and_fit_it(name: str) -> None:
    path = FOLDER / f"{name}.yaml"
    text = path.read_text("utf-8")
    stated = {word for word in ("Time", "Card", "Host", "Disk") if f"# {word}: " in text}
    assert stated == {"Time", "Card", "Host", "Disk"}
    assert "ESTIMATE" in text
    spec = yaml.safe_load(text)
    assert spec["compute"] == {"dtype": "auto"}  # fp16 on a card without bf16
    assert all(isinstance(spec["data"]["sample"][split], int) for split in ("train", "test"))
    for source in (model["source"] for model in spec["models"].values()):
        card = find_card(source)
        assert card is not None
        info = info_from_config(source, card.config, card=card)
        parameters = sum(p.numel() for p in empty_learner(info, "text", 0).parameters())
        full = any(
            e.get("model")
            and e.get("method", key) == "full"
            and spec["models"][e["model"]]["source"] == source
            for key, e in spec["methods"].items()
        )
        # Trained whole: weights, gradients, two moments and the best epoch's weights in fp32.
        assert parameters * (20 if full else 2) < 0.6 * CARD, source
