"""Kendra's table of contents: which flow carries out which command, and the grant it takes."""

from contracts.actor import Grant
from contracts.consumers import CloseConsumer, PauseConsumer, RequestKeyFrame, ResumeConsumer, SetPreferredLayers
from contracts.create_consumer import CreateConsumer
from contracts.create_meeting import CreateMeeting
from contracts.create_producer import CreateProducer
from contracts.details import GetConsumerStats, GetMeeting, GetPlacement, GetProducerStats, GetTransportStats
from contracts.end_meeting import EndMeeting
from contracts.follow_events import FollowEvents
from contracts.join_meeting import JoinMeeting
from contracts.leave_meeting import KickParticipant, LeaveMeeting
from contracts.live import LiveEvents, RelayEvents, RoutersLost, SeatsSeen
from contracts.producers import CloseProducer, ListProducers, PauseProducer, ResumeProducer
from contracts.recreate_transport import RecreateTransport
from contracts.servers import DrainServer, ListServers, UndrainServer
from contracts.transports import CloseTransport, ConnectTransport, RestartIce
from services.bus import Handlers
from services.kendra.flows.acting import act, act_and_tell
from services.kendra.flows.create_consumer import create_consumer
from services.kendra.flows.create_meeting import create_meeting
from services.kendra.flows.create_producer import create_producer
from services.kendra.flows.details import get_meeting, get_placement, list_producers
from services.kendra.flows.end_meeting import end_meeting
from services.kendra.flows.follow_events import follow_events, live_events, relay_events
from services.kendra.flows.join_meeting import join_meeting
from services.kendra.flows.leave_meeting import kick_participant, leave_meeting
from services.kendra.flows.recreate_transport import recreate_transport
from services.kendra.flows.routers_lost import routers_lost
from services.kendra.flows.seats_seen import seats_seen
from services.kendra.flows.servers import drain_server, list_servers, undrain_server
from services.kendra.granted import SEAT, granted

HANDLERS: Handlers = {
    CreateMeeting: granted(create_meeting, Grant.CREATE),
    JoinMeeting: granted(join_meeting, Grant.JOIN),
    RecreateTransport: granted(recreate_transport, SEAT),
    CreateProducer: granted(create_producer, Grant.PRODUCE),
    CreateConsumer: granted(create_consumer, Grant.CONSUME),
    ConnectTransport: granted(act, SEAT),
    RestartIce: granted(act, SEAT),
    CloseTransport: granted(act_and_tell, SEAT),
    PauseProducer: granted(act_and_tell, Grant.PRODUCE),
    ResumeProducer: granted(act_and_tell, Grant.PRODUCE),
    CloseProducer: granted(act_and_tell, Grant.PRODUCE),
    PauseConsumer: granted(act, Grant.CONSUME),
    ResumeConsumer: granted(act, Grant.CONSUME),
    CloseConsumer: granted(act_and_tell, Grant.CONSUME),
    SetPreferredLayers: granted(act, Grant.CONSUME),
    RequestKeyFrame: granted(act, Grant.CONSUME),
    GetTransportStats: granted(act, SEAT),
    GetProducerStats: granted(act, SEAT),
    GetConsumerStats: granted(act, SEAT),
    GetMeeting: granted(get_meeting, SEAT),
    ListProducers: granted(list_producers, SEAT),
    FollowEvents: granted(follow_events, SEAT),
    LeaveMeeting: granted(leave_meeting, SEAT),
    KickParticipant: granted(kick_participant, Grant.ADMIN),
    EndMeeting: granted(end_meeting, Grant.ADMIN),
    GetPlacement: granted(get_placement, Grant.ADMIN, Grant.OPERATOR),
    ListServers: granted(list_servers, Grant.OPERATOR),
    DrainServer: granted(drain_server, Grant.OPERATOR),
    UndrainServer: granted(undrain_server, Grant.OPERATOR),
    RelayEvents: relay_events,
    LiveEvents: live_events,
    RoutersLost: routers_lost,
    SeatsSeen: seats_seen,
}
