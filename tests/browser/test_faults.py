"""What is killed under a call: the pages get over it by themselves."""

from collections.abc import AsyncIterator

import pytest

from tests.browser.conftest import Call
from tests.browser.driver import Browser
from tests.conftest import MakeSystem


@pytest.fixture
async def call(make_system: MakeSystem, browser: Browser) -> AsyncIterator[Call]:
    """A meeting in a system of the test's own."""
    one = Call(await make_system(), browser)
    yield one
    await one.close()


async def test_a_call_outlives_its_gateway_and_its_kendra(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await asha.sees("Bela")
    for name in ("gateway-1", "kendra-1"):
        await call.system.kill(name)
        await call.system.start(name)
    chandra = await call.joined("Chandra")
    await chandra.sees("Asha", "Bela")
    await asha.sees("Bela", "Chandra")
    await bela.sees("Asha", "Chandra")
    assert not await asha.text("#banner")


async def test_a_call_whose_media_server_died_comes_back_on_another(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await asha.sees("Bela")
    await bela.sees("Asha")
    place = "select server from allocations where meeting = $1"
    died = await call.system.postgres.fetchval(place, call.id)
    await call.system.kill(died)
    await asha.sees("Bela", within=45)
    await bela.sees("Asha")
    assert await call.system.postgres.fetchval(f"{place} order by epoch desc limit 1", call.id) != died
