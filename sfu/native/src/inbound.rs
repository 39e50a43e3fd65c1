//! A stream that comes in: found by its SSRC, MID or RID, counted, repaired (NACK, RTX), kept for its receivers in the order it came.

use crate::Micros;
use crate::core::{ConsumerKey, TransportKey};
use crate::counters::StreamCounters;
use crate::extensions::ReadExtensions;
use crate::history::{History, Packet};
use crate::order::AddProducer;
use crate::outbound::Arrival;
use crate::payload::Codec;
use crate::pool::Pool;
use crate::reception::Reception;
use crate::repairs::Repairs;
use crate::reports::Clock;
use crate::rtcp::Report;
use crate::rtp::Header;
use crate::score::{Interval, Score};

/// After this long without a packet a stream counts as silent.
pub const SILENCE: Micros = 2_000_000;
const VIDEO_AGE: Micros = 2_000_000;
const AUDIO_AGE: Micros = 1_000_000;
/// Packets that wait for the end of their frame at most: a run that is longer gains nothing more.
const MAX_PENDING: usize = 32;
/// How many packets may overtake the begin of a key frame that receivers begin with.
const MAX_OVERTAKEN: u64 = 100;

/// What a packet of a stream led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing to forward.
    Nothing,
    /// It waits with others for the end of its frame.
    Waits,
    /// What waits is to be sent now.
    Flush,
}

/// One producer's stream. A late packet counts only if it was missing, so nothing is forwarded twice.
pub struct Inbound {
    pub order: Box<AddProducer>,
    pub transport: TransportKey,
    pub extensions: ReadExtensions,
    pub paused: bool,
    pub consumers: Vec<ConsumerKey>,
    pub ssrc: Option<u32>,
    pub rtx_ssrc: Option<u32>,
    pub heard_at: Option<Micros>,
    pub clock: Option<Clock>,
    pub history: History,
    pub pending: Vec<Arrival>,
    /// When what waits is sent at the latest.
    pub flush_at: Option<Micros>,
    /// Whether it stands in the core's list of streams to repair.
    pub listed: bool,
    pub repairs: Repairs,
    codecs: Vec<(Codec, crate::order::Codec)>,
    reception: Reception,
    /// The stream of retransmissions as it comes, whatever it brings.
    repairs_reception: Reception,
    repairs_reported: u64,
    score: Score,
    counted: u64,
}

impl Inbound {
    /// A stream of which nothing came.
    pub fn new(order: Box<AddProducer>, transport: TransportKey) -> Self {
        let codecs: Vec<_> =
            order.codecs.iter().map(|each| (Codec::from_mime(&each.mime_type), each.clone())).collect();
        Self {
            extensions: ReadExtensions::of(&order.extensions),
            paused: order.paused,
            ssrc: order.ssrc,
            rtx_ssrc: order.rtx_ssrc,
            history: History::new(if order.video { VIDEO_AGE } else { AUDIO_AGE }),
            repairs: Repairs::new(order.video && codecs.first().is_some_and(|(codec, _)| codec.recognizable())),
            order,
            transport,
            codecs,
            consumers: Vec::new(),
            heard_at: None,
            clock: None,
            pending: Vec::new(),
            flush_at: None,
            listed: false,
            reception: Reception::new(),
            repairs_reception: Reception::new(),
            repairs_reported: 0,
            score: Score::new(10),
            counted: 0,
        }
    }

    /// The clock rate of its first codec, in Hz.
    pub fn clock_rate(&self) -> u32 {
        self.codecs.first().map_or(90_000, |(_, codec)| codec.clock_rate)
    }

    fn counters(&self) -> &StreamCounters {
        &self.order.counters
    }

    fn codec_of(&self, payload_type: u8) -> Option<usize> {
        self.codecs.iter().position(|(_, each)| each.payload_type == payload_type)
    }

    fn codec_of_rtx(&self, payload_type: u8) -> Option<usize> {
        self.codecs.iter().position(|(_, each)| each.rtx_payload_type == Some(payload_type))
    }

    /// Take a stream that named our MID, if that SSRC is not known yet and the payload type is ours.
    pub fn latch(&mut self, header: &Header) -> bool {
        if self.ssrc.is_none() && self.codec_of(header.payload_type).is_some() {
            self.ssrc = Some(header.ssrc);
        } else if self.rtx_ssrc.is_none() && self.codec_of_rtx(header.payload_type).is_some() {
            self.rtx_ssrc = Some(header.ssrc);
        }
        [self.ssrc, self.rtx_ssrc].contains(&Some(header.ssrc))
    }

    /// Take a packet of the stream or of its retransmissions: `packet` is plain, `header` was read of it, `wait` is how long it may wait for the end of its frame.
    pub fn receive(&mut self, header: &Header, packet: &[u8], now: Micros, wait: Micros, pool: &mut Pool) -> Taken {
        let Some(head) = packet.get(..header.payload_at) else { return Taken::Nothing };
        let payload = header.payload(packet);
        let counters = self.order.counters.clone();
        let retransmitted = Some(header.ssrc) != self.ssrc;
        let (codec, extended, payload) = if retransmitted {
            let Some(codec) = self.codec_of_rtx(header.payload_type) else { return Taken::Nothing };
            counters.retransmitted.add(1);
            let rate = self.codecs[codec].1.clock_rate;
            let _ = self.repairs_reception.received(header.sequence, header.timestamp, rate, now);
            let Some((extended, payload)) = self.unwrap(payload) else { return Taken::Nothing };
            counters.repaired.add(1);
            (codec, extended, payload)
        } else {
            let codec = self.codec_of(header.payload_type);
            let rate = codec.map(|codec| self.codecs[codec].1.clock_rate);
            let extended = rate.and_then(|rate| self.reception.received(header.sequence, header.timestamp, rate, now));
            let (Some(codec), Some(extended)) = (codec, extended) else {
                counters.discarded.add(1);
                return Taken::Nothing;
            };
            (codec, extended, payload)
        };
        counters.packets.add(1);
        counters.bytes.add(payload.len() as u64);
        if self.heard_at.replace(now).is_none() {
            counters.score.set(self.score.value().into());
        }
        if let Some(level) = self.extensions.level(header, packet) {
            counters.audio_level.set(level.into());
        }
        let key_frame = self.codecs[codec].0.begins_key_frame(payload);
        if self.paused {
            return Taken::Nothing;
        }
        let newest = Some(extended) == self.reception.highest;
        let highest = self.reception.highest.unwrap_or(extended);
        let begins = key_frame && highest.saturating_sub(extended) <= MAX_OVERTAKEN;
        if !self.repairs.received(extended, key_frame, begins, now) {
            counters.discarded.add(1);
            return Taken::Nothing;
        }
        if self.consumers.is_empty() {
            return Taken::Nothing;
        }
        let mut header = *header;
        header.padding = 0;
        let (timestamp, marker) = (header.timestamp, header.marker);
        let payload_type = self.codecs[codec].1.mapped_payload_type;
        let data = pool.join(head, payload);
        let kept = Packet { extended, arrived: now, timestamp, marker, payload_type, key_frame, data, header };
        self.history.insert(kept, pool);
        self.pending.push(Arrival { extended, newest, may_begin: begins || newest && !self.repairs.gated });
        let ends = begins && !newest
            || marker
            || !self.order.video
            || retransmitted
            || wait == 0
            || self.pending.len() >= MAX_PENDING;
        if ends {
            return Taken::Flush;
        }
        self.flush_at.get_or_insert(now + wait);
        Taken::Waits
    }

    /// Undo RFC 4588; None unless the original was missing (senders probe with copies and padding).
    fn unwrap<'a>(&mut self, payload: &'a [u8]) -> Option<(u64, &'a [u8])> {
        let (original, rest) = payload.split_first_chunk::<2>()?;
        let extended = self.reception.extend(u16::from_be_bytes(*original));
        if !self.repairs.misses(extended) {
            return None;
        }
        self.reception.recovered();
        Some((extended, rest))
    }

    /// Send what is due, written into `packet`: NACK for missing packets, a key frame request if somebody waits and the stream flows.
    pub fn repair(
        &mut self,
        now: Micros,
        asked: &mut Vec<u64>,
        packet: &mut Vec<u8>,
        send: &mut dyn FnMut(&mut Vec<u8>),
    ) {
        let Some(ssrc) = self.ssrc.filter(|_| !self.paused && self.flows(now)) else { return };
        self.repairs.send(ssrc, &self.order, now, asked, packet, send);
    }

    /// Whether packets came lately.
    pub fn flows(&self, now: Micros) -> bool {
        self.heard_at.is_some_and(|at| now.saturating_sub(at) <= SILENCE)
    }

    /// Count as silent from now on; true if it did not yet.
    pub fn silence(&mut self) -> bool {
        self.counters().score.set(0);
        self.heard_at.take().is_some()
    }

    /// Forward nothing; count on.
    pub fn pause(&mut self) {
        self.paused = true;
        self.repairs.reset();
        self.pending.clear();
        self.flush_at = None;
    }

    /// Keep the sender's clock, for our own reports to it and for its receivers'; judge what came since the last time.
    pub fn sender_reported(&mut self, ntp: u64, timestamp: u32, now: Micros) {
        self.clock = Some(Clock { ntp, timestamp, at: now });
        self.reception.sender_reported(ntp, now);
        let counters = self.counters();
        let repaired = counters.repaired.get();
        let totals = Interval {
            expected: self.reception.expected(),
            received: counters.packets.get() - repaired,
            repaired,
            retransmitted: counters.retransmitted.get(),
        };
        let score = self.score.report(totals);
        if self.heard_at.is_some() {
            self.counters().score.set(score.into());
        }
    }

    /// Return the block of this second's receiver report, and settle the second's rates.
    pub fn report(&mut self, now: Micros, pool: &mut Pool) -> Option<Report> {
        let bytes = self.counters().bytes.get();
        self.counters().bitrate.set((bytes - self.counted) * 8);
        self.counted = bytes;
        self.history.expire(now, pool);
        let report = self.reception.report(self.ssrc?, now);
        let counters = self.counters();
        counters.lost.set(self.reception.lost().max(0) as u64);
        counters.fraction_lost.set(self.reception.fraction_lost.into());
        counters.jitter.set(self.reception.jitter().into());
        counters.ssrc.set(self.ssrc.unwrap_or_default().into());
        counters.rtx_ssrc.set(self.rtx_ssrc.unwrap_or_default().into());
        report
    }

    /// Return the block about the retransmissions if any came since the last one (RFC 3550 §6.4.1); their timestamps are old, so they have
    /// no jitter.
    pub fn report_repairs(&mut self, now: Micros) -> Option<Report> {
        let received = self.repairs_reception.received_count();
        if std::mem::replace(&mut self.repairs_reported, received) == received {
            return None;
        }
        Some(Report { jitter: 0, ..self.repairs_reception.report(self.rtx_ssrc?, now)? })
    }
}
