//! Media through the core: a packet in, its copies out, RTCP both ways.

use std::hint::black_box;

use slotmap::SlotMap;

use crate::Micros;
use crate::batch::Output;
use crate::core::{ConsumerKey, Core, ProducerKey, Scratch, TransportKey};
use crate::ice::Tuple;
use crate::inbound::Taken;
use crate::order::Event;
use crate::outbound::{Arrival, Outbound};
use crate::round_trip;
use crate::rtcp::{self, Packet};
use crate::rtp::{self, Header};
use crate::timers::FEEDBACK;
use crate::transport::Transport;

/// Receivers whose state is fetched from memory together.
const WARM: usize = 8;

impl Core {
    /// Take an SRTP or SRTCP packet; false if it was nothing for us (RFC 5761 §4 tells the two apart).
    pub(crate) fn media(
        &mut self,
        key: TransportKey,
        data: &mut [u8],
        from: Tuple,
        now: Micros,
        out: &mut Output,
    ) -> bool {
        let Some(transport) = self.transports.get_mut(key) else { return false };
        let Some(opener) = &mut transport.opener else { return false };
        if matches!(data.get(1), Some(192..=223)) {
            let Ok(length) = opener.open_rtcp(data) else { return false };
            transport.ice.heard(from, now);
            if !transport.rtcp_rate.take(now) {
                return false;
            }
            let compound = &data[..length];
            rtcp::parse(compound, &mut |packet| self.feedback(key, &packet, now, out));
            return true;
        }
        let Ok(header) = rtp::header_length(data) else { return false };
        let Ok(opened) = opener.open_rtp(data, header) else { return false };
        transport.ice.heard(from, now);
        let packet = &data[..opened.length];
        let Ok(header) = rtp::parse(packet) else { return false };
        if transport.arrived(&header, packet, now) {
            self.timers.feedback.push(key);
            self.timers.feedback_at = self.timers.feedback_at.min(now + FEEDBACK);
        }
        if transport.stamped(&header, packet, now) {
            transport.tell_estimate(now, &mut self.scratch.packet, out);
        }
        let Some(producer) = transport.inbounds.get(&header.ssrc).copied().or_else(|| self.latch(key, &header, packet))
        else {
            return false;
        };
        self.rtp(key, producer, &header, packet, now, out);
        true
    }

    fn latch(&mut self, key: TransportKey, header: &Header, packet: &[u8]) -> Option<ProducerKey> {
        let transport = self.transports.get(key)?;
        let producers = &mut self.producers;
        let found = transport
            .named(header, packet)
            .find(|each| producers.get_mut(*each).is_some_and(|stream| stream.latch(header)))?;
        self.transports.get_mut(key)?.bind(header.ssrc, found);
        Some(found)
    }

    fn rtp(
        &mut self,
        key: TransportKey,
        producer: ProducerKey,
        header: &Header,
        packet: &[u8],
        now: Micros,
        out: &mut Output,
    ) {
        let (Some(stream), Some(transport)) = (self.producers.get_mut(producer), self.transports.get(key)) else {
            return;
        };
        let size = packet.len() as u64;
        let ours = Some(header.ssrc) == stream.ssrc;
        let received =
            if ours { &transport.counters.rtp_bytes_received } else { &transport.counters.rtx_bytes_received };
        received.add(size);
        let was_silent = stream.heard_at.is_none();
        let taken = stream.receive(header, packet, now, self.config.frame_wait, &mut self.pool);
        if was_silent && stream.heard_at.is_some() {
            out.events.push(Event::StreamStarted { producer: stream.order.producer.clone() });
        }
        match taken {
            Taken::Flush => {
                self.waits_no_more(producer);
                self.flush(producer, now, out);
            }
            Taken::Waits => {
                let at = self.producers[producer].flush_at.unwrap_or(now);
                if !self.timers.flush.contains(&producer) {
                    self.timers.flush.push(producer);
                }
                self.timers.flush_at = self.timers.flush_at.min(at);
            }
            Taken::Nothing => {}
        }
        if self.producers[producer].repairs.key_frames.wanted() {
            self.repair(producer, now, out);
        } else {
            self.watch(producer);
        }
    }

    /// Wake up for nobody whose frame is whole.
    fn waits_no_more(&mut self, producer: ProducerKey) {
        let Self { timers, producers, .. } = self;
        if let Some(at) = timers.flush.iter().position(|each| *each == producer) {
            timers.flush.swap_remove(at);
            let waiting = timers.flush.iter().filter_map(|key| producers.get(*key)?.flush_at);
            timers.flush_at = waiting.min().unwrap_or(Micros::MAX);
        }
    }

    /// Send what waits of a producer to its consumers: each gets its packets in one run.
    pub(crate) fn flush(&mut self, producer: ProducerKey, now: Micros, out: &mut Output) {
        let Self { producers, consumers, transports, scratch, .. } = self;
        let Some(source) = producers.get_mut(producer) else { return };
        source.flush_at = None;
        let Scratch { arrivals, .. } = scratch;
        std::mem::swap(arrivals, &mut source.pending);
        let (mut wanted, mut urgent) = (false, false);
        for (place, key) in source.consumers.iter().enumerate() {
            if place % WARM == 0 {
                warm(source.consumers.iter().skip(place).take(WARM), consumers, transports);
            }
            let Some(consumer) = consumers.get_mut(*key) else { continue };
            let Some(transport) = transports.get(consumer.transport) else { continue };
            let way = transport.way();
            out.make_room();
            for arrival in arrivals.iter() {
                let Some(packet) = source.history.get(arrival.extended, now) else { continue };
                if !consumer.forward(packet, *arrival, way.as_ref(), out) {
                    wanted = true;
                    urgent |= consumer.passed_by(arrival);
                } else if !arrival.newest && consumer.selector.just_began(arrival.extended) {
                    for overtook in source.history.after(arrival.extended, now) {
                        let arrival = Arrival { extended: overtook.extended, newest: false, may_begin: false };
                        consumer.forward(overtook, arrival, way.as_ref(), out);
                    }
                }
            }
        }
        arrivals.clear();
        std::mem::swap(arrivals, &mut source.pending);
        if wanted {
            source.repairs.ask(now, urgent);
        }
    }

    /// Send what a stream's repair asks for now; note when it wants to be looked at again.
    pub(crate) fn repair(&mut self, producer: ProducerKey, now: Micros, out: &mut Output) {
        let Self { producers, transports, scratch, .. } = self;
        let Some(stream) = producers.get_mut(producer) else { return };
        let Some(transport) = transports.get_mut(stream.transport) else { return };
        let Scratch { packet, asked, .. } = scratch;
        stream.repair(now, asked, packet, &mut |packet| transport.send_rtcp(packet, out));
        self.watch(producer);
    }

    /// See to it that a stream is looked at when its repair is due.
    fn watch(&mut self, producer: ProducerKey) {
        let Some(stream) = self.producers.get_mut(producer) else { return };
        if let Some(at) = stream.repairs.next_due().filter(|_| !stream.paused) {
            if !std::mem::replace(&mut stream.listed, true) {
                self.timers.repair.push(producer);
            }
            self.timers.repair_at = self.timers.repair_at.min(at);
        }
    }

    fn feedback(&mut self, key: TransportKey, packet: &Packet, now: Micros, out: &mut Output) {
        let Some(transport) = self.transports.get_mut(key) else { return };
        match packet {
            Packet::Goodbye { ssrcs } => {
                for ssrc in *ssrcs {
                    let stream = transport.inbounds.get(&ssrc).and_then(|stream| self.producers.get_mut(*stream));
                    if let Some(stream) = stream
                        && stream.silence()
                    {
                        let producer = stream.order.producer.clone();
                        out.events.push(Event::StreamSilent { producer, goodbye: true });
                    }
                }
            }
            Packet::SenderReport { ssrc, ntp, timestamp, .. } => {
                let stream = transport.inbounds.get(ssrc).and_then(|stream| self.producers.get_mut(*stream));
                if let Some(stream) = stream.filter(|stream| stream.ssrc == Some(*ssrc)) {
                    stream.sender_reported(*ntp, *timestamp, now);
                }
            }
            Packet::Report(report) => {
                let consumer = transport.outbounds.get(&report.ssrc).and_then(|key| self.consumers.get_mut(*key));
                if let Some(consumer) = consumer {
                    consumer.reported(report, now);
                }
            }
            Packet::Nack(nack) => {
                let Self { consumers, producers, transports, .. } = self;
                let Some(transport) = transports.get(key) else { return };
                let Some(consumer) = transport.outbounds.get(&nack.ssrc).and_then(|key| consumers.get_mut(*key)) else {
                    return;
                };
                let Some(source) = producers.get(consumer.producer) else { return };
                let Some(way) = transport.way() else { return };
                consumer.nacked(nack.iter(), &source.history, &way, now, out);
            }
            Packet::KeyFrameRequest { ssrc, full, .. } => {
                let consumer = transport.outbounds.get(ssrc).and_then(|key| self.consumers.get(*key));
                let Some(consumer) = consumer else { return };
                consumer.order.counters.plis.add(u64::from(!full));
                consumer.order.counters.firs.add(u64::from(*full));
                let producer = consumer.producer;
                if let Some(source) = self.producers.get_mut(producer) {
                    source.repairs.ask(now, false);
                    self.repair(producer, now, out);
                }
            }
            Packet::ReceiverReference { ssrc, ntp } => transport.references.named(*ssrc, *ntp, now),
            Packet::Dlrr { ssrc: rtcp::OWN_SSRC, last, delay } => {
                let Some(measured) = round_trip::measured(*last, *delay, now) else { return };
                for producer in transport.inbounds.values() {
                    if let Some(stream) = self.producers.get(*producer) {
                        stream.order.counters.round_trip.set(measured);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Have the processor fetch what the next receivers need, for all of them at once: each on its own would wait for memory, as between two
/// frames their state leaves the caches.
fn warm<'a>(
    keys: impl Iterator<Item = &'a ConsumerKey>,
    consumers: &SlotMap<ConsumerKey, Outbound>,
    transports: &SlotMap<TransportKey, Transport>,
) {
    let read = keys.filter_map(|key| {
        let consumer = consumers.get(*key)?;
        Some(consumer.warm() ^ transports.get(consumer.transport)?.warm())
    });
    black_box(read.fold(0, |all, one| all ^ one));
}
