"""Ids are types: a producer's id is no participant's id, and mypy knows.

Every id is 1 to 64 characters of `A-Z a-z 0-9 _ -`, so it can stand in a routing key, a Redis key and a path unescaped.
"""

from typing import Annotated, NewType
from uuid import UUID

from pydantic import StringConstraints

ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
Id = Annotated[str, StringConstraints(pattern=ID_PATTERN)]

TenantId = NewType("TenantId", Id)
ApiKeyId = NewType("ApiKeyId", Id)
MeetingId = NewType("MeetingId", Id)
ParticipantId = NewType("ParticipantId", Id)
InstanceId = NewType("InstanceId", Id)
MediaServerId = NewType("MediaServerId", Id)
BootId = NewType("BootId", Id)
WorkerId = NewType("WorkerId", Id)
RouterId = NewType("RouterId", Id)
TransportId = NewType("TransportId", Id)
ProducerId = NewType("ProducerId", Id)
ConsumerId = NewType("ConsumerId", Id)
CommandId = NewType("CommandId", UUID)

Epoch = NewType("Epoch", int)
"""Raised at each create, move and end of a meeting; what carries a lower one is stale."""

Seat = NewType("Seat", int)
"""The sequence of the join event that seated a participant's instance; what carries a lower one is stale."""
