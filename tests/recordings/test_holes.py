"""Records that never came are seen, written down, said, and keep a recording from being expected of."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest

from services.cli.recording.file import Writer, read
from services.cli.recording.lines import Hole
from services.cli.recording.numbers import Numbers
from services.cli.recording.recorder import Filters, Recorder
from services.cli.stack.errors import CannotRun
from services.cli.stack.ports import ServicePorts
from services.cli.stack.rabbitmq import RabbitMQ
from services.testing.session import Broker, Session
from tests.recordings.made import BEGUN, created, lines_of, stored, write_lines
from tests.recordings.running import replayed


def test_a_number_that_is_skipped_is_a_hole_of_its_own_process_only() -> None:
    numbers = Numbers()
    found = [
        numbers.take(("kendra", who), number, BEGUN)
        for who, number in (("a", 7), ("b", 1), ("a", 8), ("a", 12), ("b", 2))
    ]
    (hole,) = [one for one in found if one is not None]
    assert (hole.process, hole.after, hole.before, hole.lost) == ("a", 8, 12, 3)


def test_what_a_process_told_before_it_was_heard_is_nobodys_loss_but_silence_after_an_interruption_is_told() -> None:
    numbers = Numbers()
    assert numbers.take(("kendra", "a"), 100, BEGUN) is None
    numbers.take(("media", "b"), 1, BEGUN)
    numbers.interrupted()
    numbers.take(("kendra", "a"), 101, BEGUN)
    assert numbers.unheard() == ["media b"]


class Teller:
    """Tells records as services do, with the numbers that a test gives them."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def tell(self, *numbers: int, process: str = "k1") -> None:
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            watch = await channel.declare_exchange("watch", aio_pika.ExchangeType.TOPIC, durable=True)
            for number in numbers:
                record = created().model_copy(update={"number": number, "process": process})
                body = record.model_dump_json(by_alias=True).encode()
                await watch.publish(aio_pika.Message(body), f"kendra.CreateMeeting.demo.standup.{number}")


@asynccontextmanager
async def recorder_of(url: str, file: Path) -> AsyncIterator[Recorder]:
    """Record everything until the block ends; nobody is there to be asked how the meetings are."""
    writer = Writer(file)
    recorder = Recorder(url, Filters(), writer)
    await recorder.start()
    told: list[int] = []
    reading = asyncio.create_task(recorder.record(lambda counts: told.append(counts.commands), 0.05))
    try:
        yield recorder
    finally:
        recorder.stop()
        await asyncio.wait_for(reading, 10)
        await recorder.finish()
        writer.close()
        await recorder.close()


async def until(condition: object, within: float = 20.0) -> None:
    """Wait until a condition on the recorder's counts holds."""
    assert callable(condition)
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_lost_record_is_a_hole_in_the_recording_which_is_then_refused(rabbitmq: Broker, tmp_path: Path) -> None:
    file, teller = tmp_path / "holes.jsonl", Teller(rabbitmq.url)
    await teller.tell()
    async with recorder_of(rabbitmq.of["tool"], file) as recorder:
        await teller.tell(4, 5, 9)
        await teller.tell(1, 2, process="k2")
        await until(lambda: recorder.counts.commands == 5)
    got = read(file)
    assert [(hole.process, hole.after, hole.before) for hole in got.holes] == [("k1", 5, 9)]
    assert got.footer is not None
    assert (got.footer.commands, got.footer.holes, got.footer.lost) == (5, 1, 3)
    assert got.holes_of(("kendra",)) == ["3 records of kendra k1 after number 5 were lost"]
    assert got.holes_of(("media",)) == []
    status, said = await replayed(rabbitmq.of["tool"], "--expect", "same", file)
    assert status == 1
    assert "has holes" in said
    assert "3 records of kendra k1" in said


async def test_the_holes_of_media_servers_matter_when_their_commands_are_replayed(tmp_path: Path) -> None:
    lines = lines_of(stored("create_meeting"))
    hole = Hole(service="media", process="m.1", after=1, before=3, at=BEGUN).model_dump(mode="json", by_alias=True)
    file = write_lines(tmp_path / "x.jsonl", [lines[0], hole, *lines[1:]])
    assert read(file).holes_of(("kendra",)) == []
    assert len(read(file).holes_of(("kendra", "media"))) == 1


async def test_nothing_can_be_recorded_where_nothing_ever_ran(session: Session, tmp_path: Path) -> None:
    async with session.broker() as empty:
        writer = Writer(tmp_path / "x.jsonl")
        recorder = Recorder(empty.of["tool"], Filters(), writer)
        with pytest.raises(CannotRun, match="no kendra or media server ever served"):
            await recorder.start()
        await recorder.close()
        writer.abandon()
        assert not writer.path.exists()


async def test_a_broker_that_is_killed_and_started_again_is_recorded_on_and_the_hole_is_marked(
    session: Session, tmp_path: Path
) -> None:
    with session.place("broker") as place:
        run = type(session.run)(place)
        run.hold()
        rabbitmq = RabbitMQ(run, ServicePorts.free(), durable=True)
        await rabbitmq.start()
        try:
            file, unended = tmp_path / "restart.jsonl", tmp_path / "unended.jsonl"
            teller = Teller(rabbitmq.url("administrator"))
            await teller.tell()
            async with recorder_of(rabbitmq.url("tool"), file) as recorder:
                await teller.tell(1, 2)
                await until(lambda: recorder.counts.commands == 2)
                await rabbitmq.kill()
                await rabbitmq.start()
                await until(lambda: recorder.counts.interruptions == 1, within=40)
                await teller.tell(6, 7)
                await until(lambda: recorder.counts.commands == 4)
            async with recorder_of(rabbitmq.url("tool"), unended) as recorder:
                await teller.tell(8, 9)
                await until(lambda: recorder.counts.commands == 2)
                await rabbitmq.kill()
                await until(lambda: recorder.counts.away)
        finally:
            await rabbitmq.stop()
            run.release()
    got = read(file)
    assert [(hole.after, hole.before) for hole in got.holes] == [(2, 6)]
    assert len(got.interruptions) == 1
    kinds = [json.loads(line).get("kind", "handled") for line in file.read_text().splitlines()]
    assert kinds == ["header", "handled", "handled", "interruption", "hole", "handled", "handled", "footer"]
    assert read(unended).holes_of(("kendra",)) == ["kendra k1 was not heard again after the broker was away"]
