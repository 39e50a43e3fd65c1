//! What one consumer's stream tells its receiver each second (sender reports in the producer's clock), and what it is told.

use std::collections::VecDeque;

use crate::Micros;
use crate::counters::StreamCounters;
use crate::order::AddConsumer;
use crate::rtcp::{self, Report};
use crate::score::{Interval, Score};

/// Sender reports that an answer may still be to.
const MAX_REPORTS: usize = 10;

/// The producer's clock as its last sender report told it: NTP time, RTP timestamp, when it came.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    pub ntp: u64,
    pub timestamp: u32,
    pub at: Micros,
}

/// One stream's reports, sent and received.
#[derive(Debug)]
pub struct Reports {
    sent: VecDeque<(u32, Micros)>, // the middle of the NTP time, when
    bytes: u64,
    packets: u64,
    score: Score,
}

impl Reports {
    /// A stream that nothing was sent of.
    pub fn new(counters: &StreamCounters) -> Self {
        let score = Score::new(10);
        counters.score.set(score.value().into());
        Self { sent: VecDeque::new(), bytes: 0, packets: 0, score }
    }

    /// Take the receiver's view of the stream.
    pub fn received(&mut self, report: &Report, counters: &StreamCounters, now: Micros) {
        let lost = report.lost.max(0) as u64;
        counters.lost.set(lost);
        counters.fraction_lost.set(report.fraction_lost.into());
        counters.jitter.set(report.jitter.into());
        if let Some((_, at)) = self.sent.iter().find(|(each, _)| *each == report.last_report) {
            let held = u64::from(report.delay) * 1_000_000 / 65_536;
            counters.round_trip.set(now.saturating_sub(*at).saturating_sub(held));
        }
        let expected = counters.packets.get();
        let score = self.score.report(Interval {
            expected,
            received: expected.saturating_sub(lost),
            repaired: counters.repaired.get(),
            retransmitted: counters.retransmitted.get(),
        });
        counters.score.set(score.into());
    }

    /// Write the sender report that is due, in the producer's clock; nothing while nothing is sent. Settles the rate.
    pub fn write(&mut self, order: &AddConsumer, clock: Option<(Clock, u32)>, now: Micros, out: &mut Vec<u8>) -> bool {
        let counters = &order.counters;
        let (packets, bytes) = (counters.packets.get(), counters.bytes.get());
        counters.bitrate.set((bytes - self.bytes) * 8);
        self.bytes = bytes;
        let Some((clock, clock_rate)) = clock.filter(|_| packets != self.packets) else { return false };
        self.packets = packets;
        let passed = now.saturating_sub(clock.at);
        let ntp = clock.ntp.wrapping_add(crate::round_trip::ntp(passed));
        let ticks = u128::from(passed) * u128::from(clock_rate) / 1_000_000;
        if self.sent.len() == MAX_REPORTS {
            self.sent.pop_front();
        }
        self.sent.push_back(((ntp >> 16) as u32, now));
        let timestamp = clock.timestamp.wrapping_add(ticks as u32);
        rtcp::write_sender_report(out, order.ssrc, ntp, timestamp, packets as u32, bytes as u32, &order.cname);
        true
    }
}
