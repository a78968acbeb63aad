"""The process in which chat templates run: a template comes with a model and is a program.

Started by `tarazu.readings.chat` as a script; JSON lines in, JSON lines out. The sandbox is that of
transformers (no attributes of Python's own, nothing can be changed); what a sandbox cannot limit,
time and memory, is limited by running here.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

MEMORY = 1 << 29  # bytes above what the imports take
# What a template that asks for the day is told: else a prompt would be another one tomorrow, and
# a study that runs past midnight would compare two. Llama 3's templates fall back on this day.
DAY = datetime(2024, 7, 26, tzinfo=UTC)


def main() -> None:
    """Answer requests until the other side is gone."""
    _limit_memory()
    # Nobody handles this signal: the system ends the process, whatever it is busy with, and even
    # when the study itself was killed.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    answers, sys.stdout = sys.stdout, sys.stderr
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        signal.setitimer(signal.ITIMER_PROF, request["seconds"])
        answer = json.dumps(_answer(request))
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(answer, file=answers, flush=True)


def _answer(request: dict[str, Any]) -> dict[str, str]:
    from transformers.utils.chat_template_utils import (
        _compile_jinja_template,
        render_jinja_template,
    )

    try:
        # The template that is rendered below is this very one, out of a cache.
        compiled = _compile_jinja_template(request["template"])
        compiled.environment.globals["strftime_now"] = DAY.strftime
        texts, _ = render_jinja_template(
            conversations=[request["turns"]],
            chat_template=request["template"],
            add_generation_prompt=True,
            **request["tokens"],
        )
    except MemoryError:
        return {"limit": f"more than {MEMORY >> 20} MiB of memory"}
    except Exception as error:  # a template raises what it likes
        return {"error": f"{type(error).__name__}: {error}"[:2000]}
    if len(texts[0]) > request["longest"]:
        return {"limit": f"a text of {len(texts[0])} characters"}
    return {"text": texts[0]}


def _limit_memory() -> None:
    import transformers.utils.chat_template_utils  # noqa: F401  # before anything is counted

    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except FileNotFoundError:  # no Linux: the time is limited all the same
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    main()
