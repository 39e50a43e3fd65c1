"""The relay: Redis ends up with the log, whatever it forgot; and what is live is published or lost."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from contracts.create_producer import CreateProducer
from contracts.end_meeting import EndMeeting
from contracts.failure import Forbidden, StaleInstance
from contracts.follow_events import FollowEvents
from contracts.ids import TransportId
from contracts.live import LiveEvent, LiveEvents, RelayEvents
from contracts.rtp import Kind, RtpParameters
from services.kendra.events import APPEND_RUN
from services.testing.session import Broker, Cache, Database
from tests.eventually import eventually
from tests.services.kendra_peers import INVITED, TENANT, Stage, holder, named, staged

PRODUCE = CreateProducer(transport_id=TransportId("t"), kind=Kind.AUDIO, rtp_parameters=RtpParameters(codecs=[]))


@pytest.fixture
async def stage(postgres: Database, rabbitmq: Broker, redis: Cache) -> AsyncIterator[Stage]:
    async with staged(postgres, rabbitmq, redis) as opened:
        await opened.kendra()
        await opened.server("ms1")
        await opened.create("standup", participants=100)
        yield opened


async def append(stage: Stage, number: int = 1) -> None:
    """Append events that nobody relays, as a media server that dies at once."""
    for _ in range(number):
        await stage.rows.execute("select append_event($1, 'standup', 1, 'ProducerPaused', '{}')", TENANT)


async def forget(stage: Stage) -> None:
    """Let this deployment's part of Redis be as after FLUSHALL."""
    async for key in stage.redis.scan_iter(match=f"{stage.cache.prefix}*"):
        await stage.redis.delete(key)


async def test_the_event_of_a_producer_is_in_redis_when_its_creator_is_answered(stage: Stage) -> None:
    asha = holder(await stage.join("standup", "asha"))
    await stage.ask(PRODUCE, "standup", asha)
    id, fields = (await stage.stream("standup"))[-1]
    assert (id, fields["type"], fields["epoch"], fields["to"]) == ("3-0", "ProducerCreated", "1", "")
    assert json.loads(fields["body"])["participantId"] == "asha"
    assert fields["at"].endswith("Z")


async def test_events_that_nobody_announced_arrive_within_seconds(stage: Stage) -> None:
    await stage.relayed("standup")
    await append(stage, 3)
    await stage.relayed("standup")


async def test_a_media_servers_notice_brings_its_events_at_once(stage: Stage) -> None:
    await stage.relayed("standup")
    await append(stage)
    await stage.tell(RelayEvents(), "standup")
    await eventually(lambda: _length(stage, 2), within=0.9)


async def test_a_redis_that_lost_everything_is_filled_again_while_nothing_happens(stage: Stage) -> None:
    await append(stage, 450)
    await stage.relayed("standup")
    await forget(stage)
    await stage.relayed("standup")


async def test_a_lost_tail_is_found_at_the_next_event(stage: Stage) -> None:
    await append(stage, 5)
    await stage.relayed("standup")
    key = await _key(stage)
    kept = (await stage.stream("standup"))[:2]
    await stage.redis.delete(key)
    for id, fields in kept:
        await stage.redis.xadd(key, fields, id=id)
    await append(stage)
    await stage.tell(RelayEvents(), "standup")
    await stage.relayed("standup")


async def test_two_kendras_that_relay_while_redis_forgets_leave_no_gap_and_no_repeat(stage: Stage) -> None:
    await stage.kendra()
    for _ in range(5):
        await asyncio.gather(
            append(stage, 20), forget(stage), *(stage.tell(RelayEvents(), "standup") for _ in range(10))
        )
    await stage.relayed("standup")


async def test_a_run_that_does_not_join_the_stream_is_not_appended(stage: Stage) -> None:
    key = f"{stage.cache.prefix}alone"
    script = stage.redis.register_script(APPEND_RUN)
    assert await script(keys=[key], args=[0, 100, 0, 5, 2, "type", "X"]) == 0
    assert await script(keys=[key], args=[4, 100, 0, 5, 2, "type", "X", 6, 2, "type", "Y"]) == 6
    assert await script(keys=[key], args=[4, 100, 0, 5, 2, "type", "X"]) == 6
    await stage.redis.xtrim(key, maxlen=0, approximate=False)
    assert await script(keys=[key], args=[4, 100, 0]) == 6
    assert await stage.redis.xlen(key) == 0


async def test_a_log_that_went_back_goes_on_above_what_redis_has_and_says_so(stage: Stage) -> None:
    await append(stage, 9)
    await stage.relayed("standup")
    await stage.rows.execute("delete from events where sequence > 4")
    await stage.rows.execute("update event_heads set head = 4")
    await stage.rows.execute("update relays set relayed = 0")
    await append(stage)
    await stage.tell(RelayEvents(), "standup")

    async def reset() -> bool:
        return (await stage.stream("standup"))[-1][1]["type"] == "LogReset"

    await eventually(reset)
    assert [id for id, _ in await stage.stream("standup")][-2:] == ["10-0", "12-0"]
    assert await stage.rows.fetchval("select head from event_heads") == 12


async def test_an_ended_meetings_stream_expires_and_begins_to_stay_when_the_meeting_does(stage: Stage) -> None:
    await stage.ask(EndMeeting(), "standup")
    await stage.relayed("standup")
    assert 86_000 < await stage.redis.ttl(await _key(stage)) <= 86_400
    await stage.create("standup")
    await stage.relayed("standup")
    assert await stage.redis.ttl(await _key(stage)) == -1


async def test_events_removed_by_retention_do_not_stop_the_relay(stage: Stage) -> None:
    await append(stage, 5)
    await stage.relayed("standup")
    await stage.rows.execute(
        "select keep_base($1, 'standup', 0, 4, at, '{}') from events where meeting = 'standup' and sequence = 4", TENANT
    )
    await forget(stage)
    await append(stage)
    await stage.relayed("standup")


async def test_only_who_is_seated_or_an_admin_follows(stage: Stage) -> None:
    asha = holder(await stage.join("standup", "asha"))
    followed = await stage.ask(FollowEvents(), "standup", asha)
    assert stage.cache.prefix + followed.stream == await _key(stage)
    assert (followed.head, followed.epoch) == (2, 1)
    assert (await stage.ask(FollowEvents(), "standup")).head == 2
    with pytest.raises(Forbidden):
        await stage.ask(FollowEvents(), "standup", INVITED)
    await stage.join("standup", "asha", "another", named("asha"))
    with pytest.raises(StaleInstance):
        await stage.ask(FollowEvents(), "standup", asha)


async def test_live_events_are_published_and_not_kept(stage: Stage) -> None:
    async with stage.redis.pubsub() as listening:
        await listening.subscribe(f"{stage.cache.prefix}live:{{{TENANT}:standup}}")
        await listening.get_message(timeout=1.0)
        notice = LiveEvents(events=[LiveEvent(type="ActiveSpeaker", body={"participantId": "asha"})])
        await stage.tell(notice, "standup")
        message = await listening.get_message(timeout=2.0)
    assert message is not None
    assert json.loads(message["data"]) == {"type": "ActiveSpeaker", "body": {"participantId": "asha"}, "to": None}
    assert await stage.events("standup") == [(1, "MeetingCreated")]


async def _length(stage: Stage, wanted: int) -> bool:
    return len(await stage.stream("standup")) == wanted


async def _key(stage: Stage) -> str:
    incarnation = await stage.rows.fetchval("select incarnation from meetings")
    return f"{stage.cache.prefix}events:{{{TENANT}:standup:{incarnation}}}"
