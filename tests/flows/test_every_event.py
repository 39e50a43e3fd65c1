"""Every kind of event comes about through HTTP and reaches, over SSE, whom it is meant for and nobody else."""

import asyncio
import json
from uuid import uuid4

import aio_pika

from contracts.events import EVENTS
from services.cli.participant.api import Api, ServerEvent
from services.cli.participant.participant import Participant
from services.testing.system import System
from tests.eventually import eventually
from tests.flows.people import Meeting, call_of_two

OWN = {"TransportClosed", "ConsumerClosed"}
ELSEWHERE = {"MeetingMoved", "MeetingUnplaced", "LogReset"}
"""Told when a media server died, and when the log went back: they have tests of their own."""


async def told_to(api: Api, meeting: Meeting, into: list[ServerEvent]) -> None:
    """Follow the meeting from its first event until the stream ends."""
    async for event in api.events(f"{meeting.path}/events", 0):
        into.append(event)


def of_type(participant: Participant, *types: str) -> list[ServerEvent]:
    return [event for event in participant.events if event.type in types]


async def test_each_kind_is_told_once_its_thing_happened_and_only_to_whom_it_concerns(meeting: Meeting) -> None:
    async with call_of_two(meeting) as (asha, ravi):
        told: list[ServerEvent] = []
        following = asyncio.create_task(told_to(meeting.admin, meeting, told))
        assert asha.send_transport is not None
        first, rest = next(iter(asha.sending)), set(asha.sending)
        for verb in ("pause", "resume"):
            await asha.api.post(f"{asha.mine}/producers/{first}/{verb}")
        await asha.api.delete(f"{asha.mine}/producers/{first}")
        await asha.api.post(f"{asha.mine}/transports", {"direction": "send"})
        await ravi.until(lambda: len(of_type(ravi, "ConsumerClosed")) == 2, 5)
        await asha.until(lambda: bool(of_type(asha, "TransportClosed")), 5)
        other = Api(meeting.system.url, asha.api.token)
        joined = await other.post(f"{meeting.path}/join", {"participantId": "asha", "instanceId": "another"})
        other.token = str(joined["participantToken"])
        await ravi.until(lambda: bool(of_type(ravi, "ParticipantReplaced")), 5)
        await other.post(f"{meeting.path}/leave")
        await meeting.admin.delete(meeting.path)
        async with asyncio.timeout(5):
            await following
        await other.close()

        assert {event.type for event in told} == set(EVENTS) - OWN - ELSEWHERE
        assert told[-1].type == "MeetingEnded"
        for event in (*told, *asha.events, *ravi.events):
            EVENTS[event.type].model_validate(event.body)

        recreated = [event.body for event in of_type(asha, "TransportClosed")]
        assert recreated[0] == {
            "transportId": asha.send_transport.id,
            "participantId": "asha",
            "direction": "send",
            "reason": "recreated",
        }
        producers = {event.body["producerId"]: event.body["reason"] for event in told if event.type == "ProducerClosed"}
        assert producers == dict.fromkeys(rest, "recreated") | {first: "closed"}
        consumers = {event.body["producerId"]: event.body["reason"] for event in of_type(ravi, "ConsumerClosed")}
        assert consumers == dict.fromkeys(rest, "producer_closed")
        assert of_type(asha, "ConsumerClosed") == of_type(ravi, "TransportClosed") == []


async def tell(system: System, meeting: str, notice: str, body: object) -> None:
    """Send kendra a notice as a media server does."""
    async with await aio_pika.connect(system.tool_amqp_url) as connection:
        channel = await connection.channel()
        headers = {"remainingMs": 1000, "tenant": "demo", "meeting": meeting}
        message = aio_pika.Message(json.dumps(body).encode(), type=notice, message_id=str(uuid4()), headers=headers)
        await channel.default_exchange.publish(message, "kendra.commands")


async def test_what_is_live_comes_without_an_id_to_whom_it_is_meant_for(meeting: Meeting) -> None:
    await meeting.create()
    asha, ravi = await meeting.joined("asha"), await meeting.joined("ravi")
    await asha.until(lambda: bool(of_type(asha, "ParticipantJoined")), 5)
    loud = {"type": "ActiveSpeaker", "body": {"participantId": "asha"}}
    score = {"type": "ConsumerScore", "body": {"consumerId": "c", "score": 7}, "to": "ravi"}

    async def heard() -> bool:
        # Live events reach who listens at that moment: a stream may just be opening.
        await tell(meeting.system, meeting.id, "LiveEvents", {"events": [score, loud]})
        return bool(of_type(ravi, "ConsumerScore") and of_type(asha, "ActiveSpeaker"))

    await eventually(heard)
    assert {event.sequence for event in of_type(ravi, "ActiveSpeaker", "ConsumerScore")} == {None}
    assert of_type(ravi, "ConsumerScore")[0].body == {"consumerId": "c", "score": 7}
    assert of_type(asha, "ConsumerScore") == []
    assert await meeting.events() == [(1, "MeetingCreated"), (2, "ParticipantJoined"), (3, "ParticipantJoined")]
