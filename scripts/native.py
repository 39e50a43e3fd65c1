#!/usr/bin/env python3
"""Test, check or fuzz what is native with cargo, the plane and the benchmark's load; where there is no cargo one line says so.

    scripts/native.py test|check|fuzz [SECONDS]

test: every test of both crates, the random ones with the same numbers in each run. check: format and lint, warnings denied.
fuzz: the plane's random tests with new numbers, so long each. One profile and one target directory, those of the Python
package, so that what both depend on is built once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from install import NATIVE, why_no_native_plane
from steps import PROJECT

LOAD = PROJECT / "bench" / "load"
TEST = ["cargo", "test", "--quiet", "--release", "--locked"]
ALONE = "--no-default-features"
"""Without Python's part, which links only into Python."""
CLIPPY = ["cargo", "clippy", "--quiet", "--release", "--locked", "--all-targets"]
SAME = {"BOLERO_RANDOM_SEED": "1", "BOLERO_RANDOM_ITERATIONS": "20000"}
FUZZ_SECONDS, A_SECOND = 60, 100_000
"""How long by default; and about how many inputs a second the targets take that count them."""


def main() -> None:
    """Run what was asked for; exit as the first cargo that failed."""
    what, seconds = (sys.argv[1:2] or [""])[0], (sys.argv[2:3] or [str(FUZZ_SECONDS)])[0]
    if what not in ("test", "check", "fuzz") or not seconds.isdecimal():
        sys.exit("usage: scripts/native.py test|check|fuzz [SECONDS]")
    why = why_no_native_plane()
    if why:
        print(f"native plane: not {what}ed, {why}" if what != "fuzz" else f"native plane: {why}", flush=True)
        return
    if what == "check":
        for crate in (NATIVE, LOAD):
            run(crate, ["cargo", "fmt", "--check"])
            run(crate, [*CLIPPY, "--", "-D", "warnings"])
    elif what == "test":
        run(NATIVE, [*TEST, ALONE], SAME)
        run(LOAD, TEST)
    else:
        time = {"BOLERO_RANDOM_TEST_TIME_MS": f"{seconds}000", "FUZZ_ITERATIONS": str(int(seconds) * A_SECOND)}
        run(NATIVE, [*TEST, ALONE, "--test", "fuzz_*"], time)


def run(crate: Path, command: list[str], settings: dict[str, str] | None = None) -> None:
    """Run cargo in a crate."""
    environment = {"CARGO_TARGET_DIR": str(NATIVE / "target"), **os.environ, **(settings or {})}
    status = subprocess.run(command, cwd=crate, env=environment, check=False).returncode
    if status:
        sys.exit(status)


if __name__ == "__main__":
    main()
