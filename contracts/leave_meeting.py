"""Leave and kick: a participant gives up the seat, or an admin takes it; what hung from it closes."""

from contracts.ids import ParticipantId
from contracts.message import Command, Done


class LeaveMeeting(Command[Done]):
    """Give up the caller's own seat."""


class KickParticipant(Command[Done]):
    """Take the seat of a participant, whichever instance holds it."""

    participant_id: ParticipantId
