//! What is asked of one stream's sender: packets that are missing (RFC 4585), key frames (PLI before FIR, RFC 5104).

use crate::Micros;
use crate::keyframe::KeyFrameRequests;
use crate::nack::NackGenerator;
use crate::order::AddProducer;
use crate::rtcp;

/// Numbers that one NACK asks for, so that it fits a packet however far apart they are.
const MAX_NACKED: usize = 250;
/// How often a loss beyond repair asks for a key frame ahead of the throttle: where nothing is ever repaired, one follows another.
const LOSS_INTERVAL: Micros = 1_000_000;

/// One stream's repair. A stream without recognizable key frames asks for none.
#[derive(Debug)]
pub struct Repairs {
    pub key_frames: KeyFrameRequests,
    /// Whether receivers must begin at a key frame.
    pub gated: bool,
    nack: NackGenerator,
    full_requests: u8,
    lost_at: Option<Micros>,
}

impl Repairs {
    /// Nothing came yet.
    pub fn new(gated: bool) -> Self {
        Self { key_frames: KeyFrameRequests::new(), gated, nack: NackGenerator::new(), full_requests: 0, lost_at: None }
    }

    /// Want a key frame. `urgent`: for somebody who sees nothing.
    pub fn ask(&mut self, now: Micros, urgent: bool) {
        if self.gated {
            self.key_frames.ask(now, urgent);
        }
    }

    /// Want a key frame at once, whatever was asked before.
    pub fn force(&mut self, now: Micros) {
        if self.gated {
            self.key_frames.force(now);
        }
    }

    /// Want a key frame as nothing else helps: receivers stand still.
    fn lost(&mut self, now: Micros) {
        let urgent = self.lost_at.is_none_or(|at| now.saturating_sub(at) >= LOSS_INTERVAL);
        if urgent {
            self.lost_at = Some(now);
        }
        self.ask(now, urgent);
    }

    /// Take note of a packet; true unless it was there before. `begins`: receivers can begin there.
    pub fn received(&mut self, extended: u64, key_frame: bool, begins: bool, now: Micros) -> bool {
        if self.nack.overflows(extended) {
            self.lost(now);
        }
        let fresh = self.nack.received(extended, key_frame, now);
        if fresh && begins {
            self.key_frames.arrived();
        }
        fresh
    }

    /// Whether this packet is missing.
    pub fn misses(&self, extended: u64) -> bool {
        self.nack.misses(extended)
    }

    /// Miss nothing of what came so far.
    pub fn reset(&mut self) {
        self.nack = NackGenerator::new();
    }

    /// When `send` could have something to do.
    pub fn next_due(&self) -> Option<Micros> {
        [self.nack.next_due(), self.key_frames.next_due()].into_iter().flatten().min()
    }

    /// Send what is due to the sender of this SSRC, written into `packet`.
    pub fn send(
        &mut self,
        ssrc: u32,
        order: &AddProducer,
        now: Micros,
        asked: &mut Vec<u64>,
        packet: &mut Vec<u8>,
        send: &mut dyn FnMut(&mut Vec<u8>),
    ) {
        asked.clear();
        let counters = &order.counters;
        let round_trip = Some(counters.round_trip.get()).filter(|each| *each > 0);
        let in_vain = self.nack.due(now, round_trip, asked);
        if !asked.is_empty() && order.nack {
            counters.nacks.add(1);
            counters.nacked.add(asked.len() as u64);
            for part in asked.chunks(MAX_NACKED) {
                packet.clear();
                rtcp::write_nack(packet, ssrc, part.iter().map(|each| *each as u16));
                send(packet);
            }
        }
        if in_vain {
            self.lost(now);
        }
        if !self.key_frames.due(now) {
            return;
        }
        packet.clear();
        if order.pli {
            counters.plis.add(1);
            rtcp::write_pli(packet, ssrc);
        } else if order.fir {
            counters.firs.add(1);
            self.full_requests = self.full_requests.wrapping_add(1);
            rtcp::write_fir(packet, ssrc, self.full_requests);
        } else {
            return;
        }
        send(packet);
    }
}
