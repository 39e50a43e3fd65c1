"""What kendra counts besides what the bus counts."""

from prometheus_client import Counter, Gauge

RELAYS = Counter("doordarshan_relays_total", "Relays of a meeting's log to Redis, by outcome", ["outcome"])
RELAYED = Counter("doordarshan_relayed_events_total", "Events sent to Redis, repeats included")
SWEPT = Counter("doordarshan_swept_total", "What the sweep put right", ["what"])
MOVED = Counter(
    "doordarshan_moved_total", "Meetings that this kendra moved, by what was wrong where they were", ["because"]
)
SURE_OF_LEASES = Gauge("doordarshan_sure_of_leases", "Whether this kendra may declare a media server dead")
