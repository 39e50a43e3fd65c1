"""What must hold of a look at the system, each part alone. Pure: a `Seen` in, a line for each difference out.

Every line names the thing, so that whoever reads a failure knows where to look.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from services.kendra.meeting import Meeting, OutOfOrder, event, fold
from tests.truth.seen import Entry, Key, Row, Seen, Thing

Part = Callable[[Seen], Iterator[str]]


def memory_equals_rows(seen: Seen) -> Iterator[str]:
    """Media servers that hold a lease have in memory what their rows say, and nobody else has rows."""
    for (server, boot), why in seen.silent.items():
        yield f"{server} (boot {boot}) does not say what it has: {why}"
    for noun, rows in seen.rows.items():
        one = noun.removesuffix("s")
        for thing in sorted(rows - seen.memory[noun]):
            held = (thing.server, thing.boot) in seen.leased
            yield f"{one} {thing}: a row, but {'not in memory' if held else 'its boot holds no lease'}"
        for thing in sorted(seen.memory[noun] - rows):
            yield f"{one} {thing}: in memory, but no row"


def bookings_add_up(seen: Seen) -> Iterator[str]:
    """Each server is booked for what the meetings that want it need, within its capacity."""
    wanted: Counter[str] = Counter()
    for row in seen.meetings.values():
        if row["server"] is not None:
            wanted[row["server"]] += row["participants"] * row["producers"]
    for server in sorted(wanted.keys() | seen.bookings.keys()):
        row = seen.bookings.get(server)
        booked = 0 if row is None else row["booked"]
        if booked != wanted[server]:
            yield f"{server} has {booked} streams booked, its meetings want {wanted[server]}"
        if row is not None and booked > row["capacity"]:
            yield f"{server} has {booked} streams booked, of {row['capacity']}"


def epochs_are_current(seen: Seen) -> Iterator[str]:
    """A meeting lives at its own epoch, on the server it wants, once; only what is kept after a move may be older."""
    for key, row in seen.meetings.items():
        head = seen.heads.get(key)
        if head is None or head["epoch"] != row["epoch"]:
            yield f"{key} is at epoch {row['epoch']}, its log at {None if head is None else head['epoch']}"
    for things in (seen.rows, seen.memory):
        where = "row" if things is seen.rows else "memory"
        for noun, found in things.items():
            for thing in sorted(found):
                if not _current(thing, seen) and not _kept(thing, seen.meetings.get(thing.meeting)):
                    yield f"{noun.removesuffix('s')} {thing} ({where}) is not where its meeting lives"
    live = Counter((router.meeting, router.epoch) for router in seen.memory["routers"])
    for (key, epoch), number in live.items():
        if number > 1:
            yield f"{key} has {number} routers at epoch {epoch}"


def seated_meetings_live(seen: Seen) -> Iterator[str]:
    """Where somebody sits, there is a router."""
    at = {(router.meeting, router.epoch) for router in seen.rows["routers"]}
    for key, seats in seen.seats.items():
        row = seen.meetings.get(key)
        if row is None or row["ended_at"] is not None:
            yield f"{key} is over, yet {sorted(seats)} sit there"
        elif (key, row["epoch"]) not in at:
            yield f"{key} has {sorted(seats)} seated and no router at epoch {row['epoch']}"


def logs_are_whole(seen: Seen) -> Iterator[str]:
    """Sequences go on without a hole or a double, and Redis has the same."""
    for key, log in seen.logs.items():
        head = seen.heads[key]
        numbers = [entry.sequence for entry in log]
        if numbers != list(range(head["base"] + 1, head["head"] + 1)):
            yield f"{key}: the log has {_ranges(numbers)}, not {head['base'] + 1} to {head['head']}"
        epochs = [entry.epoch for entry in log]
        if epochs != sorted(epochs):
            yield f"{key}: an event of an older epoch follows a newer one's: {epochs}"
        if key in seen.streams:
            yield from _stream_differs(key, log, seen.streams[key], seen.meetings[key]["ended_at"] is not None)


def _stream_differs(key: Key, log: list[Entry], stream: list[Entry] | None, ended: bool) -> Iterator[str]:
    if stream is None:
        if log and not ended:
            yield f"{key}: Redis has no stream of its {len(log)} events"
        return
    if not stream or not log:
        return
    there = {entry.sequence: entry for entry in stream}
    for entry in log:
        if entry.sequence < stream[0].sequence:
            continue
        found = there.get(entry.sequence)
        if found is None:
            yield f"{key}: Redis lacks {entry.sequence} {entry.type}"
        elif found != entry:
            yield f"{key}: {entry.sequence} is {found} in Redis, {entry} in the log"
    for sequence in sorted(there):
        if sequence > log[-1].sequence:
            yield f"{key}: Redis has {sequence} {there[sequence].type}, the log ends at {log[-1].sequence}"


def logs_tell_the_state(seen: Seen) -> Iterator[str]:
    """Who reads the whole log knows where the meeting lives, who sits there and what is sent."""
    for key, log in seen.logs.items():
        row = seen.meetings.get(key)
        if row is None or seen.heads[key]["base"] > 0:
            continue
        try:
            told = fold(Meeting(), ((entry.sequence, event(entry.type, entry.body)) for entry in log))
        except OutOfOrder as hole:
            yield f"{key}: {hole}"
            continue
        yield from _state_differs(key, told, row, seen)


def _state_differs(key: Key, told: Meeting, row: Row, seen: Seen) -> Iterator[str]:
    ended = row["ended_at"] is not None
    if told.ended != ended:
        yield f"{key}: the log says ended={told.ended}, the row {ended}"
    if ended:
        return
    if dict(told.seats) != seen.seats.get(key, {}):
        yield f"{key}: the log seats {dict(told.seats)}, the rows {seen.seats.get(key, {})}"
    if row["server"] is None:
        return
    if (told.epoch, told.server) != (row["epoch"], row["server"]):
        yield f"{key}: the log says epoch {told.epoch} on {told.server}, the row {row['epoch']} on {row['server']}"
    sent = {one.id for one in seen.rows["producers"] if one.meeting == key and one.epoch == row["epoch"]}
    if set(told.producers) != sent:
        only_told, only_rows = sorted(set(told.producers) - sent), sorted(sent - set(told.producers))
        yield f"{key}: producers told of without a row {only_told}, rows nobody was told of {only_rows}"


def effects_are_single(seen: Seen) -> Iterator[str]:
    """What is made or closed is told of once."""
    once = {"ProducerCreated": "producerId", "ProducerClosed": "producerId", "TransportClosed": "transportId"}
    for key, log in seen.logs.items():
        told = Counter(
            (entry.type, getattr(found, _snake(once[entry.type])))
            for entry in log
            if entry.type in once and (found := event(entry.type, entry.body)) is not None
        )
        for (type_, id), number in told.items():
            if number > 1:
                yield f"{key}: {type_} of {id} was told {number} times"


def nothing_hangs_from_nobody(seen: Seen) -> Iterator[str]:
    """What a seat had is closed once the seat is over."""
    yield from seen.hanging


PARTS: tuple[Part, ...] = (
    memory_equals_rows,
    bookings_add_up,
    epochs_are_current,
    seated_meetings_live,
    logs_are_whole,
    logs_tell_the_state,
    effects_are_single,
    nothing_hangs_from_nobody,
)


def _current(thing: Thing, seen: Seen) -> bool:
    row = seen.meetings.get(thing.meeting)
    return row is not None and (row["epoch"], row["server"], row["boot"]) == (thing.epoch, thing.server, thing.boot)


def _kept(thing: Thing, row: Row | None) -> bool:
    """Say whether the previous epoch's router may go on forwarding for a while, and this is its."""
    if row is None or row.get("keep_until") is None or row["keep_until"] < datetime.now(UTC):
        return False
    return (row["kept_epoch"], row["kept_server"], row["kept_boot"]) == (thing.epoch, thing.server, thing.boot)


def _ranges(numbers: list[int]) -> str:
    return f"{numbers[0]} to {numbers[-1]} ({len(numbers)} events)" if numbers else "nothing"


def _snake(camel: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in camel)
