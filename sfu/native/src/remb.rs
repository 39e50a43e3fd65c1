//! What the path from a sender can carry, found out by the receiver (draft-alvestrand-rmcat-remb-03, draft-ietf-rmcat-gcc-02 §5.6):
//! for senders that stamp their packets with abs-send-time and understand REMB, but no transport-wide feedback.

use crate::Micros;
use crate::rate::Bitrate;
use crate::trendline::{Trendline, Usage};

/// What is left of the rate that comes when the queue grows, and how much more is tried each second when it does not.
const BACKOFF: f64 = 0.85;
const GROWTH: f64 = 1.08;
/// Between two decreases: a queue takes a while to empty.
const PAUSE: Micros = 300_000;
const MIN_BITRATE: f64 = 30_000.0;
/// How long the rate is measured before there is an estimate, and after which silence there is none.
const START: Micros = 1_000_000;
const SILENCE: Micros = 2_000_000;

/// The estimate for one sender.
#[derive(Debug)]
pub struct Estimator {
    began: Option<Micros>,
    heard: Micros,
    sent: i64, // of the newest packet, wraps counted; 1/2^18 s
    rate: Bitrate,
    trendline: Trendline,
    estimate: Option<f64>,
    decreased: Option<Micros>,
}

impl Default for Estimator {
    fn default() -> Self {
        Self {
            began: None,
            heard: 0,
            sent: 0,
            rate: Bitrate::new(500_000, 50),
            trendline: Trendline::default(),
            estimate: None,
            decreased: None,
        }
    }
}

impl Estimator {
    /// Nothing came yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take a packet of so many bytes; `abs_send_time` is in 1/2^18 s, 24 bits.
    pub fn received(&mut self, abs_send_time: u32, bytes: usize, now: Micros) {
        let passed = now.saturating_sub(self.heard);
        if passed > SILENCE {
            *self = Self::default();
        }
        let began = *self.began.get_or_insert(now);
        self.heard = now;
        self.rate.add(bytes, now);
        self.sent += elapsed(abs_send_time, self.sent);
        let sent = (i128::from(self.sent) * 1_000_000) >> 18;
        self.trendline.received(sent as i64, now);
        if now.saturating_sub(began) >= START {
            self.adapt(passed, now);
        }
    }

    /// Return the bits per second that the path seems to carry; None before there is one, and when nothing comes any more.
    pub fn estimate(&self, now: Micros) -> Option<u64> {
        self.estimate.filter(|_| !self.silent(now)).map(|estimate| estimate as u64)
    }

    /// Whether nothing came for so long that it begins anew.
    pub fn silent(&self, now: Micros) -> bool {
        now.saturating_sub(self.heard) > SILENCE
    }

    /// Decrease below what comes while the queue grows, wait while it shrinks, else grow; not far above what comes.
    fn adapt(&mut self, passed: Micros, now: Micros) {
        let rate = self.rate.bits_per_second(now) as f64;
        let most = 1.5 * rate + 10_000.0;
        let estimate = self.estimate.unwrap_or(most);
        self.estimate = Some(match self.trendline.usage(now) {
            Usage::Over if self.decreased.is_none_or(|at| now.saturating_sub(at) >= PAUSE) => {
                self.decreased = Some(now);
                estimate.min(BACKOFF * rate).max(MIN_BITRATE)
            }
            Usage::Over | Usage::Under => estimate,
            Usage::Normal => (estimate * GROWTH.powf(passed as f64 / 1e6)).min(most.max(estimate)),
        });
    }
}

/// Return how far a time of 24 bits is after one whose wraps are counted, the nearest way round.
fn elapsed(time: u32, before: i64) -> i64 {
    let ahead = (i64::from(time) - before).rem_euclid(1 << 24);
    if ahead < 1 << 23 { ahead } else { ahead - (1 << 24) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    /// A sender of frames, 25 a second, at what it is told to send but `most`; a queue before a link; a receiver.
    struct Path {
        estimator: Estimator,
        now: Micros,
        free: Micros,
        jitter: u64,
        waited: Micros,
    }

    impl Path {
        fn new(jitter: u64) -> Self {
            Self { estimator: Estimator::new(), now: 63_000 * MS, free: 0, jitter, waited: 0 }
        }

        /// Run for so long over a link of so many bits per second; return the mean estimate of the last second of it.
        fn run(&mut self, seconds: u64, link: u64, most: u64) -> u64 {
            let mut estimates = Vec::new();
            let (mut target, mut credit) = (300_000, 0);
            for frame in 0..seconds * 25 {
                if let Some(estimate) = self.estimator.estimate(self.now) {
                    target = estimate.min(most);
                }
                credit += target / 25;
                let parts = credit / 9600;
                credit -= parts * 9600;
                for part in 0..parts {
                    let sent = self.now + part * MS;
                    let stamp = (u128::from(sent) * (1 << 18) / 1_000_000) as u32 & 0xFF_FFFF;
                    self.free = self.free.max(sent) + 9600 * 1_000_000 / link;
                    self.waited = self.free - sent;
                    if self.waited > 1000 * MS {
                        self.free -= 9600 * 1_000_000 / link; // dropped
                        continue;
                    }
                    let late = (frame * 7919 + part * 104_729) % (self.jitter + 1);
                    self.estimator.received(stamp, 1200, self.free + 20 * MS + late);
                }
                self.now += 40 * MS;
                if frame + 25 >= seconds * 25 {
                    estimates.extend(self.estimator.estimate(self.now));
                }
            }
            estimates.iter().sum::<u64>() / estimates.len().max(1) as u64
        }
    }

    #[test]
    fn it_settles_near_what_the_link_carries() {
        for jitter in [0, 3 * MS] {
            for link in [400_000, 1_000_000, 3_000_000] {
                let mut path = Path::new(jitter);
                path.run(40, link, 10_000_000);
                let settled = (0..20).map(|_| path.run(1, link, 10_000_000)).sum::<u64>() / 20;
                assert!((link * 6 / 10..link * 12 / 10).contains(&settled), "{settled} of {link}, jitter {jitter}");
                assert!(path.waited < 400 * MS, "{} of {link}, jitter {jitter}", path.waited);
            }
        }
    }

    #[test]
    fn it_follows_a_link_that_narrows_within_seconds() {
        let mut path = Path::new(MS);
        path.run(30, 3_000_000, 10_000_000);
        let narrow = path.run(5, 600_000, 10_000_000);
        assert!(narrow < 700_000, "{narrow}");
        let wide = path.run(40, 3_000_000, 10_000_000);
        assert!(wide > 1_500_000, "{wide}");
    }

    #[test]
    fn it_leaves_room_above_a_sender_that_needs_less() {
        for jitter in [0, 2 * MS] {
            let mut path = Path::new(jitter);
            let room = path.run(30, 10_000_000, 1_000_000);
            assert!(room > 1_300_000 && room < 1_700_000, "{room}, jitter {jitter}");
        }
    }

    #[test]
    fn there_is_no_estimate_before_a_second_and_none_after_silence() {
        let mut estimator = Estimator::new();
        estimator.received(1, 1200, 0);
        assert_eq!(estimator.estimate(0), None);
        (1..40).for_each(|each| estimator.received(each * 10_486, 1200, u64::from(each) * 40 * MS));
        assert!(estimator.estimate(1600 * MS).is_some());
        assert_eq!(estimator.estimate(4000 * MS), None);
        estimator.received(5, 1200, 5000 * MS);
        assert_eq!(estimator.estimate(5000 * MS), None, "it begins anew");
    }

    #[test]
    fn stamps_without_sense_do_no_harm() {
        let (mut estimator, mut random) = (Estimator::new(), 1_u64);
        for _ in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            estimator.received((random >> 32) as u32, (random >> 50) as usize % 1500, random % 20_000_000);
            assert!(estimator.estimate(0).is_none_or(|each| each < 1 << 40));
        }
    }
}
