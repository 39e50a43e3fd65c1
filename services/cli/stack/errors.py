"""Why the system cannot be run here. Each message is one line that names the remedy."""


class CannotRun(Exception):
    """The system cannot be started or reached; the message says what to do about it."""


class ProgramMissing(CannotRun):
    """A program that is needed is not installed."""

    def __init__(self, program: str, package: str) -> None:
        super().__init__(f"{program} is not installed; `make up` installs it, or: apt-get install {package}")


class PortTaken(CannotRun):
    """A port that was asked for belongs to somebody else."""

    def __init__(self, port: int, purpose: str) -> None:
        super().__init__(f"port {port} ({purpose}) is taken; stop what uses it, or choose others: make up PORT=…")


class AlreadyRunning(CannotRun):
    """Another `up` of this checkout is running."""

    def __init__(self, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(f"already running ({who}); `make status` shows it, `make down` stops it")


class NotReady(CannotRun):
    """Something was started and did not get ready."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(f"{name} did not get ready: {why}")
