"""What pip-audit found, in one line; exit 1 when a pinned package has a known weakness.

    python tools/audit.py out/audit.json

pip-audit counts a package of which it could learn nothing as skipped, and is content. Here that is
said: an index that serves no such data must not look like a clean bill.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def verdict(found: dict[str, Any]) -> tuple[str, bool]:
    """Return what was found in words, and whether nothing speaks against the packages.

    Args:
        found: As ``pip-audit --format json`` writes it.
    """
    packages = found["dependencies"]
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    weak = [
        f"{one['name']} {one['version']}: {', '.join(known['id'] for known in one['vulns'])}"
        for one in packages
        if one.get("vulns")
    ]
    looked = len(packages) - len(skipped)
    said = [f"audit: {looked} of {len(packages)} packages looked up, {len(weak)} with weaknesses"]
    if skipped:
        reason = next(one["skip_reason"] for one in packages if "skip_reason" in one)
        said.append(f"NOT looked up: {len(skipped)} packages, such as {skipped[0]} ({reason})")
    return "\n".join([*said, *weak]), not weak


def main() -> None:
    """Read, print, and exit with the verdict."""
    text, clean = verdict(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(text)
    sys.exit(not clean)


if __name__ == "__main__":
    main()
