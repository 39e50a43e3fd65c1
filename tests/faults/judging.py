"""What must be true once a flow was answered: what one effect is, what the repeat must answer. Each yields a line for what is not so.

Of a media server that died nothing goes on: flows on what lived there say `stale_epoch`.
"""

from collections.abc import Iterator

from tests.faults.demands import Judge, Outcome, how_often, listed_as, once_or_stale, same_bytes, succeeded, told
from tests.faults.stage import NEWCOMER, SENDER, SERVER, WITNESS, Stage, seat_of


def created(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from succeeded(out)
    yield from told(stage, out, "MeetingCreated", 1)
    if stage.here(out.seen, "routers") != {out.again.json.get("routerId")}:
        yield f"answered {out.again.json}, but the router is {stage.here(out.seen, 'routers')}"
    if not out.died:
        yield from same_bytes(out)


def joined(stage: Stage, out: Outcome, participant: str, type_: str) -> Iterator[str]:
    yield from succeeded(out)
    yield from told(stage, out, type_, 1, participantId=participant)
    seat = out.seen.seats.get(stage.key, {}).get(participant)
    if {seat_of(out.first), seat_of(out.again)} != {seat}:
        yield f"tokens for the seats {seat_of(out.first)} and {seat_of(out.again)}, and it is {seat}"
    if stage.here(out.seen, "routers") != {out.again.json["routerId"]}:
        yield f"the router is {stage.here(out.seen, 'routers')}, not {out.again.json['routerId']}"
    if not out.died and out.first.json["routerId"] != out.again.json["routerId"]:
        yield "two routers were named"


def newcomer_joined(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from joined(stage, out, NEWCOMER, "ParticipantJoined")


def replaced(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from joined(stage, out, SENDER, "ParticipantReplaced")
    if stage.here(out.seen, "producers"):
        yield "the older instance still sends"
    if not out.died:
        yield from told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])


def recreated(stage: Stage, out: Outcome, old: str, others: set[str]) -> Iterator[str]:
    yield from succeeded(out)
    new = str(out.again.json.get("id"))
    if out.died:
        others = set()
        if out.first.body == out.again.body and new not in stage.here(out.seen, "transports"):
            yield "answered with what died"
    else:
        yield from same_bytes(out)
    if stage.here(out.seen, "transports") != others | {new} or new == old:
        yield f"answered {new}, there are {stage.here(out.seen, 'transports')}"


def send_recreated(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from recreated(stage, out, stage.ids["send"], {stage.ids["recv"]})
    if not out.died:
        yield from told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])
        yield from told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])


def recv_recreated(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from recreated(stage, out, stage.ids["recv"], {stage.ids["send"]})
    if not out.died:
        yield from told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])
        yield from told(stage, out, "ProducerClosed", 0)


def produced(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    if not out.died:
        yield from told(stage, out, "ProducerCreated", 1, producerId=out.again.json.get("id", ""))
        yield from told(stage, out, "ProducerCreated", 1)
    if stage.here(out.seen, "producers") != (set() if out.died else {out.again.json.get("id")}):
        yield f"answered {out.again}, there are {stage.here(out.seen, 'producers')}"


def consumed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    if stage.here(out.seen, "consumers") != (set() if out.died else {out.again.json.get("id")}):
        yield f"answered {out.again}, there are {stage.here(out.seen, 'consumers')}"


def left(stage: Stage, out: Outcome, reason: str = "left") -> Iterator[str]:
    yield from succeeded(out)
    yield from told(stage, out, "ParticipantLeft", 1, participantId=SENDER)
    yield from told(stage, out, "ParticipantLeft", 1, reason=reason)
    if SENDER in out.seen.seats.get(stage.key, {}):
        yield "still seated"
    if stage.here(out.seen, "producers"):
        yield "who left still sends"


def kicked(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from left(stage, out, "kicked")


def ended(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from succeeded(out)
    yield from told(stage, out, "MeetingEnded", 1)
    if stage.here(out.seen, "routers"):
        yield "the router is still there"


def producer_closed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    if stage.here(out.seen, "producers") | stage.here(out.seen, "consumers"):
        yield "something is still there"
    if not out.died:
        yield from told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])
        yield from told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])


def both_transports(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    there = set() if out.died else {stage.ids["send"], stage.ids["recv"]}
    if stage.here(out.seen, "transports") != there:
        yield f"there are {stage.here(out.seen, 'transports')}"


def ice_restarted(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from both_transports(stage, out)
    if not out.died and not out.again.json.get("iceParameters", {}).get("usernameFragment"):
        yield f"no credentials: {out.again}"


def transport_closed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    if stage.here(out.seen, "transports") != (set() if out.died else {stage.ids["recv"]}):
        yield f"there are {stage.here(out.seen, 'transports')}"
    if stage.here(out.seen, "producers") | stage.here(out.seen, "consumers"):
        yield "what hung from it is still there"
    yield from told(stage, out, "ProducerClosed", *how_often(out), producerId=stage.ids["producer"])
    yield from told(stage, out, "ConsumerClosed", *how_often(out), consumerId=stage.ids["consumer"])


def consumer_closed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from once_or_stale(out)
    if stage.here(out.seen, "consumers"):
        yield "it is still there"
    if stage.here(out.seen, "producers") != (set() if out.died else {stage.ids["producer"]}):
        yield f"there are the producers {stage.here(out.seen, 'producers')}"
    yield from told(stage, out, "ConsumerClosed", *how_often(out), consumerId=stage.ids["consumer"])
    yield from told(stage, out, "ProducerClosed", 0)


def producer_is(paused: bool) -> Judge:
    def judge(stage: Stage, out: Outcome) -> Iterator[str]:
        yield from once_or_stale(out)
        yield from listed_as(stage, out, "producer", paused)
        yield from told(stage, out, "ProducerPaused" if paused else "ProducerResumed", *how_often(out))

    return judge


def consumer_is(paused: bool) -> Judge:
    def judge(stage: Stage, out: Outcome) -> Iterator[str]:
        yield from once_or_stale(out)
        yield from listed_as(stage, out, "consumer", paused)

    return judge


def refused(stage: Stage, out: Outcome) -> Iterator[str]:
    """Demand the same refusal each time: a stream of one layer has nothing to choose."""
    refusal = (409, "stale_epoch" if out.died else "invalid_state")
    if (out.again.status, out.again.code) != refusal:
        yield f"again: {out.again}"
    if (out.first.status, out.first.code) not in {(409, "invalid_state"), refusal}:
        yield f"answered {out.first}"
    yield from listed_as(stage, out, "consumer", paused=True)


def moved(stage: Stage, out: Outcome) -> Iterator[str]:
    """Demand one move, and that nothing of the router that was lost is left but the seats.

    If the server died too there is a second one, and one more whenever nobody had room in between.
    """
    yield from succeeded(out)
    unplaced = sum(entry.type == "MeetingUnplaced" for entry in stage.log(out.seen))
    yield from told(stage, out, "MeetingMoved", *(range(1, 3 + unplaced) if out.died else (1,)))
    routers = stage.here(out.seen, "routers")
    if len(routers) != 1 or stage.ids["router"] in routers:
        yield f"the routers are {routers}"
    if any(stage.here(out.seen, noun) for noun in ("transports", "producers", "consumers")):
        yield "something of the older epoch is still there"
    if set(out.seen.seats.get(stage.key, {})) != {SENDER, WITNESS}:
        yield "somebody lost the seat"


def server_is(draining: bool) -> Judge:
    def judge(stage: Stage, out: Outcome) -> Iterator[str]:
        yield from succeeded(out)
        yield from same_bytes(out)
        if out.seen.bookings[SERVER]["draining"] is not draining:
            yield f"{SERVER} is {'not ' if draining else ''}being drained"
        yield from told(stage, out, "MeetingMoved", 0)
        if set(out.seen.seats.get(stage.key, {})) != {WITNESS}:
            yield "nobody else had room, yet it did not stay as it was"

    return judge
