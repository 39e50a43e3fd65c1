"""The lines of a recording: JSON, one object each. A line without `kind` is a `Handled`, as it was told on the exchange `watch`.

The first line is the header; a recorder that was stopped in order ends the file with what each meeting was in the end, and a footer.
"""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from contracts.ids import MeetingId, TenantId
from contracts.message import CONTRACT_VERSION, Message

FORMAT = 1


class Header(Message):
    """What the recording is, and what it was asked to hold; an empty filter is everything."""

    kind: Literal["header"] = "header"
    format: int = FORMAT
    contract_version: int = CONTRACT_VERSION
    begun: datetime
    tenant: TenantId | None = None
    meetings: list[MeetingId] = Field(default_factory=list)


class Hole(Message):
    """Records that never came: those between two numbers of a process. Which meetings they were about is not known."""

    kind: Literal["hole"] = "hole"
    service: str
    process: str
    after: int
    before: int
    at: datetime

    @property
    def lost(self) -> int:
        """How many records are missing."""
        return self.before - self.after - 1


class Interruption(Message):
    """The recorder had no broker for so long. What was lost meanwhile is seen as holes when its process is heard again."""

    kind: Literal["interruption"] = "interruption"
    at: datetime
    seconds: float


class EndState(Message):
    """What a meeting was when its recording ended: a `MeetingDetails`, or nothing because it was over."""

    kind: Literal["state"] = "state"
    tenant: TenantId
    meeting: MeetingId
    details: JsonValue = None


class Footer(Message):
    """The recording ended in order. `unheard` are processes that said nothing since the last interruption: they may have holes."""

    kind: Literal["footer"] = "footer"
    ended: datetime
    commands: int
    meetings: int
    holes: int
    lost: int
    unheard: list[str] = Field(default_factory=list)


Line = Header | Hole | Interruption | EndState | Footer
LINES: dict[str, type[Line]] = {
    "header": Header,
    "hole": Hole,
    "interruption": Interruption,
    "state": EndState,
    "footer": Footer,
}
