"""The watch record: who handled a command tells whoever is bound to the topic exchange `watch` what it was and how it ended.

The routing key is `<service>.<command>.<tenant>.<meeting>`. ICE passwords, credentials and tokens are blanked. Records are transient
and unconfirmed: each process numbers its own from 1, so a recorder sees the holes.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints

from contracts.actor import Actor
from contracts.ids import Epoch, MeetingId, TenantId
from contracts.message import CONTRACT_VERSION, Message

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Envelope(Message):
    """What travels beside a command's body: `type` and `commandId` as AMQP properties, the rest as headers of these names."""

    type: str
    command_id: UUID
    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch | None = None
    actor: Actor = Actor()
    remaining_ms: int = Field(ge=0)
    body_hash: Sha256
    traceparent: str
    contract_version: int = CONTRACT_VERSION


class Handled(Message):
    """A command that was carried out, or refused, or cancelled at its deadline (then `reply` is the failure nobody was sent)."""

    number: int
    service: str
    process: str
    queue: str
    at: datetime
    seconds: float
    envelope: Envelope
    command: JsonValue
    reply_type: str | None
    reply: JsonValue
