"""The two verbs between services: ask and serve. Deadline, failure as reply, repeat, trace, log, metric and watch record are done here, once."""

from services.bus.ask import Bus, NobodyThere
from services.bus.call import NO_BODY, NO_MEETING, NO_TENANT, Call, new_traceparent
from services.bus.handling import Handler, Handlers
from services.bus.queues import KENDRA_COMMANDS, QueueSpec, kendra_commands, media_commands, media_queue
from services.bus.serve import Serving

__all__ = [
    "KENDRA_COMMANDS",
    "NO_BODY",
    "NO_MEETING",
    "NO_TENANT",
    "Bus",
    "Call",
    "Handler",
    "Handlers",
    "NobodyThere",
    "QueueSpec",
    "Serving",
    "kendra_commands",
    "media_commands",
    "media_queue",
    "new_traceparent",
]
