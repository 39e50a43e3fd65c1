"""The checker itself: it holds of a system that nobody harmed, and names each thing that is made untrue."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.testing.system import System
from tests.flows.people import OPUS, Meeting
from tests.truth import PARTS, look, settled, tool


@asynccontextmanager
async def untrue(system: System, make: str, unmake: str, *values: object) -> AsyncIterator[None]:
    """Change the database behind everybody's back, and change it back."""
    await system.postgres.execute(make, *values)
    try:
        yield
    finally:
        await system.postgres.execute(unmake, *values)


async def differences(system: System, meeting: Meeting) -> str:
    """Return what the checker finds wrong at one look."""
    async with tool(system) as asker:
        seen = await look(system, asker, [meeting.id])
    return "\n".join(line for part in PARTS for line in part(seen))


async def test_a_call_that_nobody_disturbs_is_settled(meeting: Meeting) -> None:
    await _one_who_sends(meeting)
    seen = await settled(meeting.system, meetings=[meeting.id])
    assert [len(seen.rows[noun]) for noun in ("routers", "transports", "producers")] == [1, 1, 1]


async def test_a_row_without_an_object_and_an_object_without_a_row_are_named(meeting: Meeting) -> None:
    system, producer = meeting.system, await _one_who_sends(meeting)
    async with untrue(
        system,
        "update producers set id = 'nobody' where id = $1",
        "update producers set id = $1 where id = 'nobody'",
        producer,
    ):
        found = await differences(system, meeting)
    assert "producer nobody" in found
    assert "a row, but not in memory" in found
    assert f"producer {producer}" in found
    assert "in memory, but no row" in found


async def test_a_booking_that_is_too_high_is_named(meeting: Meeting) -> None:
    system, created = meeting.system, await meeting.create()
    server = created["mediaServerId"]
    async with untrue(
        system,
        "update bookings set booked = booked + 1 where server = $1",
        "update bookings set booked = booked - 1 where server = $1",
        server,
    ):
        assert f"{server} has 513 streams booked, its meetings want 512" in await differences(system, meeting)


async def test_a_hole_in_the_log_and_an_event_that_redis_lacks_are_named(meeting: Meeting) -> None:
    system = meeting.system
    await _one_who_sends(meeting)
    async with untrue(
        system,
        "update events set sequence = 99 where meeting = $1 and sequence = 2",
        "update events set sequence = 2 where meeting = $1 and sequence = 99",
        meeting.id,
    ):
        found = await differences(system, meeting)
    assert "the log has 1 to 99 (3 events), not 1 to 3" in found
    assert "Redis lacks 99 ParticipantJoined" in found


async def test_a_row_of_an_older_epoch_is_named(meeting: Meeting) -> None:
    system = meeting.system
    await _one_who_sends(meeting)
    async with untrue(
        system,
        "update meetings set epoch = epoch + 1 where meeting = $1",
        "update meetings set epoch = epoch - 1 where meeting = $1",
        meeting.id,
    ):
        found = await differences(system, meeting)
    assert "(row) is not where its meeting lives" in found
    assert "(memory) is not where its meeting lives" in found
    assert "is at epoch 2, its log at 1" in found


async def test_somebody_who_sits_there_without_having_been_announced_is_named(meeting: Meeting) -> None:
    system = meeting.system
    await _one_who_sends(meeting)
    async with untrue(
        system,
        "update participants set seat = seat + 7 where meeting = $1",
        "update participants set seat = seat - 7 where meeting = $1",
        meeting.id,
    ):
        assert "the log seats {'asha': 2}, the rows {'asha': 9}" in await differences(system, meeting)


async def _one_who_sends(meeting: Meeting) -> str:
    """Have one participant with a producer; return the producer's id."""
    await meeting.create()
    asha = await meeting.joined("asha")
    transport = await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
    body = {"transportId": transport["id"], "kind": "audio", "rtpParameters": OPUS}
    producer = await asha.api.post(f"{asha.mine}/producers", body)
    await settled(meeting.system, meetings=[meeting.id])
    return str(producer["id"])
