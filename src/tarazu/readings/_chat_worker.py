"""The process in which chat templates run: a template comes with a model and is a program.

Started by `tarazu.readings.chat` as a script; JSON lines in, JSON lines out. The sandbox is that of
transformers (no attributes of Python's own, nothing can be changed); what a sandbox cannot limit,
time and memory, is limited by running here.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

MEMORY = 1 << 29  # bytes above what the imports take


def main() -> None:
    """Answer requests until the other side is gone."""
    from transformers.utils.chat_template_utils import render_jinja_template

    _limit_memory()
    answers, sys.stdout = sys.stdout, sys.stderr
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            texts, _ = render_jinja_template(
                conversations=[request["turns"]],
                chat_template=request["template"],
                add_generation_prompt=True,
                **request["tokens"],
            )
            answer = {"text": texts[0]}
            if len(answer["text"]) > request["longest"]:
                answer = {"limit": f"a text of {len(answer['text'])} characters"}
        except MemoryError:
            answer = {"limit": f"more than {MEMORY >> 20} MiB of memory"}
        except Exception as error:  # a template raises what it likes
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), file=answers, flush=True)


def _limit_memory() -> None:
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except FileNotFoundError:  # no Linux: the time is limited all the same
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    main()
