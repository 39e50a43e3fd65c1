//! Transport-wide congestion control feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1): what came over a
//! transport and when, for its sender's bandwidth estimate. Without it Chromium falls to 30 kbit/s.
//!
//! Each feedback goes on where the last one ended; a packet that comes late rewinds it, as long as its neighbours' arrivals
//! are remembered (500 ms).

mod feedback;

pub use feedback::{Feedback, FeedbackError, parse_feedback, write_feedback};

use crate::Micros;
use std::collections::VecDeque;

/// How often feedback is due.
pub const INTERVAL: Micros = 100_000;
/// The unit of arrival times and deltas.
pub const TICK: Micros = 250;
/// Ticks between two arrivals of one feedback: over eight seconds.
const MAX_DELTA: u64 = 0x7FFF;
const REMEMBERED: Micros = 500_000;
const MAX_GAP: i64 = 1000;
/// Packets a feedback reports, so that it stays under 1,000 bytes.
const MAX_PACKETS: usize = 400;
/// Packets that may wait for feedback; whoever skips numbers faster than that is not told of what he skipped.
const MAX_BEHIND: i64 = 4000;

/// Arrivals of one transport, by extended transport-wide sequence number.
#[derive(Debug, Default)]
pub struct TransportCc {
    /// Ticks, from the number `first` on: at most `MAX_GAP` that were reported and `MAX_BEHIND` that were not.
    arrivals: VecDeque<Option<u64>>,
    first: i64,
    /// Where the next feedback begins.
    next: i64,
    last: i64,
    count: u8,
    body: Vec<u8>,
}

impl TransportCc {
    /// Nothing has come yet.
    pub fn new() -> Self {
        Self { last: -1, ..Self::default() }
    }

    /// Take note of a transport-wide sequence number (16 bit).
    pub fn received(&mut self, sequence: u16, now: Micros) {
        let extended = self.last + i64::from(sequence.wrapping_sub(self.last as u16) as i16);
        let far = (extended - self.last).abs() > MAX_GAP || extended - self.next > MAX_BEHIND;
        if self.arrivals.is_empty() || far {
            self.arrivals.clear();
            (self.first, self.next, self.last) = (extended, extended, extended);
        }
        while extended < self.first {
            self.arrivals.push_front(None);
            self.first -= 1;
        }
        let index = (extended - self.first) as usize;
        if index >= self.arrivals.len() {
            self.arrivals.resize(index + 1, None);
        }
        match self.arrivals.get_mut(index) {
            Some(arrival @ None) => *arrival = Some(now / TICK),
            _ => return,
        }
        (self.next, self.last) = (self.next.min(extended), self.last.max(extended));
    }

    /// Return whether anything came since the last feedback.
    pub fn pending(&self) -> bool {
        self.next <= self.last && !self.arrivals.is_empty()
    }

    /// Give `each` the bodies of the feedback over what came since the last call.
    pub fn feedback(&mut self, now: Micros, each: &mut dyn FnMut(&[u8])) {
        while self.pending() {
            let from = (self.next - self.first) as usize;
            let arrivals = self.arrivals.range(from..).copied();
            let statuses = statuses(arrivals.clone());
            self.body.clear();
            write_feedback(&mut self.body, self.next as u16, arrivals.take(statuses), self.count);
            each(&self.body);
            self.next += statuses as i64;
            self.count = self.count.wrapping_add(1);
        }
        self.forget(now);
    }

    /// Forget what is too old, and what no late packet can make part of a feedback again.
    fn forget(&mut self, now: Micros) {
        let oldest = now.saturating_sub(REMEMBERED) / TICK;
        for arrival in &mut self.arrivals {
            *arrival = arrival.filter(|at| *at >= oldest);
        }
        while let Some(arrival) = self.arrivals.front() {
            if arrival.is_some() && self.first >= self.last - MAX_GAP {
                break;
            }
            self.arrivals.pop_front();
            self.first += 1;
        }
        if self.arrivals.len() < self.arrivals.capacity() / 4 {
            self.arrivals.shrink_to(2 * self.arrivals.len());
        }
    }
}

/// Count what the next body reports: an arrival too long after the one before (our loop stood still) begins another.
fn statuses(arrivals: impl Iterator<Item = Option<u64>>) -> usize {
    let mut previous = None;
    let fits = |arrival: &Option<u64>| {
        let far = previous.zip(*arrival).is_some_and(|(before, at): (u64, u64)| before.abs_diff(at) > MAX_DELTA);
        previous = arrival.or(previous);
        !far
    };
    arrivals.take(MAX_PACKETS).take_while(fits).count()
}
