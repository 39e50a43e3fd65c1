"""What the gateway makes of a request: bodies, command ids, failures."""

from uuid import UUID

import pytest

from contracts import failure
from contracts.actor import Grant
from contracts.create_meeting import CreateMeeting
from contracts.create_producer import CreateProducer
from contracts.details import GetMeeting
from contracts.failure import ERRORS, KendraError
from contracts.ids import MediaServerId
from contracts.servers import DrainServer
from services.gateway.problems import STATUS
from tests.services.gateway_answers import ANSWERS
from tests.services.gateway_peers import Edge

PRODUCERS = "/v1/meetings/standup/participants/ann/producers"
PRODUCER = {
    "transportId": "t-1",
    "kind": "audio",
    "rtpParameters": {
        "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "odd": {"a": [1]}}]
    },
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS.keys())
async def test_every_failure_has_its_status_and_nothing_internal_leaves(edge: Edge, error: type[KendraError]) -> None:
    edge.kendra.answers[GetMeeting] = error("select secret from api_keys")
    answer = await edge.http.get("/v1/meetings/standup", headers=edge.access())
    said = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, said["status"], said["code"]) == (STATUS[error.code], STATUS[error.code], error.code)
    assert ("secret" in said["detail"]) == (answer.status_code < 500)
    assert UUID(said["instance"].removeprefix("urn:uuid:")) == edge.kendra.last[1].command_id
    assert ("Retry-After" in answer.headers) == (error.retry_after is not None)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_what_a_browser_adds_to_its_parameters_arrives_untouched(edge: Edge) -> None:
    answer = await edge.http.post(PRODUCERS, json=PRODUCER, headers=edge.seat())
    assert (answer.status_code, answer.json()) == (201, {"id": "p-1"})
    order, _ = edge.kendra.last
    assert type(order) is CreateProducer
    assert order.rtp_parameters.as_json() == PRODUCER["rtpParameters"]


async def test_an_unknown_field_is_refused_with_a_pointer_to_it(edge: Edge) -> None:
    bodies = ({"meetingid": "a"}, {"capacity": {"participants": 2, "rooms": 1}}, {"capacity": {"participants": 0}})
    pointers = []
    for body in bodies:
        answer = await edge.http.post("/v1/meetings", json=body, headers=edge.access())
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
        pointers += [error["pointer"] for error in answer.json()["errors"]]
    assert pointers == ["#/meetingid", "#/capacity/rooms", "#/capacity/participants"]


async def test_a_body_of_wrong_fields_is_answered_briefly(edge: Edge) -> None:
    answer = await edge.http.post("/v1/meetings", json={f"x{n}": n for n in range(10_000)}, headers=edge.access())
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert 1 < len(answer.json()["errors"]) <= 20


async def test_a_path_that_is_no_id_is_refused_by_name(edge: Edge) -> None:
    answer = await edge.http.get("/v1/meetings/a%20b", headers=edge.access())
    assert answer.status_code == 422
    assert [error["parameter"] for error in answer.json()["errors"]] == ["meeting"]


BROKEN = {
    "no JSON": b"{",
    "no UTF-8": b'{"meetingId": "\xff"}',
    "UTF-16": '{"meetingId": "a"}'.encode("utf-16"),
    "NaN": b'{"capacity": {"participants": NaN}}',
    "infinity": b'{"capacity": {"participants": 1e999}}',
    "a NUL": b'{"meetingId": "a\\u0000b"}',
    "a NUL in a name": b'{"a\\u0000b": 1}',
    "a lone surrogate": b'{"meetingId": "\\ud800"}',
    "nested deeper than 32": b"[" * 33 + b"]" * 33,
    "nested so deep that a parser gives up": b"[" * 100_000,
    "no object": b"3",
    "nothing": b"",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN.keys())
async def test_what_no_room_behind_could_store_is_an_invalid_request(edge: Edge, body: bytes) -> None:
    headers = edge.access() | {"Content-Type": "application/json"}
    answer = await edge.http.post("/v1/meetings", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert edge.kendra.asked == []


async def test_a_backslash_before_u0000_is_text(edge: Edge) -> None:
    body = {**PRODUCER, "appData": {"text": "\\u0000", "deep": {"emoji": "\U0001f600"}}}
    answer = await edge.http.post(PRODUCERS, json=body, headers=edge.seat())
    assert answer.status_code == 201
    assert edge.kendra.last[0].app_data == body["appData"]


async def test_more_than_256_kib_is_too_large_whether_announced_or_not(edge: Edge) -> None:
    async def chunks():  # type: ignore[no-untyped-def]
        for _ in range(5):
            yield b" " * 65_536

    headers = edge.access() | {"Content-Type": "application/json"}
    announced = await edge.http.post("/v1/meetings", content=b" " * 262_145, headers=headers)
    chunked = await edge.http.post("/v1/meetings", content=chunks(), headers=headers)
    for answer in (announced, chunked):
        assert (answer.status_code, answer.json()["code"]) == (413, "payload_too_large")


async def test_a_body_of_256_kib_passes(edge: Edge) -> None:
    body = b'{"meetingId": "a"' + b" " * (262_144 - 18) + b"}"
    answer = await edge.http.post(
        "/v1/meetings", content=body, headers=edge.access() | {"Content-Type": "application/json"}
    )
    assert answer.status_code == 201


async def test_a_repeat_with_the_same_key_has_the_same_command_id_and_another_request_another(edge: Edge) -> None:
    async def command_of(path: str, headers: dict[str, str], key: str, body: object = None) -> UUID:
        await edge.http.post(path, json=body or {}, headers=headers | {"Idempotency-Key": key})
        return edge.kendra.last[1].command_id

    pause, resume = f"{PRODUCERS}/p/pause", f"{PRODUCERS}/p/resume"
    first = await command_of(pause, edge.seat(), "k")
    assert await command_of(pause, edge.seat(), "k") == first
    others = [
        await command_of(pause, edge.seat(), "l"),
        await command_of(resume, edge.seat(), "k"),
        await command_of(pause, edge.seat(seat=4), "k"),
        await command_of(pause, edge.seat(tenant="globex"), "k"),
        await command_of(pause, edge.access(), "k"),
    ]
    assert len({first, *others}) == 6


async def test_without_a_key_every_command_is_a_new_one(edge: Edge) -> None:
    for _ in range(2):
        await edge.http.post("/v1/meetings", json={}, headers=edge.access())
    ids = {call.command_id for _, call in edge.kendra.asked}
    meetings = {order.meeting_id for order, _ in edge.kendra.asked}  # type: ignore[attr-defined]
    assert len(ids) == len(meetings) == 2


async def test_a_meeting_without_an_id_gets_the_same_one_when_repeated(edge: Edge) -> None:
    for _ in range(2):
        await edge.http.post("/v1/meetings", json={}, headers=edge.access() | {"Idempotency-Key": "k"})
    (first, call), (second, _) = edge.kendra.asked
    assert isinstance(first, CreateMeeting)
    assert first == second
    assert first.meeting_id == call.meeting


async def test_the_hash_covers_what_the_body_says_not_how(edge: Edge) -> None:
    headers = edge.access() | {"Content-Type": "application/json", "Idempotency-Key": "k"}
    for body in (
        b'{"meetingId":"a","capacity":{}}',
        b' {"capacity": {}, "meetingId": "\\u0061"}',
        b'{"meetingId":"a"}',
    ):
        await edge.http.post("/v1/meetings", content=body, headers=headers)
    first, second, third = (call.body_hash for _, call in edge.kendra.asked)
    assert first == second != third


@pytest.mark.parametrize("key", ["", "ä", "a\tb", "x" * 256])
async def test_a_key_that_is_none_is_refused(edge: Edge, key: str) -> None:
    headers = edge.access() | {"Idempotency-Key": key}
    answer = await edge.http.post(
        "/v1/meetings", json={}, headers=[(n, v.encode("latin-1")) for n, v in headers.items()]
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_a_meeting_that_ran_already_is_200(edge: Edge) -> None:
    created = ANSWERS[CreateMeeting]
    edge.kendra.answers[CreateMeeting] = created.model_copy(update={"repeated": True})
    answer = await edge.http.post("/v1/meetings", json={"meetingId": "standup"}, headers=edge.access())
    assert answer.status_code == 200
    assert answer.json() == {
        "meetingId": "standup",
        "mediaServerId": "ms-1",
        "routerId": "r-1",
        "epoch": 1,
        "state": "placed",
    }


async def test_a_trace_goes_on_and_a_broken_one_is_begun_anew(edge: Edge) -> None:
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await edge.http.get("/v1/meetings/standup", headers=edge.access() | {"traceparent": trace})
    assert (edge.kendra.last[1].traceparent or "")[:35] == trace[:35]
    await edge.http.get("/v1/meetings/standup", headers=edge.access() | {"traceparent": "00-0-0-01"})
    assert (edge.kendra.last[1].traceparent or "").startswith("00-")


async def test_a_drain_says_in_its_body_how_long_it_may_take_and_needs_none(edge: Edge) -> None:
    edge.add_key("drains", "acme", grants=(Grant.OPERATOR,))
    path, headers = "/v1/servers/ms-1/drain", edge.access(key="drains", grants=["operator"])
    for body, seconds in ((b"", 60.0), (b"{}", 60.0), (b'{"deadlineSeconds": 5}', 5.0)):
        answer = await edge.http.post(path, content=body, headers=headers | {"Content-Type": "application/json"})
        assert answer.status_code == 204, answer.text
        assert edge.kendra.last[0] == DrainServer(media_server_id=MediaServerId("ms-1"), deadline_seconds=seconds)
    assert (await edge.http.post(path, headers=headers)).status_code == 204
    for wrong in (
        {"deadline": 5},
        {"deadlineSeconds": -1},
        {"deadlineSeconds": "soon"},
        {"deadlineSeconds": 1e6},
        [],
        5,
    ):
        answer = await edge.http.post(path, json=wrong, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), wrong


async def test_what_is_no_route_is_a_problem_too(edge: Edge) -> None:
    unknown = await edge.http.get("/v1/rooms")
    method = await edge.http.put("/v1/meetings")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    assert (method.status_code, method.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in method.headers["Allow"]


def test_every_code_has_a_status() -> None:
    assert set(ERRORS) <= set(STATUS)
    assert STATUS[failure.Internal.code] == 500
