#!/usr/bin/env python3
"""Install what is missing on this machine, before anything of ours can run: standard library only, Python 3.9 or newer.

    scripts/install.py up|test|check

up: uv, PostgreSQL, RabbitMQ, Redis, the locked Python packages, the native packet plane, the built web page. test: also Chromium and
every npm package. check: no services, but the compiler of the page. The native plane is built where cargo is; elsewhere one line says
so and the reference plane runs: no compiler is ever fetched. What is there already is left alone; unchanged inputs (by their hash)
are not installed or built again. Each failure is one line that says what to do, and exit status 1.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from steps import PROJECT, CannotInstall, remember, run, step, unchanged

if TYPE_CHECKING:
    from collections.abc import Iterator

TOOLS = PROJECT / ".run" / "tools"
WEB = PROJECT / "web"
NATIVE = PROJECT / "sfu" / "native"
POLICY = Path("/usr/sbin/policy-rc.d")
NOT_SOURCE = {"node_modules", "dist", "coverage", ".vite"}
SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"

SERVICES = {"rabbitmq-server": "rabbitmq-server", "redis-server": "redis-server", "setpriv": "util-linux"}
BROWSER = {"chromium": "chromium"}
"""Program → Debian package."""
OLDEST_NODE, NODE = 20, "https://nodejs.org/en/download"
OLDEST_CARGO, CARGO = (1, 85), "https://rustup.rs"


def main() -> None:
    """Install for one purpose."""
    purpose = sys.argv[1] if len(sys.argv) == 2 else ""
    if purpose not in ("up", "test", "check"):
        sys.exit("usage: scripts/install.py up|test|check")
    try:
        if purpose != "check":
            install_packages(missing_packages(browser=purpose == "test"))
        install_python_packages(find_uv() or install_uv())
        install_web_packages()
        if purpose != "check":
            build_web()
    except CannotInstall as reason:
        sys.exit(f"install: {reason}")
    except KeyboardInterrupt:
        sys.exit("install: interrupted")


def missing_packages(browser: bool) -> list[str]:
    """Return the Debian packages whose programs are not here. Programs are looked for, never run: one of them boots a broker."""
    wanted = {**SERVICES, **(BROWSER if browser else {})}
    packages = [package for name, package in wanted.items() if shutil.which(name, path=SYSTEM_PATH) is None]
    if not list(Path("/usr/lib/postgresql").glob("*/bin/initdb")) and shutil.which("initdb") is None:
        packages.append("postgresql")
    return packages


def install_packages(packages: list[str]) -> None:
    """Install Debian packages without letting any of them start a system service."""
    if not packages:
        return
    names = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise CannotInstall(f"missing: {names}. This is no Debian: install them yourself, then try again")
    sudo = [] if os.getuid() == 0 else ["sudo", "-n"]
    if sudo and subprocess.run([*sudo, "true"], check=False, capture_output=True).returncode != 0:
        raise CannotInstall(f"missing: {names}. As root: apt-get install -y --no-install-recommends {names}")
    apt = [*sudo, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "-y", "--no-install-recommends", *packages]
    with step(f"Debian packages: {names}"), no_service_starts(sudo):
        if run(install, "apt", check=False) is not None:
            run([*apt, "update"], "apt-get update failed (no network?)")
            run(install, f"apt could not install {names} (no network?)")


@contextmanager
def no_service_starts(sudo: list[str]) -> Iterator[None]:
    """Forbid package scripts to start services, unless this machine forbids it already."""
    ours = not POLICY.exists()
    if ours:
        subprocess.run(
            [*sudo, "tee", str(POLICY)], input=b"#!/bin/sh\nexit 101\n", stdout=subprocess.DEVNULL, check=False
        )
        subprocess.run([*sudo, "chmod", "755", str(POLICY)], check=False)
    try:
        yield
    finally:
        if ours:
            subprocess.run([*sudo, "rm", "-f", str(POLICY)], check=False)


def find_uv() -> Path | None:
    """Return uv: the machine's, else the one installed here before."""
    found = shutil.which("uv") or shutil.which(str(TOOLS / "bin" / "uv"))
    return Path(found) if found else None


def install_uv() -> Path:
    """Install uv below `.run`, whatever kind of Python this is (a Debian one refuses packages of its own)."""
    with step("uv"):
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--target",
            str(TOOLS),
            "uv",
        ]
        run(pip, "pip could not install uv (no network, or no pip?)")
    found = find_uv()
    if found is None:
        raise CannotInstall(f"pip installed uv, but there is none in {TOOLS}/bin")
    return found


def install_python_packages(uv: Path) -> None:
    """Bring `.venv` to what uv.lock says, with the native plane where it can be built and without any elsewhere."""
    inputs = [PROJECT / "uv.lock", PROJECT / "pyproject.toml", PROJECT / ".python-version"]
    what, sync = "Python packages", [str(uv), "sync", "--locked", "--quiet"]
    failure = "uv could not install the Python packages (no network?)"
    why = why_no_native_plane()
    if why:
        print(f"  · no native plane: {why}; the reference plane runs", flush=True)
    else:
        inputs += native_sources()
        what, sync = "Python packages, plane", [*sync, "--group", "native"]
        failure += " or not build the native plane (DOORDARSHAN_PLANE=reference leaves it out)"
    if unchanged("python", inputs) and (PROJECT / ".venv" / "bin" / "doordarshan").exists():
        return
    with step(what):
        run(sync, failure, settings={"MATURIN_NO_INSTALL_RUST": "1"})
    remember("python", inputs)


def why_no_native_plane() -> str:
    """Return what keeps this machine from building the native plane; empty if it can."""
    plane = os.environ.get("DOORDARSHAN_PLANE", "native")
    if plane != "native":
        return f"DOORDARSHAN_PLANE is {plane}"
    if shutil.which("cargo") is None:
        return f"cargo is missing ({CARGO})"
    if shutil.which("cc") is None:
        return "cc is missing (apt-get install gcc libc6-dev)"
    said = subprocess.run(
        ["cargo", "--version"], cwd=str(PROJECT), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    found = re.match(r"cargo (\d+)\.(\d+)", said.stdout.decode(errors="replace"))
    if found is None:
        return f"cargo does not run ({CARGO})"
    if tuple(map(int, found.groups())) < OLDEST_CARGO:
        return f"cargo {'.'.join(found.groups())} is older than {'.'.join(map(str, OLDEST_CARGO))} ({CARGO})"
    return ""


def native_sources() -> list[Path]:
    """Return every file that the native plane is built from."""
    listed = [NATIVE / name for name in ("Cargo.lock", "Cargo.toml", "packet_plane.pyi", "pyproject.toml")]
    return [*listed, *sorted((NATIVE / "src").rglob("*.rs"))]


def install_web_packages() -> None:
    """Bring `web/node_modules` to what package-lock.json says."""
    inputs = [WEB / "package.json", WEB / "package-lock.json"]
    if not all(path.exists() for path in inputs):
        raise CannotInstall(f"{WEB} has no package-lock.json: the checkout is not whole")
    if unchanged("npm", inputs) and (WEB / "node_modules").is_dir():
        return
    npm = npm_program()
    with step("npm packages"):
        run(
            [npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            "npm could not install the page's packages (no network?)",
            WEB,
        )
    remember("npm", inputs)


def build_web() -> None:
    """Build the page into `web/dist`."""
    inputs = web_sources()
    if unchanged("web", inputs) and (WEB / "dist" / "index.html").exists():
        return
    npm = npm_program()
    with step("web page"):
        run([npm, "run", "--silent", "build"], "the page could not be built", WEB)
    remember("web", inputs)


def npm_program() -> str:
    """Return npm's path. Debian 12's own Node is 18, so apt is no advice."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise CannotInstall(f"{'npm' if node else 'node'} is missing: install Node {OLDEST_NODE} or newer ({NODE})")
    said = (
        subprocess.run([node, "--version"], stdout=subprocess.PIPE, check=False).stdout.decode(errors="replace").strip()
    )
    if not said.startswith("v") or not said[1:].split(".")[0].isdigit() or int(said[1:].split(".")[0]) < OLDEST_NODE:
        raise CannotInstall(f"Node {OLDEST_NODE} or newer is needed, {node} is {said or 'broken'} ({NODE})")
    return npm


def web_sources() -> list[Path]:
    """Return every file that the built page depends on."""
    found: list[Path] = []
    for folder, folders, files in os.walk(WEB):
        folders[:] = sorted(name for name in folders if name not in NOT_SOURCE)
        found += [Path(folder) / name for name in sorted(files)]
    return found


if __name__ == "__main__":
    main()
