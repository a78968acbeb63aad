"""Keeps libraries from chattering on a user's terminal; their warnings about real faults remain.

Imported before the libraries that it quietens.
"""

from __future__ import annotations

import logging
import os
import warnings

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # forked processes must not share pools
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # optional kernels that are not installed
logging.getLogger("accelerate").setLevel(logging.ERROR)
# peft warns that adapters on meta tensors stay there, which is what counting wants.
warnings.filterwarnings("ignore", message=".*meta.*", module="peft.*")
warnings.filterwarnings("ignore", message=".*base_model_name_or_path.*", module="peft.*")
warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
warnings.filterwarnings("ignore", message=".*fan_in_fan_out.*", module="peft.*")


def quieten_transformers() -> None:
    """Turn off progress bars and load reports; a left-out pooler is not worth a line.

    This turns off the Hub client's bars, too: downloads turn them on, see `download_bars`.
    """
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()


quieten_transformers()
