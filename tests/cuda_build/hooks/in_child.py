"""What the tests let a run's process do, beside whole runs. Run as a program: see `main`."""

import json
import sys


def state(*, tell=None):
    """Return whether this process may use CUDA, and why it cannot."""
    import torch

    forked = torch.cuda._is_in_bad_fork()  # first: the next line would itself touch CUDA
    try:
        torch.cuda.init()
    except RuntimeError as error:
        return {"bad_fork": forked, "error": str(error)}
    return {"bad_fork": forked, "error": ""}


def after_templates(*, tell=None):
    """Start the process of chat templates, as runs do, and say what is left of CUDA."""
    from tarazu.readings.chat import start_worker

    start_worker()
    return state()


def measured(*, tell=None):
    """Measure a phase."""
    from tarazu.training.meter import Meters

    meters = Meters()
    with meters.phase("load"):
        pass
    return {"resident": meters.phases["load"].rss, **state()}


def no_memory(*, tell=None):
    """Fail as a card whose memory has run out."""
    import torch

    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")


def main(names):
    """Call functions, each in a process of its own as runs are, and print what came of them."""
    import in_child  # by its name, which the processes can import

    from tarazu.processes import RunFailed, in_own_process

    found = {}
    for name in names:
        try:
            found[name] = in_own_process(getattr(in_child, name), tell=print)
        except RunFailed as error:
            found[name] = {"failed": type(error).__name__, "reason": error.reason}
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
