"""ICE-lite: who is answered, where media goes, how long consent lasts."""

import pytest
from aioice.stun import Class, Message, Method

from sfu.packets import rtcp
from sfu.plane import seat
from tests.pure.virtual_plane import Client, VirtualPlane, call

pytestmark = pytest.mark.usefixtures("each_core")
NEW = seat.IceCredentials("renewed", "a-new-password-0123456789")


def test_an_authentic_check_is_answered_with_the_address_it_came_from() -> None:
    client = VirtualPlane().client("a", secured=False)
    (answer,) = client.check()
    assert answer.message_class == Class.RESPONSE
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == client.address
    assert answer.check_message_integrity(client.ice.password.encode())


@pytest.mark.parametrize(
    "ice",
    [
        seat.IceCredentials("unknown", "password-of-a-0123456789"),
        seat.IceCredentials("fragment-a", "wrong-password"),
        seat.IceCredentials("", ""),
        seat.IceCredentials("ü", "password"),
    ],
)
def test_a_check_that_is_not_authentic_gets_no_answer_and_counts_for_nothing(ice: seat.IceCredentials) -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    assert client.check(ice=ice, nominate=True) == []
    assert plane.events == []
    client.send(b"\x16\xfe\xfd" + bytes(30))
    assert plane.events == []
    assert plane.stats().discarded == 2


def test_checks_without_integrity_or_fingerprint_or_name_are_ignored() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    name = f"{client.ice.username_fragment}:x"
    bare = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": name})
    client.send(bytes(bare))
    bare.add_fingerprint()
    client.send(bytes(bare))
    nameless = Message(Method.BINDING, Class.REQUEST)
    nameless.add_message_integrity(client.ice.password.encode())
    client.send(bytes(nameless))
    unmarked = Message(Method.BINDING, Class.REQUEST, attributes={"USERNAME": name})
    unmarked.add_message_integrity(client.ice.password.encode())
    unmarked.attributes.pop("FINGERPRINT")
    client.send(bytes(unmarked))
    assert client.answers == []


def test_an_answer_is_never_larger_than_the_question() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    client.check()
    stats = plane.stats()
    assert 0 < stats.bytes_sent <= stats.bytes_received


def test_a_peer_that_wants_to_be_controlled_is_told_of_the_conflict_and_selects_nothing() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    (answer,) = client.check(nominate=True, **{"ICE-CONTROLLED": 9})
    assert answer.error_code == 487
    assert plane.events == []


def test_the_first_valid_address_is_selected_then_whichever_is_nominated() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    first = client.address
    client.check()
    client.moved(2000)
    client.check()
    assert plane.events == [seat.IceSelected(client.name, first, nominated=False)]
    client.check(nominate=True)
    client.check(nominate=True)
    assert plane.events[1:] == [seat.IceSelected(client.name, client.address, nominated=True)]


def test_eight_addresses_are_kept_and_the_selected_one_always() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    selected = client.address
    for port in [selected[1], *range(3000, 3012)]:
        client.moved(port)
        client.check()
    assert plane.selected(client.name) == selected
    if plane.runs == "reference":
        ice = plane.core.transports[client.name].ice
        assert len(ice.tuples) == 8
        assert selected in ice.tuples
    plane.events.clear()
    client.moved(3000)
    client.send(b"\x16\xfe\xfd" + bytes(30))
    assert plane.events == []


def test_old_credentials_hold_until_the_new_ones_are_used() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    client.check(nominate=True)
    plane.order(seat.RestartIce(client.name, NEW))
    assert client.check()
    client.moved(4000)
    assert client.check(ice=NEW, nominate=True)
    assert plane.events[-1] == seat.IceSelected(client.name, client.address, nominated=True)
    assert client.check() == []
    assert client.check(ice=NEW)


def test_credentials_in_use_hold_over_restarts_that_were_never_used() -> None:
    """A restart whose answer got lost is asked for again; the peer has nothing but the old ones until an answer comes."""
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    client.check()
    unused = [seat.IceCredentials(f"restart-{number}", "another-password-0123456") for number in range(10)]
    for each in [*unused, NEW]:
        plane.order(seat.RestartIce(client.name, each))
    assert client.check()
    if plane.runs == "reference":
        assert len(plane.core._by_fragment) == len(plane.core.transports[client.name].ice.fragments()) == 4
    assert client.check(ice=unused[0]) == []
    assert client.check(ice=unused[-1])
    assert client.check() == []
    assert client.check(ice=NEW)
    if plane.runs == "reference":
        assert plane.core._by_fragment == {NEW.username_fragment: plane.core.transports[client.name]}


def test_a_selected_address_that_fell_silent_gives_way_to_one_that_is_checked() -> None:
    """A NAT gave the browser another port; Firefox nominates in its first check only."""
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    viewer.moved(4000)
    viewer.check()
    assert plane.selected(viewer.name) == ("10.0.0.1", 1001)
    plane.after(11, step=0.1)
    viewer.check()
    assert plane.events[-1] == seat.IceSelected(viewer.name, viewer.address, nominated=True)
    del plane.clients["10.0.0.1", 1001]
    publisher.frames(6, 5)
    assert len(viewer.packets) == 10


def test_a_selected_address_that_sends_media_stays_selected_without_checks() -> None:
    plane, _, viewer = call()
    first = viewer.address
    for _ in range(15):
        plane.after(1.0, step=0.1)
        viewer.report(next(rtcp.write_receiver_reports([rtcp.Report(5000, 0, 0, 0, 0, 0, 0)])))
    viewer.moved(4000)
    viewer.check()
    assert plane.selected(viewer.name) == first


def test_consent_ends_thirty_seconds_after_the_last_sign_of_life_and_nothing_is_sent_then() -> None:
    plane, publisher, viewer = call()
    publisher.frames(1, 5)
    plane.after(20)
    viewer.check()
    plane.after(25)
    assert seat.IceLost(publisher.name) in plane.events
    assert seat.IceLost(viewer.name) not in plane.events
    plane.after(6)
    assert plane.events.count(seat.IceLost(viewer.name)) == 1
    sent = plane.stats().packets_sent
    plane.order(seat.SendDatagram(viewer.name, b"\x16" * 20))
    assert plane.stats().packets_sent == sent


def test_authentic_media_is_a_sign_of_life_and_forged_media_is_not() -> None:
    plane, publisher, viewer = call()
    for second in range(40):
        publisher.media(second)
        viewer.send(b"\x80\x65" + bytes(60))
        plane.after(1.0)
    assert seat.IceLost(viewer.name) in plane.events
    assert seat.IceLost(publisher.name) not in plane.events


def test_a_transport_without_any_check_never_loses_consent() -> None:
    plane = VirtualPlane()
    plane.client("a", secured=False)
    plane.after(100, step=1.0)
    assert plane.events == []


def test_dtls_is_handed_up_only_from_addresses_of_authentic_checks() -> None:
    plane = VirtualPlane()
    client = plane.client("a", secured=False)
    hello = b"\x16\xfe\xff" + bytes(30)
    client.send(hello)
    assert plane.events == []
    client.check()
    client.send(hello)
    assert plane.events[-1] == seat.DatagramReceived(client.name, hello)


def test_a_closed_transport_is_a_stranger_again() -> None:
    plane = VirtualPlane()
    client = plane.client("a")
    plane.order(seat.CloseTransport(client.name))
    plane.events.clear()
    assert client.check() == []
    client.send(b"\x16\xfe\xff" + bytes(30))
    assert plane.events == []


def test_an_address_that_a_peer_is_heard_from_cannot_be_taken_by_another_transport() -> None:
    """Whoever has credentials of his own may forge a check from somebody else's address."""
    plane, publisher, viewer = call()
    forger = Client(plane, "forger", publisher.address)
    plane.clients[publisher.address] = publisher
    assert forger.check(nominate=True) == []
    publisher.frames(1, 5)
    assert len(viewer.packets) == 5


def test_an_address_that_fell_silent_belongs_to_the_transport_that_is_checked_from_it() -> None:
    plane = VirtualPlane()
    first = plane.client("a", secured=False)
    first.check()
    second = Client(plane, "b", first.address)
    plane.after(11, step=0.1)
    second.check()
    plane.events.clear()
    second.send(b"\x16\xfe\xff" + bytes(30))
    assert [event.transport for event in plane.events] == [second.name]
    plane.order(seat.CloseTransport(first.name))
    second.send(b"\x16\xfe\xff" + bytes(30))
    assert len(plane.events) == 2
