"""Failure is a reply: inside a service an exception of this file, across the wire a `Failure` with the same code.

Each error is declared once; its docstring says what happened and what the reader can do. `retryable` means that the same
request may succeed later; `outcome_unknown` that it may have had its effect already (repeat it with the same key).
"""

from typing import ClassVar

from contracts.message import Message


class Failure(Message):
    """What a command is answered with when it was not carried out."""

    code: str
    reason: str
    retryable: bool = False
    retry_after: float | None = None


class KendraError(Exception):
    """Something that a caller is told about. Subclasses fix the code."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False
    retry_after: ClassVar[float | None] = None

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason or " ".join((type(self).__doc__ or self.code).split()))

    @property
    def reason(self) -> str:
        """The sentence a reader gets."""
        return str(self)

    def as_failure(self) -> Failure:
        """Return the failure that travels as the reply."""
        return Failure(code=self.code, reason=self.reason, retryable=self.retryable, retry_after=self.retry_after)


class Internal(KendraError):
    """Something broke inside the service; it was logged with the command's id."""

    code = "internal"


class Unauthenticated(KendraError):
    """The bearer token is missing, malformed, expired or not signed by a known key."""

    code = "unauthenticated"


class Forbidden(KendraError):
    """The token is valid but does not grant this."""

    code = "forbidden"


class MeetingNotFound(KendraError):
    """No such meeting is running; create it first."""

    code = "meeting_not_found"


class ParticipantNotFound(KendraError):
    """The participant is not seated in this meeting."""

    code = "participant_not_found"


class TransportNotFound(KendraError):
    """The participant has no such transport; recreate it."""

    code = "transport_not_found"


class ProducerNotFound(KendraError):
    """No such producer in this meeting, or it is another participant's."""

    code = "producer_not_found"


class ConsumerNotFound(KendraError):
    """The participant has no such consumer."""

    code = "consumer_not_found"


class MediaServerNotFound(KendraError):
    """No media server of that name is known."""

    code = "media_server_not_found"


class PlacementNotFound(KendraError):
    """No decision was recorded for this meeting."""

    code = "placement_not_found"


class MeetingExists(KendraError):
    """The meeting is running with other settings; end it first or send the same settings."""

    code = "meeting_exists"


class MeetingFull(KendraError):
    """Every seat that the meeting booked is taken."""

    code = "meeting_full"


class ProducerLimit(KendraError):
    """The meeting already has as many producers as it booked."""

    code = "producer_limit"


class StaleInstance(KendraError):
    """Another instance of this participant took the seat, or the seat was given up; join again."""

    code = "stale_instance"


class StaleEpoch(KendraError):
    """The meeting moved or ended meanwhile; fetch it and make the transports anew."""

    code = "stale_epoch"


class InvalidState(KendraError):
    """The object exists but cannot do this now."""

    code = "invalid_state"


class PayloadTooLarge(KendraError):
    """The body is larger than 256 KiB."""

    code = "payload_too_large"


class InvalidRequest(KendraError):
    """The body or a path parameter does not have the documented shape."""

    code = "invalid_request"


class InvalidRtpParameters(KendraError):
    """The RTP parameters or capabilities contradict themselves, or each other."""

    code = "invalid_rtp_parameters"


class UnsupportedCodec(KendraError):
    """The router has no such codec, or this plane cannot forward the stream (simulcast, SVC)."""

    code = "unsupported_codec"


class IdempotencyKeyReused(KendraError):
    """The Idempotency-Key was used before with another body; take a new key."""

    code = "idempotency_key_reused"


class RateLimited(KendraError):
    """Too many requests; wait and try again."""

    code = "rate_limited"
    retryable = True
    retry_after = 1.0


class NoCapacity(KendraError):
    """No media server has room for this meeting; add one or try later."""

    code = "no_capacity"
    retryable = True
    retry_after = 5.0


class MediaServerUnavailable(KendraError):
    """The meeting's media server cannot be asked right now."""

    code = "media_server_unavailable"
    retryable = True
    retry_after = 1.0


class Busy(KendraError):
    """Too many commands wait already for this meeting or this seat."""

    code = "busy"
    retryable = True
    retry_after = 0.5


class Unavailable(KendraError):
    """The broker or the database is away."""

    code = "unavailable"
    retryable = True
    retry_after = 1.0


class UnknownCommand(KendraError):
    """This queue's owner does not know the command; is it of another version?"""

    code = "unknown_command"


class DeadlineExceeded(KendraError):
    """No answer in time; the outcome is unknown. Repeat the request with the same Idempotency-Key."""

    code = "deadline_exceeded"
    retryable = True


def _all(of: type[KendraError]) -> list[type[KendraError]]:
    return [of, *(deeper for sub in of.__subclasses__() for deeper in _all(sub))]


ERRORS: dict[str, type[KendraError]] = {error.code: error for error in _all(KendraError)} | {"internal": Internal}


def raised(failure: Failure) -> KendraError:
    """Return the exception that a failure stands for; an unknown code becomes `internal` with its reason kept."""
    return ERRORS.get(failure.code, Internal)(failure.reason)
