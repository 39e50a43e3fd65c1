"""The flows that go through the points: how each is made ready, what is ordered, and what must be true once it was answered.

`died` says whether the media server did: then what lived there is gone, and flows on it say `stale_epoch`.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from json import loads

from tests.faults.caller import Answer, Order
from tests.faults.stage import DTLS, NEWCOMER, SENDER, WITNESS, Stage, seat_of
from tests.truth import Seen


@dataclass(frozen=True)
class Outcome:
    """How it went: the answer that the caller got at last, and that to one more repeat when all was over."""

    first: Answer
    again: Answer
    died: bool
    seen: Seen


Judge = Callable[[Stage, Outcome], Iterator[str]]


@dataclass(frozen=True)
class Flow:
    """One flow."""

    prepare: Callable[[Stage], Awaitable[None]]
    order: Callable[[Stage], Order]
    judge: Judge
    reads_as: str = WITNESS


async def _nothing(stage: Stage) -> None:
    """Nothing is there before."""


async def _witness(stage: Stage) -> None:
    await stage.seat(WITNESS)


def _told(stage: Stage, out: Outcome, type_: str, number: int, **fields: str) -> Iterator[str]:
    """Demand that an event with these fields was told so often."""
    bodies = [loads(entry.body) for entry in stage.log(out.seen) if entry.type == type_]
    found = sum(all(body.get(name) == value for name, value in fields.items()) for body in bodies)
    if found != number:
        yield f"{type_} {fields} was told {found} times, not {number}"


def _succeeded(out: Outcome) -> Iterator[str]:
    for answer in (out.first, out.again):
        if not answer.ok:
            yield f"refused: {answer}"


def _same_bytes(out: Outcome) -> Iterator[str]:
    if out.first != out.again:
        yield f"answered {out.first}, then {out.again}"


def _once_or_stale(out: Outcome) -> Iterator[str]:
    """Demand the same reply byte for byte, or of what died with its server: nothing but that its epoch is over."""
    if not out.died:
        yield from _succeeded(out)
        yield from _same_bytes(out)
        return
    if not out.first.ok and (out.first.status, out.first.code) != (409, "stale_epoch"):
        yield f"of a dead object: {out.first}"
    if (out.again.status, out.again.code) != (409, "stale_epoch"):
        yield f"again, of a dead object: {out.again}"


def _created(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _succeeded(out)
    yield from _told(stage, out, "MeetingCreated", 1)
    if stage.here(out.seen, "routers") != {out.again.json.get("routerId")}:
        yield f"answered {out.again.json}, but the router is {stage.here(out.seen, 'routers')}"
    if not out.died:
        yield from _same_bytes(out)


def _joined(stage: Stage, out: Outcome, participant: str, type_: str) -> Iterator[str]:
    yield from _succeeded(out)
    yield from _told(stage, out, type_, 1, participantId=participant)
    seat = out.seen.seats.get(stage.key, {}).get(participant)
    if {seat_of(out.first), seat_of(out.again)} != {seat}:
        yield f"tokens for the seats {seat_of(out.first)} and {seat_of(out.again)}, and it is {seat}"
    if stage.here(out.seen, "routers") != {out.again.json["routerId"]}:
        yield f"the router is {stage.here(out.seen, 'routers')}, not {out.again.json['routerId']}"
    if not out.died and out.first.json["routerId"] != out.again.json["routerId"]:
        yield "two routers were named"


def _newcomer_joined(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _joined(stage, out, NEWCOMER, "ParticipantJoined")


def _replaced(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _joined(stage, out, SENDER, "ParticipantReplaced")
    if stage.here(out.seen, "producers"):
        yield "the older instance still sends"
    if not out.died:
        yield from _told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])


def _recreated(stage: Stage, out: Outcome, old: str, others: set[str]) -> Iterator[str]:
    yield from _succeeded(out)
    new = str(out.again.json.get("id"))
    if out.died:
        others = set()
        if out.first.body == out.again.body and new not in stage.here(out.seen, "transports"):
            yield "answered with what died"
    else:
        yield from _same_bytes(out)
    if stage.here(out.seen, "transports") != others | {new} or new == old:
        yield f"answered {new}, there are {stage.here(out.seen, 'transports')}"


def _send_recreated(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _recreated(stage, out, stage.ids["send"], {stage.ids["recv"]})
    if not out.died:
        yield from _told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])
        yield from _told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])


def _recv_recreated(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _recreated(stage, out, stage.ids["recv"], {stage.ids["send"]})
    if not out.died:
        yield from _told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])
        yield from _told(stage, out, "ProducerClosed", 0)


def _produced(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _once_or_stale(out)
    if not out.died:
        yield from _told(stage, out, "ProducerCreated", 1, producerId=out.again.json.get("id", ""))
        yield from _told(stage, out, "ProducerCreated", 1)
    if stage.here(out.seen, "producers") != (set() if out.died else {out.again.json.get("id")}):
        yield f"answered {out.again}, there are {stage.here(out.seen, 'producers')}"


def _consumed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _once_or_stale(out)
    if stage.here(out.seen, "consumers") != (set() if out.died else {out.again.json.get("id")}):
        yield f"answered {out.again}, there are {stage.here(out.seen, 'consumers')}"


def _left(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _succeeded(out)
    yield from _told(stage, out, "ParticipantLeft", 1, participantId=SENDER)
    if SENDER in out.seen.seats.get(stage.key, {}):
        yield "still seated"
    if stage.here(out.seen, "producers"):
        yield "who left still sends"


def _ended(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _succeeded(out)
    yield from _told(stage, out, "MeetingEnded", 1)
    if stage.here(out.seen, "routers"):
        yield "the router is still there"


def _producer_closed(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _once_or_stale(out)
    if stage.here(out.seen, "producers") | stage.here(out.seen, "consumers"):
        yield "something is still there"
    if not out.died:
        yield from _told(stage, out, "ProducerClosed", 1, producerId=stage.ids["producer"])
        yield from _told(stage, out, "ConsumerClosed", 1, consumerId=stage.ids["consumer"])


def _connected(stage: Stage, out: Outcome) -> Iterator[str]:
    yield from _once_or_stale(out)
    there = set() if out.died else {stage.ids["send"], stage.ids["recv"]}
    if stage.here(out.seen, "transports") != there:
        yield f"there are {stage.here(out.seen, 'transports')}"


FLOWS: dict[str, Flow] = {
    "create_meeting": Flow(_nothing, Stage.creation, _created, reads_as=""),
    "join_meeting": Flow(_witness, lambda stage: stage.joining(NEWCOMER), _newcomer_joined),
    "replace_instance": Flow(Stage.with_consumer, lambda stage: stage.joining(SENDER), _replaced),
    "recreate_send": Flow(Stage.with_consumer, lambda stage: stage.transport(SENDER, "send"), _send_recreated),
    "recreate_recv": Flow(Stage.with_consumer, lambda stage: stage.transport(WITNESS, "recv"), _recv_recreated),
    "create_producer": Flow(Stage.with_transports, Stage.producing, _produced),
    "create_consumer": Flow(Stage.with_producer, Stage.consuming, _consumed),
    "leave_meeting": Flow(
        Stage.with_consumer, lambda stage: stage.order("POST", f"{stage.path}/leave", SENDER, {}), _left
    ),
    "end_meeting": Flow(Stage.with_consumer, lambda stage: Order("DELETE", stage.path, stage.admin()), _ended),
    "close_producer": Flow(
        Stage.with_consumer,
        lambda stage: stage.order("DELETE", f"{stage.of(SENDER)}/producers/{stage.ids['producer']}", SENDER),
        _producer_closed,
    ),
    "connect_transport": Flow(
        Stage.with_transports,
        lambda stage: stage.order(
            "POST", f"{stage.of(SENDER)}/transports/{stage.ids['send']}/connect", SENDER, {"dtlsParameters": DTLS}
        ),
        _connected,
    ),
}
