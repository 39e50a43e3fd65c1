"""Commands that overlapped are put into the order of their effects, where their replies show it. Pure."""

from typing import Any

from contracts.handled import Handled
from services.cli.recording.order import in_order_of_effect
from tests.recordings.made import handled


def join(
    name: str, seat: int, *, at: float, took: float = 1.0, head: int | None = None, sent: tuple[str, ...] = ()
) -> Handled:
    reply = {"seat": seat, "lastEventId": seat if head is None else head, "producers": [{"id": one} for one in sent]}
    return handled("JoinMeeting", ("MeetingJoined", reply), at=at, took=took, command={"participantId": name})


def details(head: int, *, at: float, took: float = 1.0, sent: tuple[str, ...] = ()) -> Handled:
    reply = {"lastEventId": head, "producers": [{"id": one} for one in sent]}
    return handled("GetMeeting", ("MeetingDetails", reply), at=at, took=took)


def produce(id_: str, *, at: float, took: float = 1.0) -> Handled:
    return handled("CreateProducer", ("ProducerCreated", {"id": id_}), at=at, took=took)


def nested_in(outer: Handled, number: int, process: str = "m") -> dict[Any, list[Handled]]:
    inner = handled(outer.envelope.type, ("Done", {}), at=0, within=outer, epoch=1)
    return {outer.envelope.command_id: [inner.model_copy(update={"number": number, "process": process})]}


def test_joins_at_once_stand_by_their_seats() -> None:
    records = [join("c", 7, at=0.0), join("a", 3, at=0.1), join("b", 5, at=0.2)]
    assert in_order_of_effect(records, {}) == [records[1], records[2], records[0]]


def test_what_ended_before_another_began_stays_before_it_whatever_the_numbers_say() -> None:
    records = [join("late", 9, at=0.0, took=0.5), join("early", 3, at=0.6)]
    assert in_order_of_effect(records, {}) == records


def test_a_read_stands_after_the_joins_that_it_saw_and_before_those_that_it_did_not() -> None:
    seen, unseen, read = join("seen", 4, at=0.2), join("unseen", 6, at=0.0), details(5, at=0.1)
    assert in_order_of_effect([unseen, read, seen], {}) == [seen, read, unseen]


def test_a_list_stands_after_the_producers_that_are_in_it_and_before_those_that_are_not() -> None:
    listed, missing, read = produce("p", at=0.2), produce("q", at=0.0), details(9, at=0.1, sent=("p",))
    assert in_order_of_effect([missing, read, listed], {}) == [listed, read, missing]


def test_a_join_that_kept_its_seat_is_a_read() -> None:
    again, joined = join("a", 2, at=0.0, head=8), join("b", 5, at=0.1)
    assert in_order_of_effect([again, joined], {}) == [joined, again]


def test_what_one_media_server_did_stands_in_its_order() -> None:
    first, second, elsewhere = produce("p", at=0.0), produce("q", at=0.1), produce("r", at=0.2)
    nested = {**nested_in(first, 8), **nested_in(second, 7), **nested_in(elsewhere, 1, process="another")}
    assert in_order_of_effect([first, second, elsewhere], nested) == [second, first, elsewhere]


def test_what_nothing_tells_of_stays_in_the_order_of_beginning() -> None:
    records = [handled("PauseProducer", ("Done", {}), at=number / 10, took=1.0) for number in range(5)]
    assert in_order_of_effect(records, {}) == records
