"""Who asks: what the gateway has verified of a token, carried in each command's headers. Never the token itself."""

from enum import StrEnum

from contracts.ids import ApiKeyId, InstanceId, ParticipantId, Seat
from contracts.message import Message


class Grant(StrEnum):
    """What a token allows. `operator` only for keys that the command line marked, never for a tenant's."""

    CREATE = "create"
    JOIN = "join"
    PRODUCE = "produce"
    CONSUME = "consume"
    ADMIN = "admin"
    OPERATOR = "operator"


class Actor(Message):
    """Who asks, as verified at the edge.

    An access token gives `key`, `grants` and perhaps `participant` (its `sub`). A participant token also gives `instance` and `seat`.
    An admin who acts for a participant has that `participant` and no seat: the current seat is meant, kendra fills it in.
    """

    key: ApiKeyId | None = None
    grants: tuple[Grant, ...] = ()
    participant: ParticipantId | None = None
    instance: InstanceId | None = None
    seat: Seat | None = None
