"""The disk under it all: a join waits for one fsync, so every time is read beside this one."""

import os
import time
from pathlib import Path

from bench.measure import Measure, percentile


def measure_disk(folder: Path, writes: int = 200) -> list[Measure]:
    """Append 8 KiB and fsync, as a commit does to the write-ahead log."""
    path = folder / "fsync-probe"
    times = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        for _ in range(writes):
            began = time.monotonic()
            os.write(descriptor, b"\0" * 8192)
            os.fdatasync(descriptor)
            times.append(1000 * (time.monotonic() - began))
    finally:
        os.close(descriptor)
        path.unlink()
    return [
        Measure("disk: append and fsync 8 KiB, p50", percentile(times, 0.5), "ms"),
        Measure("disk: append and fsync 8 KiB, p99", percentile(times, 0.99), "ms"),
    ]
