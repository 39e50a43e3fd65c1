"""Logging, set up once per process: structlog and the standard library's loggers write the same lines, JSON or text, to stderr.

The circumstances of a command (its id, tenant, meeting, trace) are context variables, bound where it arrives, so every line within
has them. A line never holds a token, a password or the locals of a traceback.
"""

import logging
import sys
from typing import Literal

import structlog
from structlog.typing import Processor

Style = Literal["json", "text"]

_QUIET = ("asyncio", "httpx", "uvicorn", "aio_pika", "aiormq")
_CHATTY = ("aio_pika", "aiormq")
_SELDOM = 10.0


class _Seldom(logging.Filter):
    """Lets each kind of line of a chatty logger through once in ten seconds, without a traceback of the library's inside.

    Who reconnects twice a second need not say so, and a connection that was lost is no bug of anybody's.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether this line is written."""
        if not record.name.startswith(_CHATTY):
            return True
        kind = (record.name, str(record.msg)[:60])
        if record.created - self._last.get(kind, 0.0) < _SELDOM:
            return False
        self._last[kind] = record.created
        if record.exc_info and isinstance(error := record.exc_info[1], Exception):
            record.msg, record.args = f"{record.getMessage()}: {type(error).__name__}: {error}", ()
            record.exc_info = record.exc_text = None
        return True


def configure(service: str, process: str, style: Style = "json", level: int = logging.INFO) -> None:
    """Send every log line of this process to stderr with the names of its service and process."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(service, process, style),
            ],
        )
    )
    handler.addFilter(_Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _rendered(service: str, process: str, style: Style) -> list[Processor]:
    if style == "text":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]

    def owner(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        return {"service": service, "process": process, **event}

    return [owner, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
