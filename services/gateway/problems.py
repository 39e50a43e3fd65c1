"""Failures as `application/problem+json` (RFC 9457). One table says which HTTP status a code has; a code never changes.

Nothing internal leaves the process: what a 5xx says is its class's own sentence, never the text of an exception.
"""

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import ClassVar

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field
from starlette.exceptions import HTTPException

from contracts import failure
from contracts.failure import InvalidRequest, KendraError
from contracts.message import Message

MEDIA_TYPE = "application/problem+json"
MOST_ERRORS = 20
"""Field errors that an answer lists; a body of thousands of wrong fields is answered briefly."""


class NotFound(KendraError):
    """There is nothing at this path."""

    code = "not_found"


class MethodNotAllowed(KendraError):
    """The path exists, but not with this method."""

    code = "method_not_allowed"


STATUS: Mapping[str, int] = {
    failure.InvalidRequest.code: 422,
    failure.Unauthenticated.code: 401,
    failure.Forbidden.code: 403,
    NotFound.code: 404,
    failure.MeetingNotFound.code: 404,
    failure.ParticipantNotFound.code: 404,
    failure.TransportNotFound.code: 404,
    failure.ProducerNotFound.code: 404,
    failure.ConsumerNotFound.code: 404,
    failure.MediaServerNotFound.code: 404,
    failure.PlacementNotFound.code: 404,
    MethodNotAllowed.code: 405,
    failure.MeetingExists.code: 409,
    failure.MeetingFull.code: 409,
    failure.ProducerLimit.code: 409,
    failure.StaleInstance.code: 409,
    failure.StaleEpoch.code: 409,
    failure.InvalidState.code: 409,
    failure.PayloadTooLarge.code: 413,
    failure.InvalidRtpParameters.code: 422,
    failure.UnsupportedCodec.code: 422,
    failure.IdempotencyKeyReused.code: 422,
    failure.RateLimited.code: 429,
    failure.Internal.code: 500,
    failure.UnknownCommand.code: 501,
    failure.NoCapacity.code: 503,
    failure.MediaServerUnavailable.code: 503,
    failure.Busy.code: 503,
    failure.Unavailable.code: 503,
    failure.DeadlineExceeded.code: 504,
}


class FieldError(Message):
    """One thing wrong with a request: `pointer` into the body (RFC 6901, as a fragment), or `parameter` for one of path and headers."""

    pointer: str | None = None
    parameter: str | None = None
    detail: str


class Problem(Message):
    """RFC 9457 with a stable `code`. `instance` is the command's id: support finds the request's traces with it."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str | None = None
    errors: list[FieldError] = Field(default_factory=list)


class InvalidFields(InvalidRequest):
    """Parts of the request do not have the documented shape."""

    code: ClassVar[str] = InvalidRequest.code

    def __init__(self, errors: Iterable[FieldError]) -> None:
        super().__init__()
        self.errors = list(errors)


def status_of(error: KendraError | type[KendraError]) -> int:
    """Return the HTTP status of a failure."""
    return STATUS.get(error.code, 500)


def problem(error: KendraError, instance: str | None = None) -> Problem:
    """Return what a client is told."""
    status = status_of(error)
    detail = error.reason if status < 500 else type(error)().reason
    return Problem(
        type=f"urn:doordarshan:problem:{error.code}",
        title=HTTPStatus(status).phrase,
        status=status,
        code=error.code,
        detail=detail,
        instance=instance,
        errors=error.errors if isinstance(error, InvalidFields) else [],
    )


def response(error: KendraError, instance: str | None = None, headers: Mapping[str, str] | None = None) -> Response:
    """Return the HTTP answer of a failure."""
    said = problem(error, instance)
    exclude = {"errors"} if not said.errors else None
    sent = dict(headers or {})
    if error.retry_after is not None:
        sent["Retry-After"] = str(math.ceil(error.retry_after))
    if said.status == 401:
        sent["WWW-Authenticate"] = "Bearer"
    body = said.model_dump_json(by_alias=True, exclude_none=True, exclude=exclude)
    return Response(body, status_code=said.status, media_type=MEDIA_TYPE, headers=sent)


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer a KendraError that a route, or kendra, raised."""
    assert isinstance(error, KendraError)
    return response(error, _instance(request))


async def on_invalid(request: Request, error: Exception) -> Response:
    """Answer what FastAPI's validation found."""
    assert isinstance(error, RequestValidationError)
    return response(InvalidFields(map(_field_error, error.errors()[:MOST_ERRORS])), _instance(request))


async def on_http(request: Request, error: Exception) -> Response:
    """Answer what the framework refused by itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    known = {404: NotFound, 405: MethodNotAllowed}.get(error.status_code, InvalidRequest)
    return response(known(), _instance(request), error.headers)


def pointer(parts: Iterable[str | int]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901, section 6, without its percent-encoding)."""
    return "#" + "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def _field_error(error: Mapping[str, object]) -> FieldError:
    where = error["loc"]
    assert isinstance(where, tuple)
    detail = str(error["msg"])
    if where and where[0] != "body":
        return FieldError(parameter=str(where[-1]), detail=detail)
    return FieldError(pointer=pointer(where[1:]), detail=detail)


def _instance(request: Request) -> str | None:
    command = request.scope.get("state", {}).get("command_id")
    return None if command is None else f"urn:uuid:{command}"
