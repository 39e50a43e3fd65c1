"""What the bus counts. Labels come from the contracts and the failure codes, so their number is bounded."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 1.5, 2.5, 4.5)

OK = "ok"
"""The code of what did not fail."""

ASKS = Counter("doordarshan_asks_total", "Commands asked, by outcome", ["command", "code"])
ASK_SECONDS = Histogram("doordarshan_ask_seconds", "From the ask to its reply", ["command"], buckets=_SECONDS)
HANDLED = Counter("doordarshan_handled_total", "Commands and notices handled, by outcome", ["command", "code"])
HANDLE_SECONDS = Histogram(
    "doordarshan_handle_seconds", "From receipt to the end of the handler", ["command"], buckets=_SECONDS
)
DROPPED = Counter(
    "doordarshan_messages_dropped_total",
    "Messages nobody waits for, dropped as the broker was away or blocked",
    ["kind"],
)
DEAD_LETTERS = Counter("doordarshan_dead_letters_total", "Messages seen in the queue `dead`", ["reason"])
DEAD_KEPT = Gauge("doordarshan_dead_letters_kept", "Messages that wait in the queue `dead` for an operator")
