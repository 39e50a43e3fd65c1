"""A media server that dies: its start removes what the earlier boot left and tells the meetings; the next create or join places them anew."""

from tests.eventually import eventually
from tests.flows.people import Meeting, call_of_two, of_kind
from tests.truth import rows_equal_memory


async def test_a_restarted_server_removes_what_its_earlier_boot_left_and_tells_the_meeting(make_system: object) -> None:
    system = await make_system(media_servers=1)  # type: ignore[operator]
    meeting = Meeting(system)
    async with call_of_two(meeting) as (asha, ravi):
        gone = set(asha.sending)
        await system.kill("media-server-1")
        await system.start("media-server-1")

        def told() -> bool:
            closed = {e.body.get("producerId"): e.body.get("reason") for e in ravi.events if e.type == "ProducerClosed"}
            return closed == dict.fromkeys(gone, "server_restarted")

        await ravi.until(told, 10)
        for table in ("transports", "producers", "consumers"):
            assert await meeting.rows(table) == set()
        await rows_equal_memory(system)
        again = await meeting.create()
        assert again["epoch"] == 2
        await ravi.until(lambda: any(e.type == "MeetingMoved" for e in ravi.events), 5)
        await rows_equal_memory(system)
        newcomer = await meeting.connected("newcomer")
        await newcomer.produce()
        ravi.received.clear()
        ravi.recv_transport = await ravi.new_transport("recv")
        for producer in newcomer.sending:
            await ravi.consume(producer)
        await ravi.until(lambda: of_kind(ravi, "video").frames > 5, 10)
    await meeting.end()


async def test_a_meeting_whose_server_is_gone_for_good_is_placed_on_another(make_system: object) -> None:
    system = await make_system(media_servers=2)  # type: ignore[operator]
    meeting = Meeting(system)
    created = await meeting.create()
    await system.kill(created["mediaServerId"])

    async def moved() -> bool:
        answer = await meeting.create()
        return answer["mediaServerId"] != created["mediaServerId"] and answer["epoch"] == 2

    await eventually(moved, within=20)
    booked = await system.postgres.fetch("select server, booked from bookings order by server")
    assert {row["server"]: row["booked"] for row in booked}[created["mediaServerId"]] == 0
    await meeting.end()
