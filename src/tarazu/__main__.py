"""``python -m tarazu``."""

import os
import sys

# `python -m` looks for modules in the working folder first: a torch.py there is somebody else's.
_SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()) and os.getcwd() != _SOURCE:
    del sys.path[0]

from tarazu.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
