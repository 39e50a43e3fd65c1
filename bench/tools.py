"""The native tools of the plane's benchmark: the load generator, the bare loop, and the bare loop in C where OpenSSL's headers are."""

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CRATE = Path(__file__).parent / "load"


@dataclass(frozen=True)
class Tools:
    """Where they are; `floor_in_c` is None where it cannot be built."""

    load: Path
    floor: Path
    floor_in_c: Path | None


def build() -> Tools:
    """Build what is not built or older than its source. Raises RuntimeError without cargo."""
    cargo = shutil.which("cargo")
    if cargo is None:
        raise RuntimeError("the plane's benchmark needs cargo (rustup.rs): its load generator is native")
    target = Path(os.environ.get("CARGO_TARGET_DIR", CRATE.parents[1] / "sfu" / "native" / "target"))
    manifest = str(CRATE / "Cargo.toml")
    subprocess.run(
        [cargo, "build", "--release", "--locked", "--quiet", "--manifest-path", manifest, "--target-dir", str(target)],
        check=True,
    )
    release = target / "release"
    return Tools(release / "load", release / "floor", _floor_in_c(release / "floor_c"))


def _floor_in_c(out: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    command = [compiler, "-O2", "-o", str(out), str(CRATE / "floor.c"), "-lcrypto"]
    return out if subprocess.run(command, capture_output=True, check=False).returncode == 0 else None


def prefer(pid: int) -> None:
    """Let a process that leads a session run before what else the machine does, where we may say so.

    Linux shares the cores out among sessions first (sched(7), autogroup): niceness counts only within one, so a compiler in another
    terminal, however nice, takes as much of a core as the plane, and its packets wait for tens of milliseconds.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text("-15")
