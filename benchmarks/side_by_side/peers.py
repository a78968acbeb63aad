"""Who else does the works: scripts in virtual environments of their own, each at its best settings.

Where a peer's documentation shows several settings, or its best one depends on the processor, all
are tried once on the work and the fastest is the one that tarazu is held against.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from side_by_side.works import ROOT

SCRIPTS = ROOT / "benchmarks" / "peers"
TRANSFORMERS = "https://huggingface.co/docs/transformers/v5.12.0"
# One for all: pip takes the platform's own build of torch, and the others what suits it.
INSTALL_MINUTES = 30


@dataclass(frozen=True)
class Settings:
    """How a peer is told to do a work.

    Attributes:
        options: For its script.
        source: Documentation that shows or recommends them.
    """

    options: Mapping[str, Any]
    source: str


@dataclass(frozen=True)
class Peer:
    """Somebody who does a work.

    Attributes:
        name: As in the results.
        title: For people.
        folder: Its script and requirements below ``benchmarks/peers``; empty for tarazu itself.
        settings: Settings to choose from, by name.
        quantised: The same for works on a 4-bit base, where they differ.
    """

    name: str
    title: str
    folder: str
    settings: Mapping[str, Settings]
    quantised: Mapping[str, Settings] | None = None

    def settings_for(self, methods: set[str]) -> Mapping[str, Settings]:
        """Return the settings to choose from for a work with these methods."""
        four_bit = any(method.startswith("qlora") for method in methods)
        if four_bit and self.quantised is not None:
            return self.quantised
        frozen_base = bool(methods & {"lora", "last-k"})
        return {
            name: one
            for name, one in self.settings.items()
            if frozen_base or not one.options.get("frozen_bf16")
        }

    @property
    def script(self) -> Path:
        """The program."""
        return SCRIPTS / self.folder / "run.py"

    @property
    def requirements(self) -> Path:
        """What is installed for it."""
        return SCRIPTS / self.folder / "requirements.txt"


_CPU = f"{TRANSFORMERS}/perf_train_cpu"
_GROUPED = f"{TRANSFORMERS}/main_classes/trainer (train_sampling_strategy)"
_BNB = f"{TRANSFORMERS}/quantization/bitsandbytes; https://huggingface.co/docs/peft/developer_guides/quantization"
_LF = "https://llamafactory.readthedocs.io/en/latest/getting_started/sft.html"

PEERS = {
    peer.name: peer
    for peer in (
        Peer(
            "trainer-tuned",
            "transformers Trainer + peft, best documented settings",
            "trainer",
            {
                "bf16, grouped": Settings({"bf16": True, "grouped": True}, f"{_CPU}; {_GROUPED}"),
                "bf16 with the frozen base in bf16, grouped": Settings(
                    {"bf16": True, "grouped": True, "frozen_bf16": True},
                    f"{_CPU}; https://huggingface.co/docs/peft/developer_guides/troubleshooting "
                    "(dtype of base and adapter)",
                ),
                "fp32, grouped": Settings({"bf16": False, "grouped": True}, _GROUPED),
            },
            {
                "bf16, grouped": Settings({"bf16": True, "grouped": True}, f"{_CPU}; {_BNB}"),
                "fp32, grouped": Settings({"bf16": False, "grouped": True}, _BNB),
            },
        ),
        Peer(
            "trainer-notebook",
            "transformers Trainer + peft as in the usual notebook: fp32, padded to the longest",
            "trainer",
            {
                "fp32, padded": Settings(
                    {"bf16": False, "pad_to_longest": True},
                    "https://huggingface.co/docs/transformers/v4.50.0/training "
                    '(padding="max_length")',
                )
            },
        ),
        Peer(
            "trl",
            "TRL SFTTrainer, loss on the completion only",
            "trl",
            {
                "defaults": Settings(
                    {"bf16": True, "gradient_checkpointing": True},
                    "https://huggingface.co/docs/trl/sft_trainer "
                    "(bf16 and gradient_checkpointing are its defaults)",
                ),
                "bf16, no checkpointing, grouped": Settings(
                    {"bf16": True, "grouped": True},
                    f"https://huggingface.co/docs/trl/sft_trainer; {_GROUPED}",
                ),
                "fp32, no checkpointing, grouped": Settings(
                    {"bf16": False, "grouped": True},
                    f"https://huggingface.co/docs/trl/sft_trainer; {_GROUPED}",
                ),
            },
        ),
        Peer(
            "llamafactory",
            "LLaMA-Factory, stage sft",
            "llamafactory",
            {
                "bf16, checkpointing": Settings(
                    {"bf16": True, "gradient_checkpointing": True},
                    f"{_LF} (its example, with checkpointing by default)",
                ),
                "bf16, no checkpointing, grouped": Settings(
                    {"bf16": True, "grouped": True}, f"{_LF}; {_GROUPED}"
                ),
                "fp32, no checkpointing, grouped": Settings(
                    {"bf16": False, "grouped": True}, f"{_LF}; {_GROUPED}"
                ),
            },
        ),
        Peer(
            "lm-eval",
            "lm-evaluation-harness, HFLM",
            "lm_eval",
            {
                f"{dtype}, batch {batch}": Settings(
                    {"dtype": dtype, "batch_size": batch},
                    "https://github.com/EleutherAI/lm-evaluation-harness/blob/main/docs/interface.md",
                )
                for dtype, batch in (("bfloat16", 16), ("float32", 16), ("bfloat16", 64))
            },
        ),
        Peer(
            "own-unoptimised",
            "tarazu with its optimisations switched off",
            "",
            {"switched off": Settings({}, "benchmarks/side_by_side/ours.py")},
        ),
    )
}


class CannotInstall(Exception):
    """A peer's environment could not be made; the message says why."""


def cache_folder() -> Path:
    """Return where environments are kept: ``TARAZU_BENCH_CACHE``, or the user's cache."""
    return Path(os.environ.get("TARAZU_BENCH_CACHE") or user_cache_path("tarazu-bench"))


def python_of(peer: Peer) -> Path:
    """Return the Python of a peer's environment, which is made when it is missing.

    Raises:
        CannotInstall: pip failed.
    """
    text = peer.requirements.read_bytes()
    folder = cache_folder() / f"{peer.folder}-{hashlib.sha256(text).hexdigest()[:10]}"
    python = folder / "bin" / "python"
    if (folder / "installed").exists():
        return python
    shutil.rmtree(folder, ignore_errors=True)
    print(f"installing {peer.requirements.relative_to(ROOT)} into {folder}", flush=True)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(peer.requirements)],
    ):
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=60 * INSTALL_MINUTES
        )
        if done.returncode:
            raise CannotInstall(f"{peer.name} cannot be installed: {done.stderr.strip()[-300:]}")
    (folder / "installed").touch()
    return python
