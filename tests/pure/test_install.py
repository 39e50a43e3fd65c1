"""The installer asks for what is missing, once, and says in one line what it could not do."""

import importlib
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def installer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, on a machine that has nothing but what `tmp_path/bin` holds."""
    monkeypatch.syspath_prepend(PROJECT / "scripts")
    module, steps = importlib.import_module("install"), importlib.import_module("steps")
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    for name, value in {
        "SYSTEM_PATH": str(tmp_path / "bin"),
        "POLICY": tmp_path / "policy-rc.d",
        "TOOLS": tmp_path / "tools",
        "PROJECT": tmp_path,
        "WEB": tmp_path / "web",
        "NATIVE": tmp_path / "native",
    }.items():
        monkeypatch.setattr(module, name, value)
    for name, value in {"STATE": tmp_path / "state", "PROJECT": tmp_path}.items():
        monkeypatch.setattr(steps, name, value)
    monkeypatch.setattr(module.os, "getuid", lambda: 0)
    monkeypatch.delenv("DOORDARSHAN_PLANE", raising=False)
    return module


def put_program(tmp_path: Path, name: str, script: str = "exit 0") -> None:
    """Install a program that is a shell script."""
    path = tmp_path / "bin" / name
    path.write_text(f"#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")
    path.chmod(0o755)


def put_root_tools(tmp_path: Path) -> None:
    for name in ("env", "tee", "chmod", "rm"):
        (tmp_path / "bin" / name).symlink_to(Path("/usr/bin") / name)


def test_what_is_here_is_not_asked_for(installer: ModuleType, tmp_path: Path) -> None:
    put_program(tmp_path, "redis-server")
    put_program(tmp_path, "setpriv")
    put_program(tmp_path, "initdb")
    assert installer.missing_packages(browser=False) == ["rabbitmq-server"]
    assert installer.missing_packages(browser=True) == ["rabbitmq-server", "chromium"]


def test_a_program_is_looked_for_and_never_run(installer: ModuleType, tmp_path: Path) -> None:
    put_program(tmp_path, "rabbitmq-server", f"touch {tmp_path}/booted")
    installer.missing_packages(browser=False)
    assert not (tmp_path / "booted").exists()


def test_packages_are_installed_without_a_service_being_started(installer: ModuleType, tmp_path: Path) -> None:
    put_root_tools(tmp_path)
    put_program(tmp_path, "apt-get", f'echo "$@" >> {tmp_path}/asked; cat {tmp_path}/policy-rc.d >> {tmp_path}/guard')
    installer.install_packages(["redis-server"])
    asked = (tmp_path / "asked").read_text()
    assert "DPkg::Lock::Timeout=300" in asked
    assert asked.strip().endswith("install -y --no-install-recommends redis-server")
    assert "exit 101" in (tmp_path / "guard").read_text()
    assert not (tmp_path / "policy-rc.d").exists()


def test_package_lists_are_fetched_when_there_are_none_yet(installer: ModuleType, tmp_path: Path) -> None:
    put_root_tools(tmp_path)
    put_program(
        tmp_path, "apt-get", f'case "$*" in *update) touch {tmp_path}/lists;; *) test -e {tmp_path}/lists;; esac'
    )
    installer.install_packages(["redis-server"])
    assert (tmp_path / "lists").exists()


def test_no_network_is_one_line_and_leaves_no_guard_behind(installer: ModuleType, tmp_path: Path) -> None:
    put_root_tools(tmp_path)
    put_program(tmp_path, "apt-get", "echo 'Reading lists'; echo 'E: Could not resolve deb.debian.org' >&2; exit 100")
    with pytest.raises(installer.CannotInstall, match=r"no network\?.*Could not resolve") as raised:
        installer.install_packages(["redis-server"])
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "policy-rc.d").exists()


def test_a_user_who_may_not_install_is_told_what_root_must_do(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installer.os, "getuid", lambda: 1000)
    put_program(tmp_path, "apt-get")
    put_program(tmp_path, "sudo", "exit 1")
    with pytest.raises(
        installer.CannotInstall, match="As root: apt-get install -y --no-install-recommends redis-server"
    ):
        installer.install_packages(["redis-server"])


def test_another_distribution_is_told_what_is_missing(installer: ModuleType) -> None:
    with pytest.raises(installer.CannotInstall, match=r"missing: redis-server\. This is no Debian"):
        installer.install_packages(["redis-server"])


def test_uv_is_installed_below_the_checkout(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(
        tmp_path,
        "python",
        'while [ "$1" != --target ]; do shift; done; mkdir -p "$2/bin"; printf "#!/bin/sh\\n" > "$2/bin/uv"; chmod 755 "$2/bin/uv"',
    )
    monkeypatch.setattr(installer.sys, "executable", str(tmp_path / "bin" / "python"))
    assert installer.find_uv() is None
    assert installer.install_uv() == tmp_path / "tools" / "bin" / "uv"


def test_the_page_is_built_again_only_when_its_sources_changed(installer: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "web" / "src").mkdir(parents=True)
    source = tmp_path / "web" / "src" / "main.ts"
    source.write_text("one")
    put_program(tmp_path, "node", "echo v22.1.0")
    put_program(tmp_path, "npm", f"echo built >> {tmp_path}/builds; mkdir -p dist; touch dist/index.html")
    for text in ("one", "one", "two"):
        source.write_text(text)
        installer.build_web()
    assert (tmp_path / "builds").read_text().split() == ["built", "built"]


def test_missing_npm_is_one_line(installer: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(installer.CannotInstall, match="node is missing: install Node 20"):
        installer.npm_program()
    put_program(tmp_path, "node", "echo v20.19.0")
    with pytest.raises(installer.CannotInstall, match="npm is missing: install Node 20"):
        installer.npm_program()


@pytest.mark.parametrize("said", ["v18.20.4", "nonsense", ""])
def test_a_node_that_is_too_old_is_one_line(installer: ModuleType, tmp_path: Path, said: str) -> None:
    put_program(tmp_path, "node", f"echo {said}")
    put_program(tmp_path, "npm")
    with pytest.raises(installer.CannotInstall, match=rf"Node 20 or newer is needed, .*/node is {said or 'broken'}"):
        installer.npm_program()


def test_a_locked_package_that_cannot_be_fetched_is_one_line(installer: ModuleType, tmp_path: Path) -> None:
    put_program(
        tmp_path, "uv", "echo 'error: Failed to fetch: https://pypi.org/simple/rich/'; echo '  Caused by: dns'; exit 2"
    )
    with pytest.raises(installer.CannotInstall, match=r"\(no network\?\): error: Failed to fetch"):
        installer.install_python_packages(tmp_path / "bin" / "uv")


@pytest.mark.parametrize(
    ("programs", "why"),
    [
        ({}, "cargo is missing (https://rustup.rs)"),
        ({"cargo": "echo cargo 1.95.0"}, "cc is missing (apt-get install gcc libc6-dev)"),
        ({"cargo": "echo cargo 1.65.0", "cc": "exit 0"}, "cargo 1.65 is older than 1.85 (https://rustup.rs)"),
        ({"cargo": "echo no toolchain >&2; exit 1", "cc": "exit 0"}, "cargo does not run (https://rustup.rs)"),
        ({"cargo": "echo 'cargo 1.100.2 (abc 2027-01-01)'", "cc": "exit 0"}, ""),
    ],
)
def test_the_native_plane_is_built_only_where_it_can_be_and_one_line_says_why_not(
    installer: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], programs: dict[str, str], why: str
) -> None:
    for name, script in programs.items():
        put_program(tmp_path, name, script)
    put_program(tmp_path, "uv", f'echo "$@ $MATURIN_NO_INSTALL_RUST" >> {tmp_path}/asked')
    installer.install_python_packages(tmp_path / "bin" / "uv")
    group = "" if why else " --group native"
    assert (tmp_path / "asked").read_text() == f"sync --locked --quiet{group} 1\n"
    said = [line for line in capsys.readouterr().out.splitlines() if "no native plane" in line]
    assert said == ([f"  · no native plane: {why}; the reference plane runs"] if why else [])


def test_who_wants_the_reference_plane_builds_no_other(
    installer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_program(tmp_path, "cargo", "echo cargo 1.95.0")
    put_program(tmp_path, "cc")
    assert installer.why_no_native_plane() == ""
    monkeypatch.setenv("DOORDARSHAN_PLANE", "reference")
    assert installer.why_no_native_plane() == "DOORDARSHAN_PLANE is reference"


def test_the_native_plane_is_built_again_when_a_source_of_it_changed(installer: ModuleType, tmp_path: Path) -> None:
    put_program(tmp_path, "cargo", "echo cargo 1.95.0")
    put_program(tmp_path, "cc")
    put_program(tmp_path, "uv", f"echo asked >> {tmp_path}/asked")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "doordarshan").touch()
    source = tmp_path / "native" / "src" / "rtcp" / "write.rs"
    source.parent.mkdir(parents=True)
    for text in ("one", "one", "two"):
        source.write_text(text)
        installer.install_python_packages(tmp_path / "bin" / "uv")
    assert (tmp_path / "asked").read_text().split() == ["asked", "asked"]


def test_an_unknown_purpose_is_refused() -> None:
    done = subprocess.run(
        ["python3", PROJECT / "scripts" / "install.py", "everything"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == "usage: scripts/install.py up|test|check\n"
