"""Events out of a real Redis: resuming, gaps, ends, slow readers, a Redis that goes away."""

import asyncio
import time
from contextlib import AsyncExitStack

import httpx2
import pytest
from yarl import URL

from contracts.failure import StaleInstance
from contracts.follow_events import EventsFollowed, FollowEvents
from services.gateway import stream
from services.testing.session import Cache
from tests.eventually import eventually
from tests.services.bus_peers import Line
from tests.services.conftest import MakeEdge
from tests.services.gateway_answers import STREAM
from tests.services.gateway_peers import Edge, Log, log_of


def head(edge: Edge, number: int) -> None:
    edge.kendra.answers[FollowEvents] = EventsFollowed(stream=STREAM, head=number, epoch=1)


async def test_a_client_resumes_where_it_was_and_goes_on(edge: Edge, log: Log) -> None:
    for sequence in range(1, 6):
        await log.append(sequence, producerId=f"p{sequence}")
    head(edge, 5)
    async with edge.follow(edge.seat(), seen=3) as events:
        assert events.response.headers["Content-Type"].startswith("text/event-stream")
        assert await events.take(2) == [("ProducerPaused", n, {"producerId": f"p{n}"}) for n in (4, 5)]
        await log.append(6, producerId="p6")
        assert await events.next() == ("ProducerPaused", 6, {"producerId": "p6"})
    order, call = edge.kendra.last
    assert (order.last_event_id, call.actor.participant, call.actor.seat) == (3, "ann", 3)


async def test_without_a_last_id_only_what_is_new_comes(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    async with edge.follow(edge.access()) as events:
        await log.append(2)
        assert (await events.next())[1] == 2


async def test_what_comes_while_the_past_is_read_comes_once_and_in_order(edge: Edge, log: Log) -> None:
    for sequence in range(1, 1501):
        await log.append(sequence)
    head(edge, 1500)

    async def more() -> None:
        for sequence in range(1501, 1601):
            await log.append(sequence)

    async with edge.follow(edge.seat(), seen=0) as events:
        writing = asyncio.create_task(more())
        assert [one[1] for one in await events.take(1600)] == list(range(1, 1601))
        await writing


async def test_many_clients_share_one_reader_and_each_sees_what_is_meant_for_it(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    async with (
        edge.follow(edge.seat("ann"), seen=1) as ann,
        edge.follow(edge.seat("bob"), seen=1) as bob,
        edge.follow(edge.access(), seen=1) as admin,
    ):
        await log.append(2, "TransportClosed", to="bob", participantId="bob")
        await log.append(3)
        assert [await events.next() for events in (ann, admin)] == [("ProducerPaused", 3, {})] * 2
        assert [one[1] for one in await bob.take(2)] == [2, 3]
    assert await blocked_readers(log, edge) == 1


async def blocked_readers(log: Log, edge: Edge) -> int:
    clients = await log.redis.client_list()
    return sum(1 for client in clients if client["cmd"] == "xread" and client["user"] == "gateway")


async def test_a_trimmed_stream_is_a_gap_up_to_what_is_left(edge: Edge, log: Log) -> None:
    for sequence in (7, 8):
        await log.append(sequence)
    head(edge, 8)
    async with edge.follow(edge.seat(), seen=3) as events:
        assert [one[:2] for one in await events.take(3)] == [("gap", 6), ("ProducerPaused", 7), ("ProducerPaused", 8)]


async def test_an_entry_that_cannot_be_read_is_a_gap_and_stops_nobody(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    async with edge.follow(edge.seat(), seen=1) as events:
        await log.redis.xadd(log.key, {"type": "ParticipantLeft", "body": "{"}, id="2-0")
        await log.redis.xadd(log.key, {"other": "fields"}, id="3-0")
        await log.append(4)
        assert [one[:2] for one in await events.take(2)] == [("gap", 3), ("ProducerPaused", 4)]
    async with edge.follow(edge.seat(), seen=1) as events:
        assert [one[:2] for one in await events.take(2)] == [("gap", 3), ("ProducerPaused", 4)]


async def test_an_absent_stream_is_a_gap_up_to_the_head(edge: Edge, log: Log) -> None:
    head(edge, 5)
    async with edge.follow(edge.seat(), seen=5) as events:
        assert await events.next() == ("gap", 5, {})
        for sequence in range(1, 7):
            await log.append(sequence)
        assert (await events.next())[1] == 6


async def test_a_wiped_and_refilled_stream_loses_and_repeats_nothing(edge: Edge, log: Log) -> None:
    await log.append(1)
    await log.append(2)
    head(edge, 2)
    async with edge.follow(edge.seat(), seen=0) as events:
        await events.take(2)
        await log.redis.delete(log.key)
        for sequence in (1, 2, 3):
            await log.append(sequence)
        assert (await events.next())[1] == 3


async def test_live_events_come_without_an_id_to_whom_they_are_meant_for(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    async with edge.follow(edge.seat(), seen=1) as events:
        assert await log.live("ConsumerScore", to="bob") == 1
        await log.live("ActiveSpeaker", participantId="ann")
        assert await events.next() == ("ActiveSpeaker", None, {"participantId": "ann"})
    await eventually(lambda: nobody_listens(log))


async def nobody_listens(log: Log) -> bool:
    return await log.live("ActiveSpeaker") == 0


@pytest.mark.parametrize("last", ["ParticipantLeft", "ParticipantReplaced", "MeetingEnded"])
async def test_a_stream_ends_with_its_seat_or_meeting(edge: Edge, log: Log, last: str) -> None:
    await log.append(3, "ParticipantJoined", participantId="ann")
    head(edge, 3)
    async with edge.follow(edge.seat(seat=3), seen=3) as events:
        await log.append(4, last, participantId="ann")
        assert (await events.next())[:2] == (last, 4)
        await events.end()


async def test_a_stream_ends_with_its_token(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    started = time.time()
    async with edge.follow(edge.seat(seconds=2), seen=1) as events:
        await events.end()
    assert time.time() - started < 4


async def test_a_seat_that_follows_too_often_loses_its_oldest_stream_and_nobody_elses(edge: Edge, log: Log) -> None:
    await log.append(1)
    head(edge, 1)
    async with AsyncExitStack() as stack:
        bob = await stack.enter_async_context(edge.follow(edge.seat("bob"), seen=0))
        ann = [await stack.enter_async_context(edge.follow(edge.seat("ann"), seen=0)) for _ in range(5)]
        for one in (bob, *ann):
            assert (await one.next())[1] == 1
        await ann[0].end()
        await log.append(2)
        for one in (bob, *ann[1:]):
            assert (await one.next())[1] == 2


async def test_a_refused_follower_gets_a_problem_not_a_stream(edge: Edge, log: Log) -> None:
    edge.kendra.answers[FollowEvents] = StaleInstance()
    answer = await edge.http.get("/v1/meetings/standup/events", headers=edge.seat())
    assert (answer.status_code, answer.json()["code"]) == (409, "stale_instance")
    bad = await edge.http.get("/v1/meetings/standup/events", headers=edge.seat() | {"Last-Event-ID": "x"})
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_request")


async def test_a_silent_stream_is_kept_alive_by_comments(make_edge: MakeEdge) -> None:
    async with make_edge(keep_alive=0.05) as edge, edge.follow(edge.seat()) as events:
        lines = events.response.aiter_lines()
        async with asyncio.timeout(5):
            first = [await anext(lines) for _ in range(12)]
    comments = [line for line in first if line.startswith(":")]
    assert len(comments) >= 4


async def test_a_reader_that_does_not_read_is_dropped_and_comes_back_for_the_rest(
    edge: Edge, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "READ_WITHIN", 0.3)
    await log.append(1)
    head(edge, 1)
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.settings.http_port, limit=1024)
    authorization = edge.seat()["Authorization"]
    writer.write(
        f"GET /v1/meetings/standup/events HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nLast-Event-ID: 1\r\n\r\n".encode()
    )
    assert b" 200 " in await reader.readline()

    async def is_dropped() -> bool:
        last = int((await log.redis.xinfo_stream(log.key))["last-generated-id"].split("-")[0])
        for sequence in range(last + 1, last + 101):
            await log.append(sequence, padding="x" * 10_000)
        return edge.gateway.streams.followers == 0

    await eventually(is_dropped, within=20)
    writer.close()
    head(edge, 20)
    async with edge.follow(edge.seat(), seen=15) as events:
        assert [one[1] for one in await events.take(5)] == [16, 17, 18, 19, 20]


async def test_followers_outlive_a_redis_that_goes_away(make_edge: MakeEdge, redis: Cache) -> None:
    line = Line(redis.of["gateway"])
    async with AsyncExitStack() as stack:
        down = await stack.enter_async_context(AsyncExitStack())
        url = await down.enter_async_context(line.laid())
        edge = await stack.enter_async_context(make_edge(redis_url=url))
        log = await stack.enter_async_context(log_of(edge))
        await log.append(1)
        head(edge, 1)
        events = await stack.enter_async_context(edge.follow(edge.seat(), seen=1))
        await log.append(2)
        assert (await events.next())[1] == 2
        await down.aclose()
        refused = await edge.http.get("/v1/meetings/standup/events", headers=edge.seat())
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert (await edge.http.get("/v1/meetings/standup", headers=edge.seat())).status_code == 200
        await log.append(3)
        await stack.enter_async_context(line.laid(URL(url).port or 0))
        assert (await events.next())[1] == 3
        await eventually(lambda: heard(log))
        await events.next()


async def heard(log: Log) -> bool:
    return await log.live("ActiveSpeaker") == 1


async def test_a_stopping_gateway_ends_its_streams_and_is_gone_at_once(make_edge: MakeEdge) -> None:
    async with make_edge() as edge, edge.follow(edge.seat()) as events:
        assert (await events.next())[0] == "gap"
        edge.gateway.stop()
        started = time.monotonic()
        await events.end()
        await eventually(lambda: refuses_connections(edge))
        assert time.monotonic() - started < 1.5


async def refuses_connections(edge: Edge) -> bool:
    try:
        await edge.http.get("/livez")
    except httpx2.ConnectError:
        return True
    return False
