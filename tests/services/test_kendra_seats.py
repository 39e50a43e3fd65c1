"""Seats: who sits where, by which proof, and what happens to what older seats left."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4, uuid5

import pytest

from contracts.actor import Actor, Grant
from contracts.create_meeting import AllocateRouter
from contracts.details import GetMeeting
from contracts.end_meeting import EndMeeting
from contracts.failure import (
    Forbidden,
    IdempotencyKeyReused,
    MediaServerUnavailable,
    MeetingFull,
    MeetingNotFound,
    ParticipantNotFound,
    StaleEpoch,
    StaleInstance,
)
from contracts.ids import ParticipantId
from contracts.join_meeting import CloseSeats, GetRouterCapabilities
from contracts.leave_meeting import KickParticipant, LeaveMeeting
from contracts.meeting import Direction
from contracts.producers import ListProducers
from contracts.recreate_transport import RecreateTransport, ReplaceTransports
from services.kendra.meeting import Meeting, event, fold
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import ADMIN, FakeServer, Stage, holder, named, staged

RECV = RecreateTransport(direction=Direction.RECV)


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        await opened.kendra()
        yield opened


@pytest.fixture
async def server(stage: Stage) -> FakeServer:
    """A meeting `standup` of four runs on it."""
    fake = await stage.server("ms1")
    await stage.create("standup")
    return fake


async def seated(stage: Stage) -> dict[str, tuple[str, int]]:
    rows = await stage.rows.fetch("select participant, instance, seat from participants where left_at is null")
    return {row["participant"]: (row["instance"], row["seat"]) for row in rows}


async def test_a_seat_is_the_number_of_its_event_and_the_answer_contains_that_event(
    stage: Stage, server: FakeServer
) -> None:
    asha, ravi = await stage.join("standup", "asha"), await stage.join("standup", "ravi")
    assert (asha.seat, ravi.seat, ravi.last_event_id) == (2, 3, 3)
    assert [one.participant_id for one in ravi.participants] == ["asha", "ravi"]
    assert (ravi.media_server_id, ravi.router_id, ravi.epoch) == ("ms1", "router-standup-1", 1)
    assert await stage.events("standup") == [(1, "MeetingCreated"), (2, "ParticipantJoined"), (3, "ParticipantJoined")]
    assert server.number_of(CloseSeats) == 0
    await stage.relayed("standup")


async def test_fifty_joins_at_once_through_two_kendras_take_exactly_the_seats_there_are(stage: Stage) -> None:
    await stage.kendra()
    await stage.server("ms1")
    await stage.create("standup", participants=20)
    outcomes = await asyncio.gather(*(stage.join("standup", f"p{n}") for n in range(50)), return_exceptions=True)
    joined = [one for one in outcomes if not isinstance(one, BaseException)]
    assert all(isinstance(one, MeetingFull) for one in outcomes if isinstance(one, BaseException))
    assert sorted(one.seat for one in joined) == list(range(2, 22))
    assert len(await seated(stage)) == 20


async def test_fifty_joins_of_one_participant_leave_one_seat(stage: Stage, server: FakeServer) -> None:
    answers = await asyncio.gather(
        *(stage.join("standup", "asha", f"i{n % 5}", named("asha")) for n in range(50)), return_exceptions=True
    )
    assert not [one for one in answers if isinstance(one, BaseException)]
    instance, seat = (await seated(stage))["asha"]
    assert seat == max(one.seat for one in answers if not isinstance(one, BaseException))
    sequences = [sequence for sequence, _ in await stage.events("standup")]
    assert sequences == list(range(1, len(sequences) + 1))
    assert instance in {f"i{n}" for n in range(5)}


async def test_the_same_instance_keeps_its_seat_and_another_takes_it(stage: Stage, server: FakeServer) -> None:
    first = await stage.join("standup", "asha", "phone")
    assert (await stage.join("standup", "asha", "phone", holder(first))).seat == first.seat
    await stage.ask(RECV, "standup", holder(first))
    second = await stage.join("standup", "asha", "laptop", holder(first))
    assert second.seat == 3
    assert [type for _, type in await stage.events("standup")][-1] == "ParticipantReplaced"
    assert server.number_of(CloseSeats) == 1
    with pytest.raises(StaleInstance):
        await stage.ask(RECV, "standup", holder(first))
    with pytest.raises(StaleInstance):
        await stage.join("standup", "asha", "phone", holder(first))
    assert await stage.rows.fetchval("select min(closed_below) from participants") == second.seat


async def test_an_invitation_seats_only_who_is_not_seated(stage: Stage, server: FakeServer) -> None:
    await stage.join("standup", "asha", "phone")
    for instance in ("phone", "laptop"):
        with pytest.raises(Forbidden):
            await stage.join("standup", "asha", instance)
    with pytest.raises(Forbidden):
        await stage.join("standup", "asha", "phone", named("ravi"))
    assert (await stage.join("standup", "asha", "laptop", named("asha"))).seat == 3


async def test_a_repeated_join_has_its_effect_once_and_is_stale_when_its_seat_is_over(
    stage: Stage, server: FakeServer
) -> None:
    command = uuid4()
    first = await stage.join("standup", "asha", id=command)
    assert (await stage.join("standup", "asha", id=command)).seat == first.seat
    with pytest.raises(IdempotencyKeyReused):
        await stage.join("standup", "asha", id=command, hash="1" * 64)
    await stage.ask(LeaveMeeting(), "standup", holder(first))
    with pytest.raises(StaleInstance):
        await stage.join("standup", "asha", id=command)
    assert await seated(stage) == {}


async def test_twenty_repeats_of_a_join_at_once_through_two_kendras_seat_once(stage: Stage, server: FakeServer) -> None:
    await stage.kendra()
    command = uuid4()
    answers = await asyncio.gather(*(stage.join("standup", "asha", id=command) for _ in range(20)))
    assert {one.seat for one in answers} == {2}
    assert len(await stage.events("standup")) == 2


async def test_who_leaves_is_told_of_and_closed_and_a_repeat_is_no_second_leave(
    stage: Stage, server: FakeServer
) -> None:
    asha = await stage.join("standup", "asha")
    command = uuid4()
    await stage.ask(LeaveMeeting(), "standup", holder(asha), id=command)
    await stage.ask(LeaveMeeting(), "standup", holder(asha), id=command)
    with pytest.raises(StaleInstance):
        await stage.ask(LeaveMeeting(), "standup", holder(asha))
    assert [type for _, type in await stage.events("standup")] == [
        "MeetingCreated",
        "ParticipantJoined",
        "ParticipantLeft",
    ]
    close = next(order for order, _ in server.asked if isinstance(order, CloseSeats))
    assert (close.participant_id, close.below, close.reason) == ("asha", asha.seat + 1, "left")
    assert (await stage.join("standup", "asha")).seat == 4


async def test_a_kick_takes_the_seat_of_whichever_instance(stage: Stage, server: FakeServer) -> None:
    asha = await stage.join("standup", "asha")
    await stage.ask(KickParticipant(participant_id=ParticipantId("asha")), "standup")
    with pytest.raises(StaleInstance):
        await stage.ask(ListProducers(), "standup", holder(asha))
    with pytest.raises(ParticipantNotFound):
        await stage.ask(KickParticipant(participant_id=ParticipantId("asha")), "standup")
    with pytest.raises(Forbidden):
        await stage.ask(KickParticipant(participant_id=ParticipantId("asha")), "standup", holder(asha))


async def test_an_admin_acts_in_the_participants_current_seat(stage: Stage, server: FakeServer) -> None:
    admin = ADMIN.model_copy(update={"participant": "asha"})
    with pytest.raises(ParticipantNotFound):
        await stage.ask(RECV, "standup", admin)
    asha = await stage.join("standup", "asha")
    await stage.ask(RECV, "standup", admin)
    _, call = server.asked[-1]
    assert (call.actor.participant, call.actor.instance, call.actor.seat, call.epoch) == ("asha", "1", asha.seat, 1)
    await stage.ask(LeaveMeeting(), "standup", admin)
    assert await seated(stage) == {}


async def test_what_a_seat_does_takes_a_proof_of_the_seat_and_the_grant(stage: Stage, server: FakeServer) -> None:
    await stage.join("standup", "asha")
    with pytest.raises(Forbidden):
        await stage.ask(RECV, "standup", named("asha"))
    asha = holder(await stage.join("standup", "asha", actor=named("asha")), grants=(Grant.JOIN,))
    with pytest.raises(Forbidden):
        await stage.ask(RECV, "standup", asha)


async def test_recreate_asks_with_the_transports_that_are_known(stage: Stage, server: FakeServer) -> None:
    asha = holder(await stage.join("standup", "asha"))
    first = await stage.ask(RECV, "standup", asha)
    second = await stage.ask(RECV, "standup", asha)
    orders = [order for order, _ in server.asked if isinstance(order, ReplaceTransports)]
    assert [order.old for order in orders] == [[], [first.id]]
    details = await stage.ask(GetMeeting(), "standup", asha)
    assert [one.id for one in details.own_transports] == [second.id]


async def test_recreate_looks_again_once_when_the_meeting_moved_under_it(stage: Stage, server: FakeServer) -> None:
    asha = holder(await stage.join("standup", "asha"))
    server.refuse[ReplaceTransports] = StaleEpoch()
    with pytest.raises(StaleEpoch):
        await stage.ask(RECV, "standup", asha)
    assert server.number_of(ReplaceTransports) == 2


async def test_nobody_is_seated_when_the_router_does_not_answer(stage: Stage, server: FakeServer) -> None:
    server.deaf.add(GetRouterCapabilities)
    with pytest.raises(MediaServerUnavailable):
        await stage.join("standup", "asha")
    assert await seated(stage) == {}
    assert server.number_of(GetRouterCapabilities) == 1, "a second ask would take as long again; the client repeats"


async def test_a_returned_ask_under_a_valid_lease_moves_nothing(stage: Stage, server: FakeServer) -> None:
    await stage.server("ms2")
    await server.stop()
    with pytest.raises(MediaServerUnavailable):
        await stage.join("standup", "asha")
    assert await stage.rows.fetchval("select server from meetings") == "ms1"


async def test_a_join_places_a_meeting_anew_whose_server_restarted(stage: Stage, server: FakeServer) -> None:
    asha = holder(await stage.join("standup", "asha"))
    restarted = await stage.server("ms1")
    ravi = await stage.join("standup", "ravi")
    assert (ravi.epoch, ravi.seat) == (2, 4)
    assert {call.epoch for order, call in restarted.asked if isinstance(order, AllocateRouter)} == {2}
    assert (await stage.ask(RECV, "standup", asha)).id
    assert [type for _, type in await stage.events("standup")][2] == "MeetingMoved"


async def test_a_closing_that_was_not_confirmed_is_asked_for_again(stage: Stage, server: FakeServer) -> None:
    server.refuse[CloseSeats] = MediaServerUnavailable()
    asha = await stage.join("standup", "asha")
    await stage.ask(LeaveMeeting(), "standup", holder(asha))
    assert await stage.rows.fetchval("select closed_below from participants") == asha.seat
    server.refuse.clear()

    async def confirmed() -> bool:
        return bool(await stage.rows.fetchval("select closed_below > seat from participants"))

    await eventually(confirmed)


async def test_details_of_a_meeting_are_one_snapshot_of_its_log(stage: Stage, server: FakeServer) -> None:
    asha = await stage.join("standup", "asha")
    found = await stage.ask(GetMeeting(), "standup", holder(asha))
    assert (found.state, found.epoch, found.last_event_id, found.capacity.participants) == ("placed", 1, 2, 4)
    assert [one.participant_id for one in found.participants] == ["asha"]
    assert (await stage.ask(GetMeeting(), "standup")).own_transports == []
    with pytest.raises(MeetingNotFound):
        await stage.ask(GetMeeting(), "nowhere")
    with pytest.raises(Forbidden):
        await stage.ask(GetMeeting(), "standup", Actor(grants=(Grant.JOIN,)))


async def test_each_answer_is_exactly_the_log_up_to_the_event_it_names(stage: Stage) -> None:
    await stage.kendra()
    await stage.server("ms1")
    await stage.create("standup", participants=60)

    async def come_and_go(name: str) -> list[tuple[int, set[str]]]:
        seen = []
        for instance in range(4):
            joined = await stage.join("standup", name, str(instance), named(name))
            seen.append((joined.last_event_id, {one.participant_id for one in joined.participants}))
            details = await stage.ask(GetMeeting(), "standup")
            seen.append((details.last_event_id, {one.participant_id for one in details.participants}))
            if instance % 2:
                await stage.ask(LeaveMeeting(), "standup", holder(joined))
        return seen

    seen = await asyncio.gather(*(come_and_go(f"p{n}") for n in range(12)))
    rows = await stage.rows.fetch("select sequence, type, body from events order by sequence")
    log = [(row["sequence"], event(row["type"], row["body"])) for row in rows]
    for last, participants in (answer for answers in seen for answer in answers):
        assert participants == set(fold(Meeting(), log[:last]).seats)


async def test_a_repeat_reaches_the_media_server_under_the_same_id_with_the_clients_hash(
    stage: Stage, server: FakeServer
) -> None:
    asha, command = holder(await stage.join("standup", "asha")), uuid4()
    for _ in range(2):
        await stage.ask(RECV, "standup", asha, id=command, hash="a" * 64)
    calls = [call for order, call in server.asked if isinstance(order, ReplaceTransports)]
    assert {call.command_id for call in calls} == {uuid5(command, "ReplaceTransports:1")}
    assert {call.body_hash for call in calls} == {"a" * 64}
    assert all(call.remaining() <= 1.5 for call in calls)


async def test_nothing_can_be_done_in_a_meeting_that_ended(stage: Stage, server: FakeServer) -> None:
    asha = holder(await stage.join("standup", "asha"))
    await stage.ask(EndMeeting(), "standup")
    for order in (RECV, GetMeeting(), ListProducers(), LeaveMeeting()):
        with pytest.raises(MeetingNotFound):
            await stage.ask(order, "standup", asha)
    with pytest.raises(MeetingNotFound):
        await stage.join("standup", "asha")
