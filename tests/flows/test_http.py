"""The HTTP API as a table: each route's status and what its answer holds, and that each POST repeated with its key answers the same."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from services.cli.participant.api import JsonObject
from tests.flows.people import Meeting, opus

VP8: JsonObject = {
    "codecs": [
        {
            "mimeType": "video/VP8",
            "payloadType": 96,
            "clockRate": 90000,
            "rtcpFeedback": [{"type": "nack", "parameter": "pli"}],
        }
    ],
    "encodings": [{"ssrc": 2222}],
    "rtcp": {"cname": "test"},
}
DTLS: JsonObject = {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]}
TRANSPORT = {
    "id", "iceParameters", "iceCandidates", "dtlsParameters", "iceServers", "closedProducerIds", "closedConsumerIds"
}  # fmt: skip
JOINED = {"participantToken", "rtpCapabilities", "routerId", "epoch", "participants", "producers", "lastEventId"}


class Http:
    """Plain HTTP with a token: no repeats, no help."""

    def __init__(self, url: str, described: Mapping[str, Any]) -> None:
        self.client = httpx2.AsyncClient(base_url=f"{url}/v1", timeout=6)
        self._described = {re.compile(re.sub(r"{\w+}", "[^/]+", path)): of for path, of in described["paths"].items()}

    async def ask(
        self, method: str, path: str, token: str, body: JsonObject | None = None, **headers: str
    ) -> httpx2.Response:
        """Return the answer. Its status, and the code of a problem, are what the description says of that route."""
        answer = await self.client.request(
            method, path, json=body, headers={"Authorization": f"Bearer {token}"} | headers
        )
        of = next(of for pattern, of in self._described.items() if pattern.fullmatch(f"/v1{path}"))
        said = of[method.lower()]["responses"][str(answer.status_code)]
        assert answer.is_success or answer.json()["code"] in said["x-codes"], (method, path, answer.text)
        return answer

    async def call(self, method: str, path: str, token: str, body: JsonObject | None = None, **headers: str) -> Any:
        """Return the answer's status and its JSON, None without content."""
        answer = await self.ask(method, path, token, body, **headers)
        return answer.status_code, answer.json() if answer.content else None

    async def once(self, path: str, token: str, body: JsonObject | None = None) -> Any:
        """POST twice with one Idempotency-Key; return what both times was answered."""
        key = {"Idempotency-Key": uuid4().hex}
        first, again = [await self.call("POST", path, token, body, **key) for _ in range(2)]
        for answer in (first, again):
            if answer[1] and "participantToken" in answer[1]:
                assert answer[1].pop("participantToken").count(".") == 2  # each says when it was signed
        assert again == first, path
        return first


@pytest.fixture
async def http(meeting: Meeting) -> AsyncIterator[Http]:
    async with httpx2.AsyncClient(base_url=meeting.system.url, timeout=6) as client:
        found = Http(meeting.system.url, (await client.get("/openapi.json")).json())
    yield found
    await found.client.aclose()


async def seat(http: Http, meeting: Meeting, who: str) -> str:
    """Join; return the participant token."""
    token = meeting.system.token(meeting=meeting.id, grants=["join", "produce", "consume"])
    body: JsonObject = {"participantId": who, "instanceId": f"{who}-1"}
    status, joined = await http.call("POST", f"/meetings/{meeting.id}/join", token, body)
    assert (status, joined.keys()) == (200, JOINED)
    return str(joined["participantToken"])


async def test_each_route_answers_as_described_and_a_repeat_with_its_key_the_same(http: Http, meeting: Meeting) -> None:
    here = f"/meetings/{meeting.id}"
    admin = meeting.system.token(meeting=meeting.id, grants=["create", "join", "produce", "consume", "admin"])

    status, created = await http.once("/meetings", admin, {"meetingId": meeting.id})
    assert (status, created.keys()) == (201, {"meetingId", "mediaServerId", "routerId", "epoch", "state"})
    assert await http.call("POST", "/meetings", admin, {"meetingId": meeting.id}) == (200, created)
    status, joined = await http.once(f"{here}/join", admin, {"participantId": "ravi", "instanceId": "r1"})
    assert (status, joined.keys()) == (200, JOINED - {"participantToken"})
    asha = await seat(http, meeting, "asha")
    mine = f"{here}/participants/asha"

    status, send = await http.once(f"{mine}/transports", asha, {"direction": "send"})
    assert (status, send.keys()) == (201, TRANSPORT)
    _, recv = await http.once(f"{mine}/transports", asha, {"direction": "recv"})
    transport = f"{mine}/transports/{send['id']}"
    assert await http.once(f"{transport}/connect", asha, {"dtlsParameters": DTLS}) == (204, None)
    status, restarted = await http.once(f"{transport}/restart-ice", asha)
    assert (status, restarted.keys()) == (200, {"iceParameters"})

    order: JsonObject = {"transportId": send["id"], "kind": "video", "rtpParameters": VP8, "appData": {"a": 1}}
    status, producer = await http.once(f"{mine}/producers", asha, order)
    assert (status, producer.keys()) == (201, {"id"})
    for verb in ("pause", "resume"):
        assert await http.once(f"{mine}/producers/{producer['id']}/{verb}", asha) == (204, None)
    sent = {"id": producer["id"], "participantId": "asha", "kind": "video", "paused": False, "appData": {"a": 1}}
    assert await http.call("GET", f"{here}/producers", asha) == (200, {"producers": [sent]})

    order = {"producerId": producer["id"], "rtpCapabilities": joined["rtpCapabilities"]}
    status, consumer = await http.once(f"{mine}/consumers", asha, order)
    assert (status, consumer.keys()) == (
        201,
        {"id", "producerId", "kind", "rtpParameters", "type", "producerPaused"},
    )
    of_consumer = f"{mine}/consumers/{consumer['id']}"
    for verb in ("resume", "pause", "keyframe"):
        assert await http.once(f"{of_consumer}/{verb}", asha) == (204, None)
    status, problem = await http.call("POST", f"{of_consumer}/layers", asha, {"spatialLayer": 0})
    assert (status, problem["code"]) == (409, "invalid_state")  # one stream has no layers
    for what in (transport, f"{mine}/producers/{producer['id']}", of_consumer):
        status, stats = await http.call("GET", f"{what}/stats", asha)
        assert (status, type(stats), all("type" in one for one in stats)) == (200, list, True)

    status, details = await http.call("GET", here, asha)
    assert status == 200
    assert {one["participantId"] for one in details["participants"]} == {"asha", "ravi"}
    assert {one["id"] for one in details["ownTransports"]} == {send["id"], recv["id"]}
    assert [one["id"] for one in details["ownProducers"]] == [producer["id"]]
    assert [one["id"] for one in details["ownConsumers"]] == [consumer["id"]]
    assert details["lastEventId"] == (await meeting.events())[-1][0]

    for what in (of_consumer, f"{mine}/producers/{producer['id']}", transport):
        assert await http.call("DELETE", what, asha) == (204, None)
    assert await http.once(f"{here}/leave", asha) == (204, None)
    assert await http.call("DELETE", f"{here}/participants/ravi", admin) == (204, None)
    assert await http.call("DELETE", here, admin) == (204, None)
    assert [name for _, name in await meeting.events()].count("ParticipantLeft") == 2


async def test_an_admin_acts_for_the_participant_in_the_path(http: Http, meeting: Meeting) -> None:
    await meeting.create()
    await seat(http, meeting, "asha")
    admin = meeting.system.token(meeting=meeting.id, grants=["admin"])
    mine = f"/meetings/{meeting.id}/participants/asha"
    status, send = await http.call("POST", f"{mine}/transports", admin, {"direction": "send"})
    order: JsonObject = {"transportId": send["id"], "kind": "audio", "rtpParameters": opus(1)}
    assert (status, (await http.call("POST", f"{mine}/producers", admin, order))[0]) == (201, 201)
    row = await meeting.system.postgres.fetchrow("select * from producers where meeting = $1", meeting.id)
    assert row["participant"] == "asha"
    nobody = f"/meetings/{meeting.id}/participants/nobody/transports"
    status, problem = await http.call("POST", nobody, admin, {"direction": "send"})
    assert (status, problem["code"]) == (404, "participant_not_found")


REFUSED: Mapping[str, tuple[str, str, JsonObject | None, int, str]] = {
    "another meeting's name": ("GET", "/meetings/never-was", None, 404, "meeting_not_found"),
    "other settings": ("POST", "/meetings", {"meetingId": "…", "capacity": {"producers": 9}}, 409, "meeting_exists"),
    "an unknown field": ("POST", "/meetings", {"meetingId": "…", "colour": "red"}, 422, "invalid_request"),
    "a direction that is none": ("POST", "…/participants/asha/transports", {"direction": "up"}, 422, "invalid_request"),
    "no such transport": (
        "POST",
        "…/participants/asha/producers",
        {"transportId": "none", "kind": "audio", "rtpParameters": opus(1)},
        404,
        "transport_not_found",
    ),
    "no such producer": ("DELETE", "…/participants/asha/producers/none", None, 404, "producer_not_found"),
    "no such consumer": ("DELETE", "…/participants/asha/consumers/none", None, 404, "consumer_not_found"),
    "a full meeting": ("POST", "…/join", {"participantId": "late", "instanceId": "1"}, 409, "meeting_full"),
    "a server that is not there": ("POST", "/servers/none/drain", None, 404, "media_server_not_found"),
    "too much": ("POST", "/meetings", {"meetingId": "m" * 300_000}, 413, "payload_too_large"),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_has_a_status_and_a_code_of_its_own(http: Http, meeting: Meeting, name: str) -> None:
    method, path, body, status, code = REFUSED[name]
    await meeting.create(participants=1, producers=1)
    await seat(http, meeting, "asha")
    if body and body.get("meetingId") == "…":
        body = {**body, "meetingId": meeting.id}
    path = path.replace("…", f"/meetings/{meeting.id}")
    everything = meeting.system.token()
    answer = await http.ask(method, path, everything, body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_a_repeat_of_what_was_undone_since_does_not_do_it_again(http: Http, meeting: Meeting) -> None:
    here, token = f"/meetings/{meeting.id}", meeting.system.token()
    body: JsonObject = {"meetingId": meeting.id}
    join: JsonObject = {"participantId": "asha", "instanceId": "a1"}
    key = {"Idempotency-Key": "the same"}
    assert (await http.call("POST", "/meetings", token, body, **key))[0] == 201
    assert (await http.call("POST", f"{here}/join", token, join, **key))[0] == 200
    assert (await http.call("DELETE", f"{here}/participants/asha", token))[0] == 204
    status, problem = await http.call("POST", f"{here}/join", token, join, **key)
    assert (status, problem["code"]) == (409, "stale_instance")
    status, problem = await http.call("POST", f"{here}/join", token, {**join, "instanceId": "a2"}, **key)
    assert (status, problem["code"]) == (422, "idempotency_key_reused")
    assert (await http.call("DELETE", here, token))[0] == 204
    status, problem = await http.call("POST", "/meetings", token, body, **key)
    assert (status, problem["code"]) == (404, "meeting_not_found")


async def test_no_capacity_says_when_to_come_again(http: Http, meeting: Meeting) -> None:
    body: JsonObject = {"meetingId": meeting.id, "capacity": {"participants": 10_000, "producers": 10_000}}
    answer = await http.ask("POST", "/meetings", meeting.system.token(), body)
    assert (answer.status_code, answer.json()["code"]) == (503, "no_capacity")
    assert int(answer.headers["Retry-After"]) > 0


async def test_another_tenant_finds_nothing(http: Http, meeting: Meeting) -> None:
    await meeting.create()
    await seat(http, meeting, "asha")
    token = meeting.system.make_tenant("globex", "globex-key")
    for path in ("", "/producers", "/placement", "/events"):
        status, problem = await http.call("GET", f"/meetings/{meeting.id}{path}", token(meeting=meeting.id))
        assert (status, problem["code"].endswith("_not_found")) == (404, True), path


async def test_what_is_beside_the_api_needs_no_token_and_metrics_have_a_port_of_their_own(meeting: Meeting) -> None:
    async with httpx2.AsyncClient(base_url=meeting.system.url, timeout=6) as client:
        answers = {
            path: (await client.get(path)).status_code for path in ("/livez", "/readyz", "/openapi.json", "/docs")
        }
        metrics = await client.get("/metrics")
        own = await client.get(f"{meeting.system.admin_url('gateway-1')}/metrics")
    assert set(answers.values()) == {200}
    assert metrics.status_code == 404
    assert "doordarshan_http_seconds" in own.text
