"""The API described: each route says who may call it and which failures it has; the rest of OpenAPI is filled in here, once."""

from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from enum import Enum
from typing import TypeVar, cast

from fastapi import APIRouter, FastAPI
from fastapi.datastructures import Default
from fastapi.openapi.utils import get_openapi
from pydantic import JsonValue
from pydantic.json_schema import models_json_schema
from starlette.responses import JSONResponse, Response

from contracts.failure import (
    Busy,
    DeadlineExceeded,
    Forbidden,
    IdempotencyKeyReused,
    Internal,
    InvalidRequest,
    KendraError,
    MediaServerUnavailable,
    MeetingNotFound,
    ParticipantNotFound,
    PayloadTooLarge,
    RateLimited,
    StaleEpoch,
    StaleInstance,
    Unauthenticated,
    Unavailable,
    UnknownCommand,
)
from services.gateway.edge import EdgeRoute
from services.gateway.problems import MEDIA_TYPE, STATUS, Problem

JsonObject = dict[str, JsonValue]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[object, object, object]])
Errors = Iterable[type[KendraError]]

VERSION = "1.0.0"
ALWAYS: tuple[type[KendraError], ...] = (
    Unauthenticated,
    Forbidden,
    InvalidRequest,
    RateLimited,
    Internal,
    UnknownCommand,
    Unavailable,
    DeadlineExceeded,
)
"""What every route behind the edge can answer."""

CHANGES: tuple[type[KendraError], ...] = (IdempotencyKeyReused, Busy)
"""What every POST and DELETE can answer besides."""

ALONG_A_SEAT: tuple[type[KendraError], ...] = (
    MeetingNotFound,
    ParticipantNotFound,
    StaleInstance,
    StaleEpoch,
    MediaServerUnavailable,
)
"""What everything that a participant does on a media server can answer besides."""


class Bearer(Enum):
    """The tokens a route takes."""

    ACCESS = ("accessToken",)
    PARTICIPANT = ("participantToken", "accessToken")


class Flows(APIRouter):
    """A table of flows: a route is named as its flow, sits behind the edge and states its failures."""

    def __init__(self, tag: str) -> None:
        super().__init__(prefix="/v1", tags=[tag], route_class=EdgeRoute)

    def flow(
        self,
        method: str,
        path: str,
        *,
        by: Bearer,
        errors: Errors = (),
        status: int = 200,
        also: Mapping[str, object] | None = None,
        parameters: Sequence[JsonValue] = (),
        response_class: type[Response] | None = None,
    ) -> Callable[[Endpoint], Endpoint]:
        """Add a route: `by` are the tokens it takes, `errors` its own failures, `also` further answers by their status.

        With a `response_class` the route makes its answer itself.
        """
        every = (*ALWAYS, *(() if method == "GET" else CHANGES), *errors)
        extra: JsonObject = {"security": [{scheme: []} for scheme in by.value]}
        if parameters:
            extra["parameters"] = list(parameters)
        return self.api_route(
            path,
            methods=[method],
            status_code=status,
            response_model=Default(None) if response_class is None else None,
            response_class=response_class or Default(JSONResponse),
            response_model_exclude_none=True,
            responses={**described(every), **cast(dict[int | str, dict[str, object]], also or {})},
            openapi_extra=extra,
        )


def described(errors: Errors) -> dict[int | str, dict[str, object]]:
    """Return OpenAPI's responses of failures, grouped by status, their codes in `x-codes`."""
    codes: dict[int, set[str]] = defaultdict(set)
    sentences: dict[str, str] = {}
    for error in errors:
        codes[STATUS[error.code]].add(error.code)
        sentences[error.code] = error().reason
    return {status: _response(sorted(of), sentences) for status, of in sorted(codes.items())}


def _response(codes: list[str], sentences: dict[str, str]) -> dict[str, object]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "\n\n".join(f"`{code}`: {sentences[code]}" for code in codes),
        "content": {MEDIA_TYPE: {"schema": schema}},
        "x-codes": codes,
    }


def describe(app: FastAPI) -> JsonObject:
    """Return the OpenAPI document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        for operations in document["paths"].values():
            for method, operation in operations.items():
                _complete(method, operation)
        components = document.setdefault("components", {})
        _, schemas = models_json_schema([(Problem, "serialization")], ref_template="#/components/schemas/{model}")
        components.setdefault("schemas", {}).update(schemas["$defs"])
        components["securitySchemes"] = SCHEMES
        app.openapi_schema = document
    return cast(JsonObject, app.openapi_schema)


def _complete(method: str, operation: dict[str, JsonValue]) -> None:
    """Say what the edge does for every route: keys of POSTs, the size of bodies."""
    responses = cast(dict[str, JsonValue], operation["responses"])
    if "requestBody" in operation:
        responses.update({str(status): cast(JsonValue, said) for status, said in described([PayloadTooLarge]).items()})
    if method == "post" and "security" in operation:
        cast(list[JsonValue], operation.setdefault("parameters", [])).append(IDEMPOTENCY_KEY)


IDEMPOTENCY_KEY: JsonObject = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeat a request with the same key and body, and it has its effect once. Kept a day.",
    "schema": {"type": "string", "pattern": r"^[!-~]([ -~]{0,253}[!-~])?$"},
}

SCHEMES: JsonObject = {
    "accessToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "Signed by the tenant's backend with an API secret (HS256): `iss` = API key id, `exp`, `meeting` = id or `*`, "
        "`grants` of create, join, produce, consume, admin, operator; `sub` = participant, if any.",
    },
    "participantToken": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "The answer of join: one participant's seat in one meeting.",
    },
}
