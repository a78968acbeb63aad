"""What the fork server imports once, so that no run's process pays for it.

A process that is forked after CUDA was asked for its devices cannot use CUDA any more ("Cannot
re-initialize CUDA in forked subprocess"). So nothing is imported here that asks: not bitsandbytes,
nor peft, which imports it. A run that needs them imports them in its own process; nine tenths of
that time are parts of PyTorch that need no card, which are imported here.
"""

from __future__ import annotations

import importlib
from contextlib import suppress

import tarazu.models._quiet

# isort: split
import transformers.modeling_utils
import transformers.models.auto.modeling_auto  # noqa: F401

import tarazu.work  # noqa: F401

# Private to PyTorch: where a version has none, bitsandbytes imports what it needs by itself.
for _name in ("torch._dynamo", "torch._inductor.lowering"):
    with suppress(ImportError):
        importlib.import_module(_name)
