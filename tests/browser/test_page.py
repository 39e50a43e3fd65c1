"""What a visitor is told and can do: devices, mute, full meetings, a lost network."""

import json
from collections.abc import Awaitable, Callable

from tests.browser.conftest import Call
from tests.browser.driver import Look, Page
from tests.browser.wire import Wire
from tests.eventually import eventually

NO_DEVICES = """
navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException("refused", "NotAllowedError"));
"""
HELD_BACK = """
const send = window.fetch.bind(window);
window.fetch = async (url, options) => {
  if (String(url).endsWith("/producers") && !window.held) await new Promise((go) => { window.held = go; });
  return send(url, options);
};
"""


def tile(page: Page, name: str, holds: Callable[[Look], bool]) -> Callable[[], Awaitable[bool]]:
    """Return a look at whether somebody's tile is as wanted."""

    async def look() -> bool:
        now = await page.received()
        assert name in now, sorted(now)
        assert holds(now[name]), now[name]
        return True

    return look


async def test_joining_without_camera_and_microphone_works_and_says_why(call: Call) -> None:
    asha = await call.joined("Asha")
    bela = await call.open(script=NO_DEVICES)
    await eventually(lambda: bela.text("#device-problem"))
    assert "may not use the camera and microphone" in await bela.text("#device-problem")
    await bela.join("Bela")
    await bela.sees("Asha")
    await eventually(tile(asha, "Bela", lambda look: look.muted and not look.picture))


async def test_mute_and_camera_buttons_are_seen_by_the_others(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    await eventually(tile(bela, "Asha", lambda look: not look.muted))
    await asha.ask("press", key="m")
    await eventually(tile(bela, "Asha", lambda look: look.muted))
    await asha.ask("press", key="c")
    await eventually(tile(bela, "Asha", lambda look: not look.picture))
    await asha.ask("click", selector="#toggle-microphone")
    await asha.ask("click", selector="#toggle-camera")
    await bela.sees("Asha")
    await eventually(tile(bela, "Asha", lambda look: not look.muted))


async def test_a_button_that_is_pressed_before_its_track_is_sent_sends_no_second_one(call: Call) -> None:
    bela = await call.joined("Bela")
    asha = await call.open(script=HELD_BACK)
    await asha.join("Asha")
    await eventually(lambda: asha.evaluate("() => window.held !== undefined"))
    await asha.ask("press", key="c")
    await asha.ask("press", key="m")
    await asha.evaluate("() => window.held()")
    await bela.sees("Asha")
    seat = json.loads(await asha.evaluate("() => sessionStorage.getItem('doordarshan.seat')"))
    assert len(await call.rows("producers", seat["participantId"])) == 2


async def test_a_page_that_the_browser_kept_aside_comes_back_to_its_meeting(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    await asha.evaluate("() => { sessionStorage.clear(); dispatchEvent(new PageTransitionEvent('pagehide')) }")
    await eventually(lambda: asha.evaluate("() => sessionStorage.getItem('doordarshan.seat') !== null"))
    await asha.evaluate("() => { dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true})) }")
    await asha.sees("Bela")
    await bela.sees("Asha")


async def test_a_full_meeting_is_said_in_words(call: Call) -> None:
    await call.admin.post("/v1/meetings", {"meetingId": call.id, "capacity": {"participants": 1, "producers": 4}})
    await call.joined("Asha")
    bela = await call.open()
    await bela.ask("fill", selector="#name", text="Bela")
    await bela.ask("click", selector="#join")
    await eventually(lambda: bela.text("#alerts"))
    assert "meeting is full" in await bela.text("#alerts")
    await bela.in_state("prejoin")


async def test_an_ended_meeting_is_said_in_words(call: Call) -> None:
    asha = await call.joined("Asha")
    await call.end()
    await asha.in_state("over")
    assert "has ended" in await asha.text("#over")


async def test_whoever_is_removed_is_told(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    await call.admin.delete(f"{call.path}/participants/{(await bela.received())['Asha'].participant}")
    await asha.in_state("over")
    assert "You were removed" in await asha.text("#over")


async def test_the_same_seat_in_another_tab_ends_the_first(call: Call) -> None:
    asha, bela = await call.joined("Asha"), await call.joined("Bela")
    await bela.sees("Asha")
    seat = await asha.evaluate("() => sessionStorage.getItem('doordarshan.seat')")
    await call.open(script=f"sessionStorage.setItem('doordarshan.seat', {json.dumps(seat)})", state="call")
    await asha.in_state("over")
    assert "elsewhere" in await asha.text("#over")
    await bela.sees("Asha")
    await asha.ask("click", selector="#again")
    await asha.join("Asha again")
    await asha.sees("Asha", "Bela")


async def test_what_happened_while_the_network_was_away_is_seen_after_it_is_back(call: Call) -> None:
    async with Wire.to(call.system.url) as wire:
        asha, bela = await call.joined("Asha", at=wire.url), await call.joined("Bela")
        await asha.sees("Bela")
        wire.cut()
        await eventually(lambda: asha.text("#banner"))
        assert "Reconnecting" in await asha.text("#banner")
        await bela.ask("click", selector="#leave")
        await bela.in_state("over")
        await call.joined("Chandra")
        assert set(await asha.received()) == {"Bela"}
        wire.mend()
        await asha.sees("Chandra")
        assert not await asha.text("#banner")
