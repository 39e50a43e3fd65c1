"""Log lines of a process of its own: one JSON object a line, with the command's circumstances and without secrets."""

import json
import subprocess
import sys
from typing import Literal

SPEAKING = """
import logging, structlog
from services import log
log.configure("kendra", "k1", {style!r})
own = structlog.stdlib.get_logger("own")
with structlog.contextvars.bound_contextvars(command_id="42", tenant="acme"):
    own.info("said", seat=3)
    own.debug("not said")
    token = "eyJhbGciOi"
    try:
        raise ValueError("broken")
    except ValueError:
        own.exception("broke")
    logging.getLogger("library").warning("%s said", "a library")
for number in range(5):
    logging.getLogger("aio_pika.robust_connection").warning("away for the %sth time", number)
try:
    raise ConnectionResetError("by peer")
except ConnectionResetError:
    logging.getLogger("aiormq.connection").warning("reader %s", "ended", exc_info=True)
"""


def lines(style: Literal["json", "text"]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", SPEAKING.format(style=style)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    return done.stderr.splitlines()


def test_every_line_is_json_with_its_process_and_the_commands_circumstances() -> None:
    said, broke, library, away, _ = (json.loads(line) for line in lines("json"))
    assert {"service": "kendra", "process": "k1", "event": "said", "seat": 3, "level": "info"}.items() <= said.items()
    assert all((line["command_id"], line["tenant"]) == ("42", "acme") for line in (said, broke, library))
    assert library["event"] == "a library said"
    assert away["event"] == "away for the 0th time"


def test_a_traceback_shows_no_locals() -> None:
    broke = json.loads(lines("json")[1])
    assert "ValueError: broken" in broke["exception"]
    assert not any("eyJhbGciOi" in line for style in ("json", "text") for line in lines(style))


def test_a_lost_connection_shows_no_traceback_of_the_librarys_inside() -> None:
    lost = json.loads(lines("json")[-1])
    assert lost["event"] == "reader ended: ConnectionResetError: by peer"
    assert not any("Traceback" in line for line in lines("text")[-1:])


def test_text_is_for_people() -> None:
    assert "said" in lines("text")[0]
    assert not lines("text")[0].startswith("{")
