"""The description of the API is what the API does: a fuzzer that knows it, and every documented failure made to happen."""

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.failure import ERRORS
from services.gateway.problems import STATUS
from tests.services.gateway_answers import ANSWERS
from tests.services.gateway_peers import Edge

IDS = {
    "meeting": "standup",
    "participant": "ann",
    "transport": "t-1",
    "producer": "p-1",
    "consumer": "c-1",
    "server": "ms-1",
}
BODIES: dict[str, Any] = {
    "create_meeting": {},
    "join_meeting": {"participantId": "ann", "instanceId": "page-1"},
    "recreate_transport": {"direction": "send"},
    "connect_transport": {"dtlsParameters": {"fingerprints": []}},
    "create_producer": {"transportId": "t-1", "kind": "audio", "rtpParameters": {"codecs": []}},
    "create_consumer": {"producerId": "p-1", "rtpCapabilities": {}},
    "set_preferred_layers": {"spatialLayer": 0},
}
OF_THE_GATEWAY = {"unauthenticated", "rate_limited", "payload_too_large"}
FLOWS = {
    "create_meeting", "get_meeting", "end_meeting", "get_placement", "join_meeting", "leave_meeting", "kick_participant",
    "recreate_transport", "connect_transport", "restart_ice", "close_transport", "get_transport_stats",
    "create_producer", "list_producers", "pause_producer", "resume_producer", "close_producer", "get_producer_stats",
    "create_consumer", "pause_consumer", "resume_consumer", "set_preferred_layers", "request_key_frame", "close_consumer",
    "get_consumer_stats", "follow_events", "list_servers", "drain_server", "undrain_server", "livez", "readyz",
}  # fmt: skip


async def document(edge: Edge) -> dict[str, Any]:
    found: dict[str, Any] = (await edge.http.get("/openapi.json")).json()
    return found


def operations(of: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(method, path, operation) for path, methods in of["paths"].items() for method, operation in methods.items()]


async def call(edge: Edge, method: str, path: str, operation: dict[str, Any]) -> Any:
    headers = edge.access(
        key="everything", grants=["create", "join", "produce", "consume", "admin", "operator"], sub="ann"
    )
    body = BODIES.get(operation["operationId"])
    return await edge.http.request(method.upper(), path.format(**IDS), headers=headers, json=body)


async def test_every_flow_is_described_by_its_name(edge: Edge) -> None:
    described = operations(await document(edge))
    assert {operation["operationId"] for _, _, operation in described} == FLOWS
    for method, path, operation in described:
        if path.startswith("/v1/"):
            assert operation["security"]
            takes_a_key = "Idempotency-Key" in {parameter["name"] for parameter in operation.get("parameters", ())}
            assert takes_a_key == (method == "post")


async def test_every_documented_failure_happens_with_its_status_and_code(edge: Edge) -> None:
    edge.add_key("everything", "acme")
    for method, path, operation in operations(await document(edge)):
        for status, answer in operation["responses"].items():
            for code in set(answer.get("x-codes", ())) - OF_THE_GATEWAY:
                edge.kendra.answers.update(dict.fromkeys(ANSWERS, ERRORS[code]()))
                said = await call(edge, method, path, operation)
                assert (said.status_code, said.json()["code"]) == (int(status), code), (method, path)
                assert STATUS[code] == int(status)


async def test_every_documented_success_happens_in_its_shape(edge: Edge) -> None:
    edge.add_key("everything", "acme")
    described = await document(edge)
    for method, path, operation in operations(described):
        if operation["operationId"] == "follow_events":
            continue
        said = await call(edge, method, path, operation)
        documented = {int(status) for status in operation["responses"] if status < "3"}
        assert said.status_code in documented, (method, path, said.text)
        assert (said.status_code == 204) == (said.content == b"")


async def test_what_the_gateway_itself_refuses_is_documented_everywhere(edge: Edge) -> None:
    for _, path, operation in operations(await document(edge)):
        if path.startswith("/v1/"):
            documented = {code for answer in operation["responses"].values() for code in answer.get("x-codes", ())}
            own = {
                "unauthenticated",
                "forbidden",
                "invalid_request",
                "rate_limited",
                "unavailable",
                "deadline_exceeded",
                "internal",
            }
            assert own <= documented
            assert ("payload_too_large" in documented) == ("requestBody" in operation)


async def test_a_fuzzer_finds_no_answer_that_is_not_described(edge: Edge) -> None:
    """Schemathesis makes requests from the description, well-formed and not, against the real port."""
    edge.add_key("everything", "acme")
    headers = edge.access(
        key="everything", grants=["create", "join", "produce", "consume", "admin", "operator"], sub="ann"
    )
    described = await document(edge)
    described["paths"].pop("/v1/meetings/{meeting}/events")
    schema = schemathesis.openapi.from_dict(described)
    schema.config.update(base_url=str(edge.http.base_url).rstrip("/"), headers=headers)
    await asyncio.to_thread(fuzz, schema)


def fuzz(schema: Any) -> None:
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
        negative_data_rejection,
    ]
    cases = st.one_of(
        *(found.ok().as_strategy(generation_mode=mode) for found in schema.get_all_operations() for mode in MODES)
    )

    @given(case=cases)
    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=list(HealthCheck), derandomize=True)
    def every_answer_is_described(case: Any) -> None:
        case.call_and_validate(checks=checks)

    every_answer_is_described()


MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
