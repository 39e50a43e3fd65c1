"""`doordarshan up` as a newcomer and an operator meet it: one link, what dies comes back, nothing is left behind."""

import asyncio
import base64
import json
import os
import signal
import ssl
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from services.cli.stack import programs
from services.cli.stack.errors import CannotRun, ProgramMissing
from services.cli.stack.host import address_of
from services.testing.session import Broker, Cache, Database, Session
from tests.services.up_process import Up

NAMES = {"postgres", "redis", "rabbitmq", "epmd", "gateway", "kendra", "media-server-1", "media-server-2"}


@pytest.fixture(scope="module")
async def up(session: Session) -> AsyncIterator[Up]:
    """A running `up`."""
    with session.place("up") as place:
        found = Up(place)
        await found.start()
        yield found
        await found.call("down")
        await found.ended()


@pytest.fixture
def place(session: Session) -> Iterator[Path]:
    """A run directory for another `up`."""
    with session.place("up") as found:
        yield found


def claims_of(link: str) -> dict[str, object]:
    payload = link.partition("#token=")[2].split(".")[1]
    claims: dict[str, object] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def create_meeting(link: str, context: ssl.SSLContext | None = None) -> tuple[int, int]:
    """Create the meeting that the link's token names, as the page does; return the HTTP status, and the meeting's epoch."""
    url, _, token = link.partition("/#token=")
    body = json.dumps({"meetingId": claims_of(link)["meeting"]}).encode()
    request = urllib.request.Request(f"{url}/v1/meetings", data=body)
    request.add_header("Authorization", f"Bearer {token}")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return int(answer.status), int(json.load(answer)["epoch"])


async def test_the_link_opens_the_page_and_its_token_creates_the_demo_meeting(up: Up) -> None:
    link = next(line for line in up.printed if "#token=" in line)
    status, _ = await asyncio.to_thread(create_meeting, link)
    assert status in (200, 201)
    with await asyncio.to_thread(urllib.request.urlopen, link.partition("#")[0], None, 10) as page:
        assert b"<html" in page.read().lower()


async def test_the_links_token_names_the_meeting_and_may_do_what_a_participant_needs_for_30_days(up: Up) -> None:
    claims = claims_of(next(line for line in up.printed if "#token=" in line))
    assert claims["meeting"] == "demo"
    assert claims["grants"] == ["create", "join", "produce", "consume"]
    assert isinstance(claims["exp"], int)
    assert 29 * 86_400 < claims["exp"] - time.time() <= 30 * 86_400


async def test_each_step_is_shown_with_its_time(up: Up) -> None:
    shown = {line.split()[1]: line.split()[-1] for line in up.printed if "✓" in line}
    assert shown.keys() >= NAMES - {"epmd"} | {"schema"}
    assert set(shown.values()) == {"s"}


async def test_status_shows_everything_ready(up: Up) -> None:
    status, printed = await up.call("status")
    assert status == 0, printed
    assert all(name in printed for name in NAMES)
    assert " no " not in printed
    assert up.started().keys() == NAMES


async def test_a_second_up_is_refused_in_one_line_and_hurts_nothing(up: Up) -> None:
    before = up.started()
    status, printed = await up.call("up", "--port", str(up.base))
    assert status == 1
    assert "already running" in printed
    assert printed.count("\n") == 1
    assert up.started() == before


@pytest.mark.parametrize("name", ["media-server-1", "kendra", "gateway", "redis", "postgres", "rabbitmq"])
async def test_what_is_killed_comes_back_and_the_system_gets_ready(up: Up, name: str) -> None:
    old = up.started()[name]["pid"]
    os.kill(old, signal.SIGKILL)
    await up.until_ready_again(name, old)
    assert any("was killed by signal 9" in line and name in line for line in up.printed)


async def test_down_ends_everything_and_the_next_up_is_quick_and_gives_the_same_link(up: Up) -> None:
    link = next(line for line in up.printed if "#token=" in line)
    _, epoch = await asyncio.to_thread(create_meeting, link)
    pids = [process["pid"] for process in up.started().values()]
    status, printed = await up.call("down")
    assert (status, printed.strip()) == (0, "stopped")
    assert await up.ended() == 0
    await up.until_gone(pids)
    assert (await up.call("status"))[0] == 1
    begun = time.monotonic()
    assert await up.start() == link
    assert time.monotonic() - begun < 3 * 10
    # The meeting was kept. The status says only whether a kendra still ran when the media servers were gone, and took it from there.
    assert (await asyncio.to_thread(create_meeting, link))[1] > epoch


async def test_an_up_that_is_killed_leaves_nothing_and_the_next_one_starts(up: Up) -> None:
    pids = [process["pid"] for process in up.started().values()]
    assert up.process is not None
    up.process.kill()
    await up.ended()
    await up.until_gone(pids)
    await up.start()
    assert (await up.call("status"))[0] == 0


async def test_ctrl_c_while_it_starts_stops_what_was_started(place: Path) -> None:
    up = Up(place)
    starting = asyncio.create_task(up.start())
    async with asyncio.timeout(60):
        while "postgres" not in up.started():
            await asyncio.sleep(0.02)
    pids = [process["pid"] for process in up.started().values()]
    assert up.process is not None
    up.process.send_signal(signal.SIGINT)
    assert await up.ended() == 0
    await asyncio.gather(starting, return_exceptions=True)
    await up.until_gone(pids)


async def test_a_taken_port_is_one_line_before_anything_is_started(place: Path) -> None:
    up = Up(place)
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", up.base)
    status, printed = await up.call("up", "--port", str(up.base))
    listener.close()
    assert status == 1
    assert (
        printed.strip()
        == f"doordarshan: port {up.base} (gateway, HTTP) is taken; stop what uses it, or choose others: make up PORT=…"
    )
    assert not up.started()


async def test_another_address_is_served_with_https_and_a_certificate_for_it(place: Path) -> None:
    up = Up(place)
    link = await up.start("--host", "127.0.0.2")
    assert link.startswith(f"https://127.0.0.2:{up.base}/#token=")
    trusting = ssl.create_default_context(cafile=str(place / "tls" / "127.0.0.2.crt"))
    assert await asyncio.to_thread(create_meeting, link, trusting) == (201, 1)
    _, printed = await up.call("status")
    assert "127.0.0.2" in printed
    assert (await up.call("down"))[0] == 0
    assert await up.ended() == 0


async def test_services_that_the_environment_names_are_used_and_left_running(
    place: Path, postgres: Database, rabbitmq: Broker, redis: Cache
) -> None:
    urls = (postgres.url, rabbitmq.url, redis.url)
    names = ("DOORDARSHAN_POSTGRES_URL", "DOORDARSHAN_AMQP_URL", "DOORDARSHAN_REDIS_URL")
    up = Up(place, given=dict(zip(names, urls, strict=True)))
    link = await up.start()
    assert up.started().keys() == {"gateway", "kendra", "media-server-1", "media-server-2"}
    assert await asyncio.to_thread(create_meeting, link) == (201, 1)
    assert (await up.call("down"))[0] == 0
    assert await up.ended() == 0
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("select meeting from meetings").fetchall() == [("demo",)]


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotRun, match=r"HOST=192\.0\.2\.77 is not an address of this machine"):
        address_of("192.0.2.77")


def test_a_missing_broker_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_RABBITMQ_HOMES", ())
    with pytest.raises(ProgramMissing, match="apt-get install rabbitmq-server"):
        programs.check_programs()
