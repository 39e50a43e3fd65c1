"""`doordarshan down`: stop the `up` of this checkout."""

import os
import signal
import time

from services.cli.stack.errors import CannotRun
from services.cli.stack.process import Identity
from services.cli.stack.rundir import RunDirectory

_STOP_SECONDS = 60.0


def down() -> None:
    """Stop the running `up` and wait until it is gone; what a crashed one left behind is ended too."""
    run = RunDirectory.of_up()
    holder = run.holder()
    if holder is None:
        _end_leftovers(run)
        return
    # The kernel says that somebody holds the lock and the file who: this pid is no stranger's.
    os.kill(holder, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_SECONDS
    while run.holder() is not None:
        if time.monotonic() > deadline:
            raise CannotRun(f"process {holder} did not stop within {_STOP_SECONDS:.0f} s")
        time.sleep(0.1)
    print("stopped")


def _end_leftovers(run: RunDirectory) -> None:
    left = [found for found in run.state()[0] if Identity(found["pid"], found["started"]).process()]
    if not left:
        print("nothing is running")
        return
    run.hold()
    run.release()
    print(f"ended what a crash left: {', '.join(found['name'] for found in left)}")
