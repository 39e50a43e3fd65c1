"""What comes with a command besides its body, and how a nested ask is derived from it.

A command's id stands for its one effect: whoever repeats it repeats the id. So a nested ask's id is derived, never drawn.
"""

import secrets
import time
from dataclasses import dataclass
from uuid import uuid4, uuid5

from contracts.actor import Actor
from contracts.ids import CommandId, Epoch, MeetingId, TenantId

NO_MEETING = MeetingId("-")
NO_TENANT = TenantId("-")
NO_BODY = "0" * 64


@dataclass(frozen=True, slots=True)
class Call:
    """The circumstances of one command. `deadline` is `time.monotonic()` of this process, `body_hash` the SHA-256 of the client's body in hex."""

    command_id: CommandId
    tenant: TenantId
    meeting: MeetingId
    epoch: Epoch | None
    actor: Actor
    deadline: float
    body_hash: str = NO_BODY
    traceparent: str | None = None

    @classmethod
    def begin(
        cls,
        tenant: TenantId,
        meeting: MeetingId,
        budget: float,
        *,
        actor: Actor | None = None,
        epoch: Epoch | None = None,
    ) -> "Call":
        """Return a call that no client began (a sweep, a notice), with a random id and `budget` seconds."""
        return cls(
            command_id=CommandId(uuid4()),
            tenant=tenant,
            meeting=meeting,
            epoch=epoch,
            actor=actor or Actor(),
            deadline=time.monotonic() + budget,
            traceparent=new_traceparent(),
        )

    def remaining(self) -> float:
        """Return the seconds left; negative when it is too late."""
        return self.deadline - time.monotonic()

    def nested(self, step: str, *, epoch: Epoch | None = None, actor: Actor | None = None, budget: float) -> "Call":
        """Return the call of a nested ask: its id is uuid5(outer id, step and epoch), it ends with this one or after `budget` seconds."""
        at = self.epoch if epoch is None else epoch
        return Call(
            command_id=CommandId(uuid5(self.command_id, f"{step}:{at}")),
            tenant=self.tenant,
            meeting=self.meeting,
            epoch=at,
            actor=actor or self.actor,
            deadline=min(self.deadline, time.monotonic() + budget),
            body_hash=self.body_hash,
            traceparent=self.traceparent,
        )


def new_traceparent() -> str:
    """Return a new W3C trace context header value, sampled."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
