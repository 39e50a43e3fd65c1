"""Who may call: both kinds of tokens, and what each is refused."""

import base64
import json

import asyncpg
import pytest

from contracts.actor import Grant
from tests.eventually import eventually
from tests.services.conftest import MakeEdge
from tests.services.gateway_peers import KEY, SECRET, Edge, access_token, bearer

JOIN = {"participantId": "ann", "instanceId": "page-1"}


def unsigned() -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    claims = {"iss": KEY, "exp": 9_999_999_999, "meeting": "*", "grants": ["admin"]}
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


REFUSED = {
    "no token": {},
    "another scheme": {"Authorization": f"Basic {access_token()}"},
    "no JWT": bearer("abc"),
    "not even three parts of it": bearer("a.b.c"),
    "unsigned": bearer(unsigned()),
    "another algorithm": bearer(access_token(algorithm="HS512", secret=SECRET * 2)),
    "the key's secret with another algorithm": bearer(access_token(algorithm="HS384")),
    "another secret": bearer(access_token(secret="x" * 40)),
    "an unknown key": bearer(access_token(key="nobody")),
    "a key id that is none": bearer(access_token(key="a\0b")),
    "expired": bearer(access_token(seconds=-60)),
    "no expiry": bearer(access_token(exp=None)),
    "no meeting": bearer(access_token(meeting=None)),
    "a meeting that is no id": bearer(access_token(meeting="a b")),
    "a grant that there is not": bearer(access_token(grants=["fly"])),
    "an access token in the participants' name": bearer(access_token(key="doordarshan:participant")),
    "far too long": bearer(access_token(padding="x" * 5000)),
}


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_no_valid_token_is_unauthenticated(edge: Edge, headers: dict[str, str]) -> None:
    answer = await edge.http.get("/v1/meetings/standup", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert edge.kendra.asked == []


async def test_a_token_that_claims_more_than_its_key_carries_is_forbidden(edge: Edge) -> None:
    answer = await edge.http.get("/v1/servers", headers=edge.access(grants=["operator"]))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_only_an_operators_key_reaches_the_servers(edge: Edge) -> None:
    edge.add_key("ops", "acme", grants=(Grant.OPERATOR,))
    allowed = await edge.http.get("/v1/servers", headers=edge.access(key="ops", grants=["operator"]))
    admin = await edge.http.get("/v1/servers", headers=edge.access())
    assert (allowed.status_code, admin.status_code) == (200, 403)


async def test_a_revoked_key_ends_its_access_tokens_and_no_renewal_brings_them_back(edge: Edge) -> None:
    edge.add_key("leaked", "acme")
    assert (await edge.http.get("/v1/meetings/standup", headers=edge.access(key="leaked"))).status_code == 200
    seat = edge.seat(key="leaked")
    connection = await asyncpg.connect(edge.database.url)
    await connection.execute("update api_keys set revoked_at = now() where id = 'leaked'")
    await connection.close()

    async def refused() -> bool:
        return (await edge.http.get("/v1/meetings/standup", headers=edge.access(key="leaked"))).status_code == 401

    await eventually(refused)
    seated = await edge.http.get("/v1/meetings/standup", headers=seat)
    renewed = await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=seat)
    assert (seated.status_code, renewed.status_code) == (200, 401)


async def test_the_tenant_is_the_keys_and_nothing_else(edge: Edge) -> None:
    edge.add_key("globex-key", "globex", secret="another secret of another tenant, for tests")
    token = access_token(key="globex-key", secret="another secret of another tenant, for tests", tenant="acme")
    await edge.http.get("/v1/meetings/standup", headers=bearer(token))
    assert edge.kendra.last[1].tenant == "globex"


MISMATCHED = {
    "another meeting's access token": ("GET", "/v1/meetings/standup", {"meeting": "other"}),
    "a token without admin looks in": ("GET", "/v1/meetings/standup", {"grants": ["join", "produce", "consume"]}),
    "a token without admin ends": ("DELETE", "/v1/meetings/standup", {"grants": ["create", "join"]}),
    "a token without admin kicks": ("DELETE", "/v1/meetings/standup/participants/ann", {"grants": ["join"]}),
    "a token without admin asks why": ("GET", "/v1/meetings/standup/placement", {"grants": ["join"]}),
    "a token without a seat pauses": (
        "POST",
        "/v1/meetings/standup/participants/ann/producers/p/pause",
        {"grants": ["produce"], "sub": "ann"},
    ),
    "a token that names nobody leaves": ("POST", "/v1/meetings/standup/leave", {}),
}


@pytest.mark.parametrize(("method", "path", "claims"), MISMATCHED.values(), ids=MISMATCHED.keys())
async def test_what_an_access_token_does_not_grant_is_forbidden(
    edge: Edge, method: str, path: str, claims: dict[str, object]
) -> None:
    answer = await edge.http.request(method, path, headers=edge.access(**claims))
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert edge.kendra.asked == []


async def test_creating_wants_its_grant_and_the_meeting_the_token_names(edge: Edge) -> None:
    without = await edge.http.post("/v1/meetings", json={}, headers=edge.access(grants=["admin"]))
    other = await edge.http.post("/v1/meetings", json={"meetingId": "b"}, headers=edge.access(meeting="a"))
    named = await edge.http.post("/v1/meetings", json={}, headers=edge.access(meeting="a"))
    assert (without.status_code, other.status_code, named.status_code) == (403, 403, 201)
    assert edge.kendra.last[0].meeting_id == edge.kendra.last[1].meeting == "a"


SEATED = {
    "another participant's path": ("/v1/meetings/standup/participants/bob/producers/p/pause", {}),
    "another meeting's path": ("/v1/meetings/other/participants/ann/producers/p/pause", {}),
    "a seat without produce": ("/v1/meetings/standup/participants/ann/producers/p/pause", {"grants": ["consume"]}),
    "a seat without consume": ("/v1/meetings/standup/participants/ann/consumers/c/pause", {"grants": ["produce"]}),
    "a seat takes another's": ("/v1/meetings/standup/join", {}),
}


@pytest.mark.parametrize(("path", "seat"), SEATED.values(), ids=SEATED.keys())
async def test_what_a_participant_token_does_not_grant_is_forbidden(
    edge: Edge, path: str, seat: dict[str, object]
) -> None:
    body = {"participantId": "bob", "instanceId": "page-2"}
    answer = await edge.http.post(path, headers=edge.seat(**seat), json=body)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert edge.kendra.asked == []


async def test_a_seat_of_another_tenant_asks_in_its_own_tenants_name(edge: Edge) -> None:
    await edge.http.get("/v1/meetings/standup", headers=edge.seat(tenant="globex"))
    assert edge.kendra.last[1].tenant == "globex"


async def test_a_participant_token_cannot_create(edge: Edge) -> None:
    answer = await edge.http.post("/v1/meetings", json={}, headers=edge.seat(grants=["admin"]))
    assert answer.status_code == 403


@pytest.mark.parametrize("direction", ["send", "recv"])
async def test_each_direction_wants_its_own_grant(edge: Edge, direction: str) -> None:
    path, body = "/v1/meetings/standup/participants/ann/transports", {"direction": direction}
    right, wrong = ("produce", "consume") if direction == "send" else ("consume", "produce")
    allowed = await edge.http.post(path, json=body, headers=edge.seat(grants=[right]))
    refused = await edge.http.post(path, json=body, headers=edge.seat(grants=[wrong]))
    assert (allowed.status_code, refused.status_code) == (201, 403)


async def test_an_admin_acts_for_the_current_seat_of_the_participant_in_the_path(edge: Edge) -> None:
    path = "/v1/meetings/standup/participants/bob/producers/p/pause"
    for headers in (edge.access(), edge.seat("ann", grants=["admin"])):
        assert (await edge.http.post(path, headers=headers)).status_code == 204
        actor = edge.kendra.last[1].actor
        assert (actor.participant, actor.instance, actor.seat) == ("bob", None, None)


async def test_a_participant_acts_with_its_own_seat(edge: Edge) -> None:
    await edge.http.post("/v1/meetings/standup/leave", headers=edge.seat())
    actor = edge.kendra.last[1].actor
    assert (actor.key, actor.participant, actor.instance, actor.seat) == (KEY, "ann", "page-1", 3)
    assert set(actor.grants) == {"produce", "consume"}


async def test_join_gives_a_token_with_the_seat_and_without_the_grants_to_create_and_join(edge: Edge) -> None:
    joined = await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=edge.access())
    assert joined.status_code == 200
    assert set(joined.json()) == {
        "participantToken",
        "rtpCapabilities",
        "routerId",
        "epoch",
        "participants",
        "producers",
        "lastEventId",
    }
    await edge.http.get("/v1/meetings/standup", headers=bearer(joined.json()["participantToken"]))
    actor = edge.kendra.last[1].actor
    assert (actor.participant, actor.instance, actor.seat) == ("ann", "page-1", 3)
    assert set(actor.grants) == {"produce", "consume", "admin"}


async def test_an_invitation_joins_as_nobody_and_a_named_token_only_as_its_participant(edge: Edge) -> None:
    await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=edge.access(grants=["join"]))
    assert edge.kendra.last[1].actor.participant is None
    await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=edge.access(grants=["join"], sub="ann"))
    assert edge.kendra.last[1].actor.participant == "ann"
    other = await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=edge.access(sub="bob"))
    assert other.status_code == 403


async def test_a_participant_token_is_renewed_by_joining_with_it(edge: Edge) -> None:
    answer = await edge.http.post("/v1/meetings/standup/join", json=JOIN, headers=edge.seat(seconds=30))
    assert answer.status_code == 200
    actor = edge.kendra.last[1].actor
    assert (actor.participant, actor.instance, actor.seat) == ("ann", "page-1", 3)


async def test_a_participant_token_expires(edge: Edge) -> None:
    answer = await edge.http.get("/v1/meetings/standup", headers=edge.seat(seconds=-60))
    assert answer.status_code == 401


async def test_known_keys_work_while_postgres_is_away_and_unknown_ones_are_unavailable(make_edge: MakeEdge) -> None:
    async with make_edge() as edge:
        assert (await edge.http.get("/v1/meetings/standup", headers=edge.access())).status_code == 200
        await edge.gateway.edge.keys.stop()
        known = await edge.http.get("/v1/meetings/standup", headers=edge.access())
        unknown = await edge.http.get("/v1/meetings/standup", headers=edge.access(key="other"))
        seated = await edge.http.get("/v1/meetings/standup", headers=edge.seat())
        assert (known.status_code, unknown.status_code, seated.status_code) == (200, 503, 200)
        assert unknown.headers["Retry-After"] == "1"
