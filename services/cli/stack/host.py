"""The address that `up` binds and announces."""

import socket

from services.cli.stack.errors import CannotRun

LOOPBACK = "127.0.0.1"


def address_of(host: str) -> str:
    """Return the IPv4 address of a host name or address of this machine. Raises CannotRun when it is not this machine's."""
    try:
        address = socket.gethostbyname(host)
    except OSError:
        raise CannotRun(f"HOST={host} is not known here; give an address of this machine (ip -4 address)") from None
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            raise CannotRun(f"HOST={host} is not an address of this machine (ip -4 address lists them)") from None
    if address == "0.0.0.0":
        raise CannotRun("HOST=0.0.0.0 cannot be announced to a browser; give one address of this machine")
    return address
