"""What browsers see: other origins, the page, the description of the API; and limits on how often anybody calls."""

from pathlib import Path

import psycopg
import pytest

from services.gateway.limits import network_of
from tests.eventually import eventually
from tests.services.conftest import MakeEdge
from tests.services.gateway_peers import Edge, bearer

ACME, GLOBEX = "https://app.acme.example", "https://app.globex.example"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,idempotency-key"}
MEETING = "/v1/meetings/standup"


@pytest.fixture
async def edge(edge: Edge) -> Edge:
    """The module's gateway, with a web origin for each of two tenants."""
    edge.add_key("globex-key", "globex")
    with psycopg.connect(edge.database.url) as connection:
        for tenant, origin in (("acme", ACME), ("globex", GLOBEX)):
            connection.execute("update tenants set allowed_origins = %s where id = %s", ([origin], tenant))

    async def known() -> bool:
        keys = edge.gateway.edge.keys
        return await keys.is_known_origin(ACME) and await keys.is_known_origin(GLOBEX)

    await eventually(known)
    return edge


@pytest.mark.parametrize("origin", [ACME, GLOBEX])
async def test_a_preflight_passes_if_any_tenant_lists_the_origin(edge: Edge, origin: str) -> None:
    answer = await edge.http.options(MEETING, headers=PREFLIGHT | {"Origin": origin})
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    assert {"GET", "POST", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    headers = {name.lower() for name in answer.headers["Access-Control-Allow-Headers"].split(", ")}
    assert {"authorization", "content-type", "idempotency-key", "last-event-id"} <= headers
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "x" * 300])
async def test_a_preflight_of_an_origin_that_nobody_lists_fails(edge: Edge, origin: str) -> None:
    answer = await edge.http.options(MEETING, headers=PREFLIGHT | {"Origin": origin})
    assert answer.status_code == 403
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_a_call_passes_only_if_its_own_tenant_lists_the_origin(edge: Edge) -> None:
    own = await edge.http.get(MEETING, headers=edge.access() | {"Origin": ACME})
    assert (own.status_code, own.headers["Access-Control-Allow-Origin"], own.headers["Vary"]) == (200, ACME, "Origin")
    asked = len(edge.kendra.asked)
    for headers in (edge.access(), edge.seat()):
        other = await edge.http.get(MEETING, headers=headers | {"Origin": GLOBEX})
        assert (other.status_code, other.json()["code"]) == (403, "forbidden")
        assert "Access-Control-Allow-Origin" not in other.headers
    assert len(edge.kendra.asked) == asked


async def test_a_known_page_can_read_why_it_was_not_let_in(edge: Edge) -> None:
    answer = await edge.http.get(MEETING, headers=bearer("x") | {"Origin": ACME})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, ACME)
    stranger = await edge.http.get(MEETING, headers=bearer("x") | {"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers


async def test_the_gateways_own_page_needs_no_listing(edge: Edge) -> None:
    own = str(edge.http.base_url).rstrip("/")
    assert (await edge.http.get(MEETING, headers=edge.access() | {"Origin": own})).status_code == 200


async def test_the_page_is_served_with_a_strict_policy_and_hashed_files_are_kept(
    make_edge: MakeEdge, tmp_path: Path
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html><title>page</title>")
    (tmp_path / "assets" / "main-abc123.js").write_text("1")
    (tmp_path.parent / "outside.txt").write_text("secret")
    async with make_edge(web_root=tmp_path) as edge:
        page = await edge.http.get("/")
        script = await edge.http.get("/assets/main-abc123.js")
        unchanged = await edge.http.get("/", headers={"If-None-Match": page.headers["ETag"]})
        absent = await edge.http.get("/assets/gone.js")
        no_files = ("/..%2foutside.txt", "/%2e%2e/outside.txt", "/assets/", "/%00", "/" + "x" * 300, "/%ff")
        outside = [await edge.http.get(path) for path in no_files]
        posted = await edge.http.post("/")
    assert (page.status_code, "<title>page" in page.text) == (200, True)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert (page.headers["Cache-Control"], unchanged.status_code) == ("no-cache", 304)
    assert "immutable" in script.headers["Cache-Control"]
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert (absent.status_code, absent.json()["code"]) == (404, "not_found")
    assert {answer.status_code for answer in outside} == {404}
    assert (posted.status_code, posted.json()["code"]) == (405, "method_not_allowed")


async def test_a_page_that_is_not_built_says_how_to_build_it(make_edge: MakeEdge, tmp_path: Path) -> None:
    async with make_edge(web_root=tmp_path / "nowhere") as edge:
        page = await edge.http.get("/")
        api = await edge.http.get(MEETING, headers=edge.access())
    assert (page.status_code, "make up" in page.text, api.status_code) == (503, True, 200)


async def test_the_description_for_people_needs_no_other_host(edge: Edge) -> None:
    page = await edge.http.get("/docs")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "://" not in page.text
    for path in ("/docs/docs.js", "/docs/docs.css"):
        assert path in page.text
        assert (await edge.http.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64")],
)
def test_who_fails_to_authenticate_is_counted_by_what_one_customer_holds(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize("storage", ["memory", "redis"])
async def test_a_key_that_calls_too_often_is_told_to_wait(make_edge: MakeEdge, storage: str) -> None:
    async with make_edge(rate_limit_storage=storage, rate_limit_key="3/minute") as edge:
        answers = [await edge.http.get(MEETING, headers=edge.access()) for _ in range(5)]
        seated = await edge.http.get(MEETING, headers=edge.seat())
        edge.add_key("second", "acme")
        other = await edge.http.get(MEETING, headers=edge.access(key="second"))
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
    assert (answers[-1].json()["code"], answers[-1].headers["Retry-After"]) == ("rate_limited", "1")
    assert (seated.status_code, other.status_code) == (200, 200)


async def test_one_wild_participant_does_not_use_up_what_others_have(make_edge: MakeEdge) -> None:
    async with make_edge(rate_limit_participant="2/minute") as edge:
        wild = [(await edge.http.get(MEETING, headers=edge.seat("ann"))).status_code for _ in range(3)]
        calm = await edge.http.get(MEETING, headers=edge.seat("bob"))
    assert (wild, calm.status_code) == ([200, 200, 429], 200)


async def test_an_address_that_keeps_failing_to_authenticate_is_not_listened_to(make_edge: MakeEdge) -> None:
    async with make_edge(rate_limit_failures="3/minute") as edge:
        answers = [(await edge.http.get(MEETING, headers=bearer("x"))).status_code for _ in range(5)]
        alive = await edge.http.get("/livez")
    assert (answers, alive.status_code) == ([401, 401, 401, 429, 429], 200)


async def test_limits_go_on_in_this_process_while_redis_is_away(make_edge: MakeEdge) -> None:
    nowhere = "redis://127.0.0.1:9/0"
    async with make_edge(rate_limit_storage="redis", redis_url=nowhere, rate_limit_key="2/minute") as edge:
        answers = [(await edge.http.get(MEETING, headers=edge.access())).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
