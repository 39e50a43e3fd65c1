//! How much of one kind is let in a second: from one unknown source, or of one thing.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use crate::Micros;

/// Datagrams a second that are read from an address which proved nothing, and how many may come at once.
pub const LIMIT: u32 = 100;

const SETS: usize = 1024;
const WAYS: usize = 4;

/// At most so many a second: a bucket of tokens, kept as the time at which it will be full again (ITU-T I.371's algorithm).
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    interval: u64,
    tolerance: u64,
    full_at: u64,
}

impl Rate {
    /// Let `per_second` through in the long run and `burst` at once; neither is ever less than one.
    pub fn new(per_second: u32, burst: u32) -> Self {
        let interval = NANOSECONDS / u64::from(per_second.max(1));
        Self { interval, tolerance: interval * u64::from(burst.max(1) - 1), full_at: 0 }
    }

    /// Let one through, or not.
    pub fn take(&mut self, now: Micros) -> bool {
        take(&mut self.full_at, self.interval, self.tolerance, now)
    }
}

/// A limit for each source, in a table of 64 KiB that never grows.
///
/// Sources share four places among those of the same hash; who is new takes that of the one with most left to spend. So an
/// attacker with thousands of addresses gets each of them read, which costs little, but shuts nobody else out.
pub struct Flood {
    seed: u64,
    sets: Box<[[Source; WAYS]]>,
}

#[derive(Clone, Copy, Default)]
struct Source {
    hash: u64,
    full_at: u64,
}

impl Flood {
    /// Start with a number that nobody can guess: who knows it can choose addresses that share places.
    pub fn new(seed: u64) -> Self {
        Self { seed, sets: vec![[Source::default(); WAYS]; SETS].into_boxed_slice() }
    }

    /// Let one more datagram of this source be read, or not.
    pub fn allow(&mut self, source: SocketAddr, now: Micros) -> bool {
        const INTERVAL: u64 = NANOSECONDS / LIMIT as u64;
        let hash = self.hash(source);
        let Some(set) = self.sets.get_mut(hash as usize % SETS) else {
            return true;
        };
        let place = set.iter().position(|each| each.hash == hash);
        let place = place.or_else(|| (0..WAYS).min_by_key(|place| set[*place].full_at));
        let Some(entry) = place.and_then(|place| set.get_mut(place)) else {
            return true;
        };
        if entry.hash != hash {
            *entry = Source { hash, full_at: 0 };
        }
        take(&mut entry.full_at, INTERVAL, INTERVAL * (LIMIT as u64 - 1), now)
    }

    fn hash(&self, source: SocketAddr) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.seed);
        source.ip().to_canonical().hash(&mut hasher);
        hasher.write_u16(source.port());
        hasher.finish()
    }
}

const NANOSECONDS: u64 = 1_000_000_000;

/// Spend `interval` nanoseconds' worth, if no more than `tolerance` was spent ahead of time.
fn take(full_at: &mut u64, interval: u64, tolerance: u64, now: Micros) -> bool {
    let now = now.saturating_mul(1000);
    let from = now.max(*full_at);
    let taken = from - now <= tolerance;
    if taken {
        *full_at = from.saturating_add(interval);
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> SocketAddr {
        SocketAddr::from((number.to_be_bytes(), 4000))
    }

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let mut rate = Rate::new(10, 3);
        let taken: Vec<bool> = [0, 0, 0, 0, 99_999, 100_000, 100_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000]
            .iter()
            .map(|after| rate.take(77_000_000 + after))
            .collect();
        assert_eq!(taken, [true, true, true, false, false, true, false, true, true, true, false]);
    }

    #[test]
    fn extreme_rates_and_times_do_no_harm() {
        for (per_second, burst) in [(0, 0), (1, u32::MAX), (u32::MAX, u32::MAX)] {
            let mut rate = Rate::new(per_second, burst);
            assert!(rate.take(0));
            assert!(rate.take(u64::MAX));
            rate.take(5);
        }
    }

    #[test]
    fn a_source_is_held_to_its_limit_and_another_is_not() {
        let mut flood = Flood::new(1);
        let taken = (0..100_000).filter(|number| flood.allow(source(1), 5_000_000 + number * 10)).count();
        assert_eq!(taken, 2 * LIMIT as usize - 1);
        assert!(flood.allow(source(2), 6_000_000));
    }

    #[test]
    fn a_source_that_waited_is_heard_again() {
        let mut flood = Flood::new(1);
        while flood.allow(source(1), 0) {}
        assert!(!flood.allow(source(1), 9_999));
        assert!(flood.allow(source(1), 10_000));
    }

    #[test]
    fn an_address_written_as_ipv6_is_the_same_source() {
        let mut flood = Flood::new(1);
        while flood.allow("192.0.2.1:7".parse().unwrap(), 0) {}
        assert!(!flood.allow("[::ffff:192.0.2.1]:7".parse().unwrap(), 0));
        assert!(flood.allow("192.0.2.1:8".parse().unwrap(), 0));
    }

    #[test]
    fn a_hundred_thousand_sources_shut_no_honest_one_out() {
        let mut flood = Flood::new(1);
        assert!((0..100_000).all(|number| flood.allow(source(number), 1_000_000)));
        assert!(flood.allow(source(200_000), 1_000_000));
    }

    #[test]
    fn a_loud_source_keeps_its_place_among_many_that_came_once() {
        let mut flood = Flood::new(1);
        while flood.allow(source(1), 0) {}
        for number in 100..2_000 {
            flood.allow(source(number), 0);
            assert!(!flood.allow(source(1), 0));
        }
    }
}
