//! A stream that goes out: its header rewritten, its payload sealed straight from the producer's history, sent again on request.

use std::sync::Arc;

use crate::Micros;
use crate::batch::Output;
use crate::core::{ProducerKey, TransportKey};
use crate::counters::{StreamCounters, TransportCounters};
use crate::extensions::{self, MID};
use crate::flood::Rate;
use crate::heading::Heading;
use crate::history::{History, Packet};
use crate::ice::Tuple;
use crate::order::AddConsumer;
use crate::reports::{Clock, Reports};
use crate::resend::Resends;
use crate::rtcp::Report;
use crate::selector::{Choice, Selector, Sent};
use crate::srtp::Sealer;
use crate::transport::MAX_SEAL;

/// A round trip that is not measured yet.
const UNMEASURED: Micros = 50_000;
/// Packets a second that are sent again to one receiver: more is no repair.
const RESENDS_PER_SECOND: u32 = 1000;

/// A flushed packet and what its arrival was: see `Selector::choose`.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub extended: u64,
    pub newest: bool,
    pub may_begin: bool,
}

/// Where a transport's media goes to, and what seals it.
pub struct Way<'a> {
    pub to: Tuple,
    pub sealer: &'a Sealer,
    pub counters: &'a TransportCounters,
}

/// One consumer's stream.
pub struct Outbound {
    pub order: Box<AddConsumer>,
    pub transport: TransportKey,
    pub producer: ProducerKey,
    pub paused: bool,
    pub selector: Selector,
    heading: Heading,
    counters: Arc<StreamCounters>,
    next_rtx: u64,
    resends: Resends,
    resend_rate: Rate,
    reports: Reports,
    /// Whether it may still ask anew ahead of the throttle, as it missed the key frame that came for it.
    eager: bool,
}

impl Outbound {
    /// A stream that nothing was sent of; `source` is the producer's header extensions.
    pub fn new(
        order: Box<AddConsumer>,
        transport: TransportKey,
        producer: ProducerKey,
        source: &[(String, u8)],
    ) -> Self {
        let kept = order.extensions.iter().filter(|(uri, _)| uri != MID);
        let mapped = kept.filter_map(|(uri, id)| Some((extensions::id(source, uri)?, *id))).collect();
        order.counters.ssrc.set(order.ssrc.into());
        order.counters.rtx_ssrc.set(order.rtx_ssrc.unwrap_or_default().into());
        Self {
            heading: Heading::new(&order, mapped, extensions::id(&order.extensions, MID)),
            selector: Selector::new(order.first_sequence),
            next_rtx: order.first_rtx_sequence.into(),
            paused: order.paused,
            reports: Reports::new(&order.counters),
            counters: order.counters.clone(),
            order,
            transport,
            producer,
            resends: Resends::new(),
            resend_rate: Rate::new(RESENDS_PER_SECOND, RESENDS_PER_SECOND),
            eager: true,
        }
    }

    /// Read a little of all that `forward` needs: see `media::warm`.
    pub fn warm(&self) -> u64 {
        self.counters.packets.get() ^ self.selector.last() ^ u64::from(self.heading.ssrc)
    }

    /// Send a producer's packet on; false if a key frame is needed before anything can be sent.
    pub fn forward(&mut self, packet: &Packet, arrival: Arrival, way: Option<&Way>, out: &mut Output) -> bool {
        let Some(way) = way.filter(|_| !self.paused && self.heading.takes(packet.payload_type).is_some()) else {
            self.selector.desync();
            return true;
        };
        match self.selector.choose(arrival.extended, arrival.newest, arrival.may_begin) {
            Choice::NeedsKeyFrame => return false,
            Choice::Drop => return true,
            Choice::Send(number) => {
                let payload = packet.header.payload(&packet.data);
                let sent = self.seal(packet, packet.payload_type, self.heading.ssrc, number, payload, way, out);
                way.counters.rtp_bytes_sent.add(sent);
                self.counters.packets.add(1);
                self.counters.bytes.add(payload.len() as u64);
            }
        }
        true
    }

    /// Write the header, seal the payload behind it; return the plain packet's bytes.
    #[expect(clippy::too_many_arguments, reason = "one place where all of a packet comes together")]
    fn seal(
        &self,
        packet: &Packet,
        payload_type: u8,
        ssrc: u32,
        number: u64,
        payload: &[u8],
        way: &Way,
        out: &mut Output,
    ) -> u64 {
        let piece = out.batch.piece(self.heading.room(packet) + payload.len() + MAX_SEAL);
        let head = self.heading.write(piece, packet, payload_type, ssrc, number as u16);
        let Ok(length) = way.sealer.seal_rtp(number, piece, head, payload) else { return 0 };
        out.batch.commit(way.to, length);
        way.counters.bytes_sent.add(length as u64);
        (head + payload.len()) as u64
    }

    /// Send again what is still there: wrapped as RTX where negotiated (RFC 4588), else byte for byte.
    pub fn nacked(
        &mut self,
        sequences: impl Iterator<Item = u16>,
        history: &History,
        way: &Way,
        now: Micros,
        out: &mut Output,
    ) {
        let counters = self.counters.clone();
        counters.nacks.add(1);
        let round_trip = Some(counters.round_trip.get()).filter(|each| *each > 0).unwrap_or(UNMEASURED);
        for sequence in sequences {
            counters.nacked.add(1);
            let Some(Sent { number, extended }) = self.selector.sent(sequence) else { continue };
            let Some(packet) = history.get(extended, now) else { continue };
            let first = !self.resends.knows(number);
            if !self.resends.may(number, now, round_trip) || !self.resend_rate.take(now) {
                continue;
            }
            counters.retransmitted.add(1);
            counters.repaired.add(first.into());
            let rtx = self.heading.takes(packet.payload_type).flatten();
            out.make_room();
            let sent = match (rtx, self.order.rtx_ssrc) {
                (Some(payload_type), Some(ssrc)) => {
                    let mut payload = Vec::with_capacity(packet.header.payload(&packet.data).len() + 2);
                    payload.extend_from_slice(&(number as u16).to_be_bytes());
                    payload.extend_from_slice(packet.header.payload(&packet.data));
                    self.next_rtx += 1;
                    self.seal(packet, payload_type, ssrc, self.next_rtx - 1, &payload, way, out)
                }
                _ => self.seal(
                    packet,
                    packet.payload_type,
                    self.heading.ssrc,
                    number,
                    packet.header.payload(&packet.data),
                    way,
                    out,
                ),
            };
            way.counters.rtx_bytes_sent.add(sent);
        }
    }

    /// Free what is not needed any more; now and then.
    pub fn rest(&mut self, now: Micros) {
        self.resends.expire(now);
    }

    /// Take the receiver's view of this stream.
    pub fn reported(&mut self, report: &Report, now: Micros) {
        self.reports.received(report, &self.counters, now);
    }

    /// Write the sender report that is due; false and nothing while nothing is sent.
    pub fn report(&mut self, clock: Option<Clock>, clock_rate: u32, now: Micros, packet: &mut Vec<u8>) -> bool {
        self.reports.write(&self.order, clock.map(|clock| (clock, clock_rate)), now, packet)
    }

    /// Begin anew at the next key frame.
    pub fn begin(&mut self) {
        self.eager = true;
        self.selector.desync();
    }

    /// Say, once, that a key frame passed this receiver by, as its begin came late: the next one is urgent.
    pub fn passed_by(&mut self, arrival: &Arrival) -> bool {
        arrival.may_begin && !arrival.newest && std::mem::take(&mut self.eager)
    }
}
