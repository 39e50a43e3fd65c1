"""Replaying a plan: each meeting's line in its order, lines side by side, and what came out differently of each."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from contracts.failure import MeetingExists, MeetingNotFound
from contracts.ids import CommandId
from services.bus import KENDRA_COMMANDS, Call
from services.cli.recording.difference import Difference, differences
from services.cli.recording.mapping import Mapping
from services.cli.recording.plan import Expected, Key, Line, Plan, Step, nested_id
from services.cli.recording.sender import Order, Sender

MEETINGS_AT_ONCE = 64
"""With nothing but replies to wait for; at a given speed as many as there were."""


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """One command's reply, and where it differs from the recorded one."""

    step: Step
    answered: Expected
    differences: list[Difference]


@dataclass(slots=True)
class LineOutcome:
    """What became of a meeting. `before`: it was replayed here earlier, so replies stand for that time and are not compared."""

    key: Key
    sent: int = 0
    different: list[StepOutcome] = field(default_factory=list)
    end: list[Difference] = field(default_factory=list)
    end_known: bool = True
    before: bool = False
    refused: str | None = None

    @property
    def same(self) -> bool:
        """Whether everything that was compared came out the same."""
        return not self.different and not self.end and self.refused is None


class Replaying:
    """One replay. `speed` 1 is the original one; None waits for nothing but replies."""

    def __init__(self, sender: Sender, speed: float | None, on_sent: Callable[[], None] = lambda: None) -> None:
        self._sender, self._speed, self._on_sent = sender, speed, on_sent
        self._begun = 0.0
        self._places = asyncio.Semaphore(MEETINGS_AT_ONCE) if speed is None else contextlib.nullcontext()

    async def run(self, plan: Plan) -> list[LineOutcome]:
        """Send everything; return what came of each meeting, in the order of their beginnings. Raises CannotRun."""
        self._begun = time.monotonic()
        tasks = [asyncio.create_task(self._line(line)) for line in plan.lines]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _line(self, line: Line) -> LineOutcome:
        await self._until(line.steps[0].begun)
        outcome, names = LineOutcome(line.key), Mapping()
        async with self._places:
            ran = await self._sender.meeting(line.key) is not None
            if ran and not any(_creates(step) for step in line.steps):
                outcome.refused = "it runs there already"
                return outcome
            for step in line.steps:
                await self._until(step.begun)
                await self._step(step, names, outcome, ran=ran)
                if outcome.refused is not None:
                    return outcome
            await self._compare_end(line, names, outcome)
        return outcome

    async def _step(self, step: Step, names: Mapping, outcome: LineOutcome, *, ran: bool) -> None:
        if (ran or outcome.before) and step.expected.code is not None:
            return  # what was refused then would be judged by what is there now
        order = await self._order(step, names)
        if order is None:
            return
        answered = await self._sender.send(order)
        outcome.sent += 1
        self._on_sent()
        if _creates(step) and (ran or answered.code == MeetingNotFound.code):
            outcome.before = True
            if _is_of_others(answered):
                outcome.refused = "it runs there already, and not by this recording"
                return
        names.learn(step.expected, answered)
        if step.compared and not outcome.before:
            found = differences(step.expected, answered, names)
            if found:
                outcome.different.append(StepOutcome(step, answered, found))

    async def _order(self, step: Step, names: Mapping) -> Order | None:
        """Return the command in this deployment's names; None for one of a media server when the meeting lives nowhere."""
        envelope = step.record.envelope
        body = names.body(step.record.command)
        epoch = None if envelope.epoch is None else names.epoch(envelope.epoch)
        call = Call(
            command_id=CommandId(envelope.command_id),
            tenant=envelope.tenant,
            meeting=envelope.meeting,
            epoch=epoch,
            actor=names.actor(envelope.actor),
            deadline=0.0,
            body_hash=envelope.body_hash,
            traceparent=envelope.traceparent,
        )
        if step.record.service == "kendra":
            return Order(KENDRA_COMMANDS, envelope.type, body, call)
        if step.outer is not None:
            call = replace(call, command_id=CommandId(nested_id(step.outer, envelope.type, body, epoch)))
        queue = await self._sender.media_queue_of((envelope.tenant, envelope.meeting))
        return None if queue is None else Order(queue, envelope.type, body, call)

    async def _compare_end(self, line: Line, names: Mapping, outcome: LineOutcome) -> None:
        now = await self._sender.meeting(line.key)
        if line.end is None:
            outcome.end_known = False
        elif line.end.details is None or now is None:
            ran, runs = _running(line.end.details is not None), _running(now is not None)
            outcome.end = [] if ran == runs else [Difference("meeting", ran, runs)]
        else:
            outcome.end = differences(Expected("MeetingDetails", line.end.details), now, names)

    async def _until(self, begun: float) -> None:
        if self._speed is not None:
            await asyncio.sleep(self._begun + begun / self._speed - time.monotonic())


def _running(it_does: bool) -> str:
    return "running" if it_does else "not running"


def _is_of_others(answered: Expected) -> bool:
    """Say whether a create found a meeting that another command created; its own first reply would have come again."""
    repeated = isinstance(answered.body, dict) and answered.body.get("repeated")
    return bool(repeated) or answered.code == MeetingExists.code


def _creates(step: Step) -> bool:
    return step.record.envelope.type == "CreateMeeting" and step.expected.code is None
