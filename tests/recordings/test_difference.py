"""What counts as different: not names, times, ports and random numbers, but everything else. Pure."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.actor import Actor
from contracts.ids import Epoch, Seat
from services.cli.recording.difference import differences
from services.cli.recording.mapping import Mapping
from services.cli.recording.plan import Expected
from tests.recordings.made import stored

TRANSPORT: dict[str, Any] = {
    "id": "t",
    "iceParameters": {"usernameFragment": "abcd", "password": "***", "iceLite": True},
    "iceCandidates": [
        {
            "foundation": "f",
            "priority": 1,
            "ip": "10.0.0.1",
            "address": "10.0.0.1",
            "port": 1,
            "protocol": "udp",
            "type": "host",
        }
    ],
    "dtlsParameters": {"role": "auto", "fingerprints": [{"algorithm": "sha-256", "value": "AA"}]},
    "closedProducerIds": ["a", "b"],
}


def transport(**changes: Any) -> Expected:
    return Expected("TransportRecreated", TRANSPORT | changes)


def joined(**changes: Any) -> Expected:
    body = {
        "participantId": "asha",
        "instanceId": "i",
        "seat": 2,
        "rtpCapabilities": {"codecs": [], "headerExtensions": []},
        "routerId": "r",
        "mediaServerId": "s",
        "epoch": 1,
        "participants": [{"participantId": "asha", "joinedAt": "2026-01-01T00:00:00Z"}],
        "producers": [],
        "lastEventId": 2,
    }
    return Expected("MeetingJoined", body | changes)


def different(expected: Expected, answered: Expected, names: Mapping | None = None) -> list[str]:
    """Return the paths, after learning as a replay does."""
    names = names or Mapping()
    names.learn(expected, answered)
    return [one.path for one in differences(expected, answered, names)]


def test_what_must_differ_does_not() -> None:
    candidate = TRANSPORT["iceCandidates"][0]
    tcp = candidate | {"protocol": "tcp", "tcpType": "passive"}
    elsewhere = [candidate | {"address": "10.0.0.2", "ip": "10.0.0.2", "port": 2}, candidate, tcp]
    other = transport(
        id="u",
        iceParameters={"usernameFragment": "wxyz", "password": "secret", "iceLite": True},
        iceCandidates=elsewhere,
        dtlsParameters={"role": "auto", "fingerprints": [{"algorithm": "sha-256", "value": "BB"}]},
        closedProducerIds=["b", "a"],
    )
    assert different(transport(), other) == []


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"closedProducerIds": ["a"]}, "closedProducerIds"),
        ({"closedConsumerIds": ["c"]}, "closedConsumerIds"),
        (
            {"dtlsParameters": {"role": "server", "fingerprints": [{"algorithm": "sha-256", "value": "A"}]}},
            "dtlsParameters.role",
        ),
        ({"iceParameters": {"usernameFragment": "x", "password": "y", "iceLite": False}}, "iceParameters.iceLite"),
        ({"iceCandidates": []}, "iceCandidates"),
    ],
    ids=str,
)
def test_what_a_client_would_notice_does(changes: dict[str, Any], path: str) -> None:
    assert different(transport(), transport(**changes)) == [path]


def test_another_reply_is_named_with_its_code_and_a_reason_is_for_people() -> None:
    full = Expected("Failure", {"code": "meeting_full", "reason": "one", "retryable": False})
    (one,) = differences(transport(), full, Mapping())
    assert (one.path, one.recorded, one.replayed) == ("reply", "TransportRecreated", "Failure meeting_full")
    assert different(full, Expected("Failure", {"code": "meeting_full", "reason": "two", "retryable": False})) == []
    assert different(full, Expected("Failure", {"code": "forbidden", "reason": "one", "retryable": False})) == ["code"]


def test_a_field_that_is_left_out_has_its_default_so_only_another_value_differs() -> None:
    assert different(transport(), transport(closedConsumerIds=[])) == []
    listed = Expected("ServersListed", {"servers": []})
    assert different(listed, Expected("ServersListed", {"servers": [], "fieldOfTheFuture": 1})) == []


def test_a_recorded_reply_that_the_contract_does_not_know_any_more_differs() -> None:
    old = Expected("ProducerCreated", {"producer": "p"})
    assert different(old, Expected("ProducerCreated", {"id": "p"})) == ["ProducerCreated as recorded"]


def test_people_and_producers_are_compared_by_name_and_not_by_place() -> None:
    people = [{"participantId": name, "joinedAt": "2026-01-01T00:00:00Z"} for name in ("asha", "ravi")]
    assert different(joined(participants=people), joined(participants=people[::-1], seat=7)) == []
    assert different(joined(participants=people), joined(participants=people[:1])) == ["participants.ravi"]


def test_what_applications_put_into_app_data_is_compared_with_ids_replaced() -> None:
    old, new = str(uuid4()), str(uuid4())
    view = {"participantId": "asha", "kind": "audio", "paused": False}
    was = {**view, "id": old, "appData": {"at": 1, "see": f"https://example.org/p/{old}?x"}}
    now = {**view, "id": new, "appData": {"at": 1, "see": f"https://example.org/p/{new}?x"}}
    names = Mapping()
    names.learn(Expected("ProducerCreated", {"id": old}), Expected("ProducerCreated", {"id": new}))
    assert different(joined(producers=[was]), joined(producers=[now]), names) == []
    now["appData"] = {"at": 2}
    assert different(joined(producers=[was]), joined(producers=[now]), names) == [
        f"producers.{new}.appData.at",
        f"producers.{new}.appData.see",
    ]


def test_a_repeat_that_is_answered_with_another_object_differs() -> None:
    names = Mapping()
    first = Expected("ProducerCreated", {"id": "recorded"})
    assert different(first, Expected("ProducerCreated", {"id": "one"}), names) == []
    assert different(first, Expected("ProducerCreated", {"id": "two"}), names) == ["id"]


def test_seats_and_epochs_are_counted_from_where_this_deployment_is() -> None:
    names = Mapping()
    create = {"meetingId": "m", "mediaServerId": "s", "routerId": "r", "state": "placed"}
    names.learn(Expected("MeetingCreated", {**create, "epoch": 1}), Expected("MeetingCreated", {**create, "epoch": 8}))
    names.learn(joined(seat=2), joined(seat=31))
    assert (names.epoch(Epoch(1)), names.epoch(Epoch(3))) == (8, 10)
    assert names.actor(Actor(seat=Seat(2))).seat == 31
    assert names.actor(Actor()).seat is None
    assert names.body({"below": 3, "participantId": "asha"}) == {"below": 32, "participantId": "asha"}
    moved = joined(epoch=9, seat=31)
    assert different(joined(), moved, names) == ["epoch"]


@pytest.mark.parametrize("epoch", ["", "-1", "-23"])
def test_ids_are_replaced_wherever_they_stand_and_nothing_else_is(epoch: str) -> None:
    names, old, new = Mapping(), f"{uuid4()}{epoch}", f"{uuid4()}{epoch}"
    names.learn(Expected("TransportRecreated", {"id": old}), Expected("TransportRecreated", {"id": new}))
    unknown = str(uuid4())
    body = {"transportId": old, "old": [old, unknown], "deep": [{"url": f"/t/{old}/x"}], "number": 5, "nothing": None}
    assert names.body(body) == {
        "transportId": new,
        "old": [new, unknown],
        "deep": [{"url": f"/t/{new}/x"}],
        "number": 5,
        "nothing": None,
    }


@pytest.mark.parametrize("flow", ["create_meeting", "create_consumer", "leave_kick_end"])
def test_a_recorded_reply_does_not_differ_from_itself(flow: str) -> None:
    for record in stored(flow).handled:
        reply = Expected(record.reply_type or "", record.reply)
        assert differences(reply, reply, Mapping()) == []
