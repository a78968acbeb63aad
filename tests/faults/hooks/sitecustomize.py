"""Points at which a process of the harness dies: Python's own audit events, and fsync.

Every Python that the harness starts imports this, the fork server included, whose children have it
by that. `TARAZU_FAULT` holds the plan as JSON; without it nothing happens.
"""

import json
import os
import signal
import sys

from fault_places import PLACES, REST

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_APPEND


def _place(path):
    for part, name in PLACES:
        if part in path:
            return name
    return REST


def _role():
    process = sys.modules.get("multiprocessing.process")
    name = process.current_process().name if process is not None else "MainProcess"
    return "run" if name.startswith("Fork") else "study"  # of the server, or of the study


def die(whom):
    """Kill the process that leads the study, or all of them at one instant."""
    if whom == "study":
        os.kill(int(os.environ["TARAZU_FAULT_LEADER"]), signal.SIGKILL)
        if os.getpid() == int(os.environ["TARAZU_FAULT_LEADER"]):
            signal.pause()
    else:
        os.killpg(os.getpgrp(), signal.SIGKILL)
        signal.pause()


def _install(plan):
    roots = tuple(plan["roots"])
    seen = {}
    real_fsync = os.fsync
    log = os.open(plan["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.environ.setdefault("TARAZU_FAULT_LEADER", str(os.getpid()))

    def point(event, path):
        if not path.startswith(roots):
            return
        role, place = _role(), _place(path)
        key = (os.getpid(), place)
        seen[key] = seen.get(key, 0) + 1
        if plan.get("dry"):
            os.write(log, f"{role}\t{place}\t{seen[key]}\n".encode())
        elif (role, place, seen[key]) == (plan.get("role"), plan.get("place"), plan.get("at")):
            os.write(log, f"died\t{event}\t{path}\n".encode())
            die(plan["whom"])

    def hear(event, arguments):
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, (str, bytes)) and (flags or 0) & _WRITES:
                point(event, os.path.abspath(os.fsdecode(path)))
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir"):
            path = arguments[0]
            if isinstance(path, (str, bytes, os.PathLike)):
                point(event, os.path.abspath(os.fsdecode(path)))

    def fsync(descriptor):
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        found = os.fstat(number)
        point("fsync", os.readlink(f"/proc/self/fd/{number}"))
        real_fsync(descriptor)
        if not plan.get("dry"):
            os.write(log, f"synced\t{found.st_ino}\t{found.st_mtime_ns}\n".encode())

    os.fsync = fsync
    sys.addaudithook(hear)


def install_from_environment():
    """Die as the plan says, if there is one."""
    plan = json.loads(os.environ.get("TARAZU_FAULT", "null"))
    if plan is not None:
        _install(plan)


install_from_environment()
