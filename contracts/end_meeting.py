"""End meeting: nobody is seated any more, the booking is released, the router closes."""

from contracts.message import Command, Done


class EndMeeting(Command[Done]):
    """End the meeting, also when its media server is dead."""


class CloseRouter(Command[Done]):
    """Kendra to media server: the allocation of this epoch is not wanted any more; close its router and delete its rows, without events."""
