"""Where two planes that have the same call first differ."""

from sfu.plane import seat
from tests.differential.plane_scenarios import Scenario, Step
from tests.differential.planes import Planes, Sent
from tests.differential.reader import Reader, asked_for, fields, media


def first_difference(seed: int, datagrams: int) -> str:
    """Let both planes have a call; return where they first differ, or nothing."""
    planes = Planes(Scenario(seed, datagrams))
    log: tuple[Sent, Sent] = ([], [])
    readers = Reader(planes.scenario), Reader(planes.scenario)
    for step in planes.steps():
        where = f"seed {seed}, {step.now:.6f} s"
        sent = media(planes.sent[0]), media(planes.sent[1])
        log[0].extend(sent[0])
        log[1].extend(sent[1])
        if sent[0] != sent[1]:
            return f"{where}, {described(step)}: {media_difference(planes.scenario, log, sent)}"
        asked = [asked_for(reader, each) for reader, each in zip(readers, planes.sent, strict=True)]
        if asked[0] != asked[1]:
            return f"{where}, {described(step)}: the publisher is asked for {asked[1]}, not {asked[0]}"
    told = [in_short(each) for each in planes.told]
    at = next((at for at, (one, other) in enumerate(zip(*told, strict=False)) if one != other), min(map(len, told)))
    if told[0] != told[1]:
        return f"seed {seed}: told {told[1][at : at + 3]}, not {told[0][at : at + 3]}"
    different = [
        f"{name}'s {each} is {ours}, not {theirs}" for name, each, theirs, ours in planes.counted() if theirs != ours
    ]
    return f"seed {seed}: {', '.join(different)}" if different else ""


def described(step: Step) -> str:
    if step.order is not None:
        return str(step.order)[:100]
    return f"{len(step.datagram)} bytes from {step.address}" if step.datagram else "time passes"


def in_short(told: list[seat.Event]) -> list[str]:
    """Return what was told; of a stream that fell silent and began again only that it goes on: planes look at different moments."""
    kept: list[str] = []
    streams = (seat.StreamStarted, seat.StreamSilent)
    going: set[str] = set()
    for each in told:
        if isinstance(each, streams):
            started = isinstance(each, seat.StreamStarted)
            if (started and each.producer in going) or (isinstance(each, seat.StreamSilent) and not each.goodbye):
                continue
            (going.add if started else going.discard)(each.producer)
        kept.append(str(each))
    return kept


def media_difference(scenario: Scenario, log: tuple[Sent, Sent], sent: tuple[Sent, Sent]) -> str:
    """Name the first packet of a step that differs, and its first field."""
    readers = Reader(scenario), Reader(scenario)
    opened = [[fields(reader, *each) for each in every] for reader, every in zip(readers, log, strict=True)]
    theirs, ours = (each[len(each) - len(last) :] for each, last in zip(opened, sent, strict=True))
    for their, our in zip(theirs, ours, strict=False):
        differs = next((name for name in their if their[name] != our.get(name)), None)
        if differs:
            packet = f"packet {their['sequence']} of SSRC {their['ssrc']} to {their['to']}"
            return f"{packet}: {differs} is {our.get(differs)!r}, not {their[differs]!r}"
    if theirs[: len(ours)] == ours and len(ours) < len(theirs):
        return f"not sent: {theirs[len(ours)]}"
    return f"sent: {ours[len(theirs)]}" if len(ours) > len(theirs) else "the seals alone differ"
