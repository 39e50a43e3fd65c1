"""Where a worker listens, what it announces of that, and where a peer is seen to be. No peer needed."""

import socket

import pytest
from aioice.stun import Class, Message, Method, parse_message

from contracts.ids import RouterId, TransportId
from sfu.plane import native, seat
from sfu.plane.reference.plane import HOST_PRIORITY
from sfu.worker import PlaneName, Worker, WorkerSettings
from tests.sfu.conftest import HERE
from tests.sfu.room import room, until


@pytest.mark.parametrize("plane", ["silent", *HERE])
async def test_the_selected_address_is_shown_with_its_protocol(plane: PlaneName) -> None:
    async with room(plane=plane) as here:
        transport = here.transport()
        transport.ice_candidates = native.candidates(["192.0.2.9"], 8490)
        transport.plane_event(seat.IceSelected(transport.id, ("198.51.100.3", 4000), True, "tcp"))
        shown = transport.stats()[0]["iceSelectedTuple"]
        assert (shown["protocol"], shown["localAddress"], shown["remotePort"]) == ("tcp", "192.0.2.9", 4000)


async def test_what_is_announced_is_what_was_set(each_plane: PlaneName) -> None:
    worker = await Worker.create(WorkerSettings(announced_address="203.0.113.7", plane=each_plane))
    try:
        transport = worker.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
        candidate = transport.ice_candidates[0]
        assert (candidate.address, candidate.ip, candidate.port) == ("203.0.113.7", "203.0.113.7", worker.port)
        (fingerprint,) = transport.dtls_parameters.fingerprints
        assert fingerprint.algorithm == "sha-256"
        assert transport.dtls_parameters.role == "auto"
        assert transport.ice_parameters.ice_lite
        assert len(transport.ice_parameters.password) >= 22
        before = transport.ice_parameters
        assert transport.restart_ice() != before
        assert transport.ice_parameters != before
    finally:
        await worker.close()


async def test_a_port_that_is_taken_is_an_error_of_its_own(each_plane: PlaneName) -> None:
    worker = await Worker.create(WorkerSettings(plane=each_plane))
    try:
        with pytest.raises(OSError, match="in use"):
            await Worker.create(WorkerSettings(port=worker.port, plane=each_plane))
    finally:
        await worker.close()


@pytest.mark.parametrize("listen_ip", ["0.0.0.0", "::"])
def test_to_listen_everywhere_needs_an_announced_address(listen_ip: str) -> None:
    with pytest.raises(ValueError, match="announced"):
        WorkerSettings(listen_ip=listen_ip)
    assert WorkerSettings(listen_ip=listen_ip, announced_address="203.0.113.7")


def test_only_the_native_plane_listens_on_several_addresses_and_each_is_announced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(native, "_broken", "")
    both = {"listen_ip": "10.0.0.5, fd00::5", "plane": "native"}
    assert WorkerSettings(**both).addresses == [("10.0.0.5", "10.0.0.5"), ("fd00::5", "fd00::5")]
    announced = WorkerSettings(**both, announced_address="203.0.113.7,2001:db8::7")
    assert announced.addresses == [("10.0.0.5", "203.0.113.7"), ("fd00::5", "2001:db8::7")]
    with pytest.raises(ValueError, match="2 addresses are listened on and 1 announced"):
        WorkerSettings(**both, announced_address="203.0.113.7")
    with pytest.raises(ValueError, match="the reference plane listens on one address"):
        WorkerSettings(listen_ip="10.0.0.5,fd00::5", plane="reference")
    monkeypatch.setattr(native, "_broken", "it is not built")
    with pytest.raises(ValueError, match=r"no native plane here \(it is not built\)"):
        WorkerSettings(plane="native")


def test_every_udp_candidate_is_preferred_to_every_tcp_one_in_the_order_of_the_addresses() -> None:
    found = native.candidates(["192.0.2.1", "2001:db8::1"], 8490)
    assert [(each.address, each.protocol, each.tcp_type) for each in found] == [
        ("192.0.2.1", "udp", None),
        ("2001:db8::1", "udp", None),
        ("192.0.2.1", "tcp", "passive"),
        ("2001:db8::1", "tcp", "passive"),
    ]
    assert found[0].priority == HOST_PRIORITY
    assert [each.priority for each in found] == sorted({each.priority for each in found}, reverse=True)
    assert {each.foundation for each in found} == {"udpcandidate", "tcpcandidate"}


async def test_a_worker_listens_on_ipv6_too(each_plane: PlaneName) -> None:
    worker = await Worker.create(WorkerSettings(listen_ip="::1", plane=each_plane))
    try:
        transport = worker.create_router(RouterId("r")).create_webrtc_transport(TransportId("t"))
        check = Message(Method.BINDING, Class.REQUEST)
        check.attributes["USERNAME"] = f"{transport.ice_parameters.username_fragment}:x"
        check.add_message_integrity(transport.ice_parameters.password.encode())
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as client:
            client.sendto(bytes(check), ("::1", worker.port))
            await until(lambda: transport.ice_selected is not None)
            assert parse_message(client.recv(2048)).attributes["XOR-MAPPED-ADDRESS"][1] == client.getsockname()[1]
    finally:
        await worker.close()
