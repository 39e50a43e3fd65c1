"""Who comes late sees everybody, who leaves is gone, who reloads comes back, and what breaks is made anew."""

from collections.abc import Awaitable, Callable

from tests.browser.conftest import Call
from tests.browser.driver import Page
from tests.eventually import eventually
from tests.truth import rows_equal_memory

TABLES = ("transports", "producers", "consumers")
CAN_CRASH = """
const whole = window.fetch.bind(window);
window.fetch = (...given) => (window.crashing ? new Promise(() => {}) : whole(...given));
"""
"""Lets a test have the page go as one that crashes: without telling anybody."""


async def id_of(name: str, at: Page) -> str:
    """Return the participant's id that is behind a tile."""
    return (await at.received())[name].participant


def tiles(page: Page, *names: str) -> Callable[[], Awaitable[bool]]:
    """Return a look at whether exactly these others have tiles."""

    async def look() -> bool:
        now = await page.received()
        assert set(now) == set(names), sorted(now)
        return True

    return look


async def things_of(call: Call, participant: str) -> dict[str, set[str]]:
    """Return a participant's rows, by table."""
    return {table: await call.rows(table, participant) for table in TABLES}


def nothing_left_of(call: Call, participant: str) -> Callable[[], Awaitable[bool]]:
    """Return a look at whether a participant has no rows any more."""

    async def look() -> bool:
        now = await things_of(call, participant)
        assert not any(now.values()), now
        return True

    return look


async def test_a_third_who_joins_late_sees_both(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await asha.sees("Bela")
    chandra = await call.joined("Chandra")
    await chandra.sees("Asha", "Bela")
    await asha.sees("Bela", "Chandra")
    await bela.sees("Asha", "Chandra")


async def test_a_send_transport_recreated_in_mid_call_brings_the_picture_back(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    who = await id_of("Asha", bela)
    before = await call.rows("producers", who)
    await call.admin.post(f"{call.path}/participants/{who}/transports", {"direction": "send"})

    async def made_anew() -> bool:
        now = await call.rows("producers", who)
        return len(now) == len(before) and not now & before

    await eventually(made_anew, within=15)
    await bela.sees("Asha")
    await asha.sees("Bela")


async def test_a_page_that_leaves_empties_its_tile_and_its_rows(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    who = await id_of("Asha", bela)
    await asha.ask("click", selector="#leave")
    await eventually(tiles(bela))
    await asha.in_state("over")
    await eventually(nothing_left_of(call, who))


async def test_a_closed_page_empties_its_tile_and_its_rows(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    who = await id_of("Asha", bela)
    await asha.close()
    await eventually(tiles(bela))
    await eventually(nothing_left_of(call, who))


async def test_a_page_reloaded_without_leaving_comes_back_as_a_new_instance(call: Call) -> None:
    asha, bela = await call.open(script=CAN_CRASH), await call.joined("Bela")
    await asha.join("Asha")
    await bela.sees("Asha")
    await asha.sees("Bela")
    her, his = await id_of("Asha", bela), await id_of("Bela", asha)
    old, untouched = await things_of(call, her), await call.rows("transports", his)
    await asha.evaluate("() => { window.crashing = true; }")
    await asha.ask("reload")
    await asha.in_state("call")
    await bela.sees("Asha")
    await asha.sees("Bela")
    assert await id_of("Asha", bela) == her
    assert await call.rows("transports", his) == untouched
    new = await things_of(call, her)
    assert {table: len(ids) for table, ids in new.items()} == {table: len(ids) for table, ids in old.items()}
    assert not any(new[table] & old[table] for table in TABLES)
    assert [event for _, event in await call.events() if event == "ParticipantLeft"] == []
    await rows_equal_memory(call.system)


async def test_a_page_reloaded_as_visitors_do_comes_back_by_itself(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    her = await id_of("Asha", bela)
    await asha.ask("reload")
    await asha.in_state("call")
    await bela.sees("Asha")
    await asha.sees("Bela")
    assert await id_of("Asha", bela) == her
