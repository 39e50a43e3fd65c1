"""What the kendra of the gateway tests answers to each command, unless a test says otherwise."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from contracts import (
    consumers,
    create_consumer,
    create_meeting,
    create_producer,
    details,
    end_meeting,
    follow_events,
    join_meeting,
    leave_meeting,
    producers,
    recreate_transport,
    servers,
    transports,
)
from contracts.message import Command, Done, Reply

MEETING = "standup"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
STREAM = "events:{acme:standup:1}"

ANSWERS: Mapping[type[Command[Any]], Reply] = {
    create_meeting.CreateMeeting: create_meeting.MeetingCreated(
        meeting_id=MEETING, media_server_id="ms-1", router_id="r-1", epoch=1, state="placed"
    ),
    end_meeting.EndMeeting: Done(),
    details.GetMeeting: details.MeetingDetails(
        meeting_id=MEETING,
        state="placed",
        epoch=1,
        media_server_id="ms-1",
        router_id="r-1",
        capacity={},
        participants=[],
        producers=[],
        last_event_id=7,
    ),
    details.GetPlacement: details.PlacementExplained(meeting_id=MEETING, decisions=[]),
    join_meeting.JoinMeeting: join_meeting.MeetingJoined(
        participant_id="ann",
        instance_id="page-1",
        seat=3,
        rtp_capabilities={"codecs": []},
        router_id="r-1",
        media_server_id="ms-1",
        epoch=1,
        participants=[{"participantId": "ann", "joinedAt": NOW}],
        producers=[],
        last_event_id=3,
    ),
    leave_meeting.LeaveMeeting: Done(),
    leave_meeting.KickParticipant: Done(),
    recreate_transport.RecreateTransport: recreate_transport.TransportRecreated(
        id="t-1",
        ice_parameters={"usernameFragment": "u", "password": "p"},
        ice_candidates=[],
        dtls_parameters={"role": "auto", "fingerprints": [{"algorithm": "sha-256", "value": "AA"}]},
    ),
    transports.ConnectTransport: Done(),
    transports.CloseTransport: Done(),
    transports.RestartIce: transports.IceRestarted(ice_parameters={"usernameFragment": "u", "password": "p"}),
    create_producer.CreateProducer: create_producer.ProducerCreated(id="p-1"),
    producers.PauseProducer: Done(),
    producers.ResumeProducer: Done(),
    producers.CloseProducer: Done(),
    producers.ListProducers: producers.ProducersListed(producers=[]),
    create_consumer.CreateConsumer: create_consumer.ConsumerCreated(
        id="c-1",
        producer_id="p-1",
        kind="audio",
        rtp_parameters={"codecs": [{"mimeType": "audio/opus", "payloadType": 100, "clockRate": 48000}]},
        type="simple",
        producer_paused=False,
    ),
    consumers.PauseConsumer: Done(),
    consumers.ResumeConsumer: Done(),
    consumers.CloseConsumer: Done(),
    consumers.SetPreferredLayers: Done(),
    consumers.RequestKeyFrame: Done(),
    details.GetTransportStats: details.StatsRead(stats=[{"type": "webrtc-transport"}]),
    details.GetProducerStats: details.StatsRead(stats=[{"type": "inbound-rtp"}]),
    details.GetConsumerStats: details.StatsRead(stats=[{"type": "outbound-rtp"}]),
    servers.ListServers: servers.ServersListed(servers=[]),
    servers.DrainServer: Done(),
    servers.UndrainServer: Done(),
    follow_events.FollowEvents: follow_events.EventsFollowed(stream=STREAM, head=0, epoch=1),
}
