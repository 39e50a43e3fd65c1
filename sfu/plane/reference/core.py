"""The map of the plane: datagrams to transports, orders to streams. Pure: bytes and `now` in, bytes and events out.

Only ICE checks are read from an address that no authenticated check came from. Whatever a datagram holds, it is counted
and dropped at most; an exception is a bug of ours, for the caller to count.
"""

from collections.abc import Callable, Iterator
from functools import partial

from contracts.ids import ConsumerId, ProducerId, TransportId
from sfu.packets.srtp import Srtp
from sfu.packets.stun import parse_check, seeming_addressee
from sfu.plane import seat
from sfu.plane.reference.ice import Address
from sfu.plane.reference.inbound import SILENCE, Inbound
from sfu.plane.reference.outbound import Outbound
from sfu.plane.reference.transport import Transport
from sfu.plane.reference.twcc import INTERVAL

CONSENT_TIMEOUT = 30.0


class Core:
    """All transports and streams of a worker."""

    def __init__(
        self, send: Callable[[bytes, Address], None], emit: seat.Listener, consent_timeout: float = CONSENT_TIMEOUT
    ) -> None:
        self.stats = seat.PlaneStats()
        self.transports: dict[TransportId, Transport] = {}
        self.producers: dict[ProducerId, Inbound] = {}
        self.consumers: dict[ConsumerId, Outbound] = {}
        self._by_fragment: dict[str, Transport] = {}
        self._by_address: dict[Address, Transport] = {}
        self._deliver, self._emit, self._consent_timeout = send, emit, consent_timeout
        self._fed_back_at, self._reported_at, self._counted = 0.0, 0.0, (0, 0)

    def datagram(self, data: bytes, address: Address, now: float) -> None:
        """Take what came from the network."""
        self.stats.packets_received += 1
        self.stats.bytes_received += len(data)
        first = data[0] if data else 255
        transport = self._by_address.get(address)
        if first < 4:
            self._check(data, address, now)
        elif transport is not None and 20 <= first < 64:
            transport.stats.bytes_received += len(data)
            self._emit(seat.DatagramReceived(transport.name, data))
        elif transport is not None and 128 <= first < 192:
            transport.stats.bytes_received += len(data)
            if not transport.media(data, address, now):
                transport.stats.packets_discarded += 1
        else:
            self.stats.discarded += 1

    def _check(self, data: bytes, address: Address, now: float) -> None:
        transport = self._by_fragment.get(seeming_addressee(data) or "")
        check = parse_check(data) if transport else None
        if check is None or transport is None or self._taken(address, transport, now):
            self.stats.discarded += 1
            return
        was = (transport.ice.selected, transport.ice.nominated)
        checked = transport.ice.check(check, address, now)
        if checked is None:
            self.stats.discarded += 1
            return
        self._send(checked.reply, address)
        if checked.dropped and self._by_address.get(checked.dropped) is transport:
            del self._by_address[checked.dropped]
        for fragment in checked.retired:
            self._by_fragment.pop(fragment, None)
        if address in transport.ice.tuples:
            self._by_address[address] = transport
        if transport.ice.selected and was != (transport.ice.selected, transport.ice.nominated):
            self._emit(seat.IceSelected(transport.name, transport.ice.selected, transport.ice.nominated))
            if was[0] is None:
                self._begin_all(transport, now)

    def _taken(self, address: Address, by: Transport, now: float) -> bool:
        """Say whether a 5-tuple is another transport's that is heard there: a peer may have forged it to cut that one off."""
        holder = self._by_address.get(address)
        return holder not in (None, by) and holder.ice.holds(address, now)

    def _send(self, data: bytes, address: Address) -> None:
        self.stats.packets_sent += 1
        self.stats.bytes_sent += len(data)
        self._deliver(data, address)

    def order(self, order: seat.Order, now: float) -> None:
        """Carry out an order."""
        match order:
            case seat.OpenTransport(name, ice):
                self.transports[name] = self._by_fragment[ice.username_fragment] = Transport(
                    name, ice, self._send, self._emit
                )
            case seat.RestartIce(name, ice):
                ended = self.transports[name].ice.restart(ice)
                self._by_fragment.pop(ended or "", None)
                self._by_fragment[ice.username_fragment] = self.transports[name]
            case seat.CloseTransport(name):
                self._forget_addresses(self.transports[name])
                for fragment in self.transports.pop(name).ice.fragments():
                    self._by_fragment.pop(fragment, None)
            case seat.SecureTransport(name):
                self.transports[name].srtp = Srtp(order, self.transports[name].inbounds)
                self._begin_all(self.transports[name], now)
            case seat.SendDatagram(name, data):
                self.transports[name].send(data)
            case seat.Probe(name):
                self.transports[name].probe(order, now)
            case seat.AddProducer() | seat.RemoveProducer() | seat.PauseProducer() | seat.ResumeProducer():
                self._producer(order)
            case seat.RequestKeyFrame(producer):
                self.producers[producer].ask()
                self.producers[producer].repair(now)
            case _:
                self._consumer(order, now)

    def _producer(self, order: seat.ProducerOrder) -> None:
        match order:
            case seat.AddProducer():
                transport = self.transports[order.transport]
                self.producers[order.producer] = Inbound(order, transport.send_rtcp)
                transport.add(self.producers[order.producer])
            case seat.PauseProducer(name):
                self.producers[name].pause()
            case seat.ResumeProducer(name):
                self.producers[name].resume()
            case seat.RemoveProducer(name):
                stream = self.producers.pop(name)
                self.transports[stream.order.transport].remove(stream)

    def _consumer(self, order: seat.ConsumerOrder, now: float) -> None:
        if isinstance(order, seat.AddConsumer):
            transport, source = self.transports[order.transport], self.producers[order.producer]
            added = Outbound(order, dict(source.order.extensions), source.order.kind == "video", transport.send_rtp)
            self.consumers[order.consumer] = added
            transport.outbounds[order.ssrc] = (added, source)
            source.outbounds.append(added)
            self._begin(added, source, now)
            return
        consumer = self.consumers[order.consumer]
        source = self.producers[consumer.order.producer]
        if isinstance(order, seat.RemoveConsumer):
            del self.consumers[order.consumer]
            source.outbounds.remove(consumer)
            if not source.outbounds:
                source.forget()
            self.transports[consumer.order.transport].drop(consumer)
            return
        consumer.paused = isinstance(order, seat.PauseConsumer)
        self._begin(consumer, source, now)

    def _begin_all(self, transport: Transport, now: float) -> None:
        for consumer, source in transport.outbounds.values():
            self._begin(consumer, source, now)

    def _begin(self, consumer: Outbound, source: Inbound, now: float) -> None:
        transport = self.transports[consumer.order.transport]
        consumer.synced, consumer.reachable = False, transport.srtp is not None and transport.ice.selected is not None
        if consumer.reachable and not consumer.paused:
            source.ask()
            source.repair(now)

    def _forget_addresses(self, transport: Transport) -> None:
        for address in transport.ice.tuples:
            if self._by_address.get(address) is transport:
                del self._by_address[address]
        transport.ice.forget()

    def due(self, now: float) -> Iterator[Callable[[], None]]:
        """Return what time asks for, each thing alone: a failure in one must not keep the others' peers waiting. Call each 20 ms or so."""
        for stream in list(self.producers.values()):
            if stream.needs_repair:
                yield partial(stream.repair, now)
        if now - self._fed_back_at >= INTERVAL:
            self._fed_back_at = now
            for transport in list(self.transports.values()):
                yield partial(transport.every_100_ms, now)
        if now - self._reported_at >= 1.0:
            self._settle_rates(now)
            for transport in list(self.transports.values()):
                yield partial(transport.every_second, now, SILENCE)
                yield partial(self._hold_consent, transport, now)

    def _settle_rates(self, now: float) -> None:
        elapsed, self._reported_at = max(1.0, now - self._reported_at), now
        sent, size = self.stats.packets_sent, self.stats.bytes_sent
        self.stats.packets_per_second = int((sent - self._counted[0]) / elapsed)
        self.stats.bytes_sent_per_second = int((size - self._counted[1]) / elapsed)
        self._counted = (sent, size)

    def _hold_consent(self, transport: Transport, now: float) -> None:
        if transport.ice.alive_at is not None and now - transport.ice.alive_at >= self._consent_timeout:
            self._forget_addresses(transport)
            for consumer, _ in transport.outbounds.values():
                consumer.reachable = False
            self._emit(seat.IceLost(transport.name))
