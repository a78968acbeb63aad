"""What runs on the emulated device is collected in processes of its own only."""

from __future__ import annotations

import os

collect_ignore = [] if "EMULATED_DEVICE_LIBRARY" in os.environ else ["inside"]
