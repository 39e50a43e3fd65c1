//! Counters that one thread writes and any may read: what a stream, a transport and the plane did since they began.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number with one writer. Reading it from another thread gives what it was a moment ago.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Add to it; from the writing thread only.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// Replace it; from the writing thread only.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Read it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a transport did. Bytes are of UDP payloads, those of RTP and RTX of their packets in plain.
#[derive(Debug, Default)]
pub struct TransportCounters {
    pub bytes_received: Counter,
    pub bytes_sent: Counter,
    pub rtp_bytes_received: Counter,
    pub rtp_bytes_sent: Counter,
    pub rtx_bytes_received: Counter,
    pub rtx_bytes_sent: Counter,
    pub packets_discarded: Counter,
}

/// What a stream did, received or sent. `jitter` is in ticks, `round_trip` in microseconds, `fraction_lost` in 1/256, `score` 0 to 10.
#[derive(Debug, Default)]
pub struct StreamCounters {
    pub ssrc: Counter,
    pub rtx_ssrc: Counter,
    pub packets: Counter,
    pub bytes: Counter,
    pub bitrate: Counter,
    pub lost: Counter,
    pub fraction_lost: Counter,
    pub jitter: Counter,
    pub discarded: Counter,
    pub retransmitted: Counter,
    pub repaired: Counter,
    pub nacks: Counter,
    pub nacked: Counter,
    pub plis: Counter,
    pub firs: Counter,
    pub round_trip: Counter,
    pub score: Counter,
    pub audio_level: Counter,
}

/// What the whole plane did, and in the last second.
#[derive(Debug, Default)]
pub struct PlaneCounters {
    pub packets_received: Counter,
    pub packets_sent: Counter,
    pub bytes_received: Counter,
    pub bytes_sent: Counter,
    pub packets_per_second: Counter,
    pub bytes_sent_per_second: Counter,
    pub discarded: Counter,
    pub failures: Counter,
}
