"""The broker that recordings come from and go to: DOORDARSHAN_AMQP_URL, else the running `up` of this checkout, as user `tool`."""

import logging
import os

from services.cli.stack.errors import CannotRun
from services.cli.stack.private import AMQP_URL
from services.cli.stack.rundir import RunDirectory


def broker_url() -> str:
    """Return the broker's URL. Raises CannotRun when none is known."""
    _, facts = RunDirectory.of_up().state()
    url = os.environ.get(AMQP_URL) or facts.get("amqp")
    if not url:
        raise CannotRun(f"which broker? Set {AMQP_URL} (broker user tool), or start `make up`")
    return url


def keep_client_quiet() -> None:
    """Have the AMQP client say nothing of lost connections: the command says it in a line of its own."""
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def unreachable(error: BaseException) -> CannotRun:
    """Return what to say when the broker cannot be talked to; the URL's password stays out of it."""
    return CannotRun(f"the broker refused: {str(error) or type(error).__name__}")
