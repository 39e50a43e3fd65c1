//! How often one receiver gets a packet again: at once when it asks first, then no sooner than its round trip, ten times in all.
//! A receiver that asks without end would get many times what it is sent.

use crate::Micros;

/// Between two copies of a packet: the round trip, within these.
pub const MIN_PAUSE: Micros = 10_000;
pub const MAX_PAUSE: Micros = 100_000;
pub const MAX_TIMES: u8 = 10;
/// Packets remembered: no history keeps more.
const MAX_KEPT: usize = 1000;
/// No history keeps a packet for longer, and so none that was sent again longer ago.
const MAX_AGE: Micros = 2_000_000;

#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    at: Micros,
    times: u8,
}

/// What one consumer sent again lately. It holds no memory before its receiver asks for something.
#[derive(Debug, Default)]
pub struct Resends {
    sent: Vec<Sent>, // ascending
}

impl Resends {
    /// Nothing was sent again yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Return whether to send this packet again now; it counts as sent then.
    pub fn may(&mut self, number: u64, now: Micros, round_trip: Micros) -> bool {
        let at = match self.sent.binary_search_by_key(&number, |each| each.number) {
            Ok(at) => {
                let Some(each) = self.sent.get_mut(at) else {
                    return false;
                };
                let soon = now.saturating_sub(each.at) < round_trip.clamp(MIN_PAUSE, MAX_PAUSE);
                if soon || each.times == MAX_TIMES {
                    return false;
                }
                (each.at, each.times) = (now, each.times + 1);
                return true;
            }
            Err(at) => at,
        };
        self.sent.insert(at, Sent { number, at: now, times: 1 });
        if self.sent.len() > MAX_KEPT {
            self.sent.remove(0);
        } else if self.sent.len() == self.sent.capacity() {
            self.expire(now);
        }
        true
    }

    /// Whether this packet was sent again lately.
    pub fn knows(&self, number: u64) -> bool {
        self.sent.binary_search_by_key(&number, |each| each.number).is_ok()
    }

    /// Forget what no history keeps any more, and its memory: to be called now and then.
    pub fn expire(&mut self, now: Micros) {
        self.sent.retain(|each| now.saturating_sub(each.at) <= MAX_AGE);
        if self.sent.len() < self.sent.capacity() / 4 {
            self.sent.shrink_to(self.sent.len() * 2);
        }
    }

    /// How many packets are remembered.
    pub fn len(&self) -> usize {
        self.sent.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    #[test]
    fn the_first_request_is_answered_at_once_and_repeats_after_a_round_trip() {
        for (round_trip, pause) in [(0, 10), (10, 10), (50, 50), (100, 100), (3000, 100)] {
            let mut resends = Resends::new();
            assert!(resends.may(5, 0, round_trip * MS));
            assert!(!resends.may(5, (pause - 1) * MS, round_trip * MS), "{round_trip} ms");
            assert!(resends.may(6, (pause - 1) * MS, round_trip * MS), "another packet");
            assert!(resends.may(5, pause * MS, round_trip * MS));
            assert!(!resends.may(5, (pause + 1) * MS, round_trip * MS));
        }
    }

    #[test]
    fn a_packet_is_sent_again_ten_times_at_most() {
        let mut resends = Resends::new();
        assert_eq!((0..100).filter(|each| resends.may(9, each * 20 * MS, 0)).count(), 10);
        resends.expire(2000 * MS);
        assert!(!resends.may(9, 2000 * MS, 0), "as long as a history may have it");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_let_go() {
        let mut resends = Resends::new();
        assert_eq!(resends.sent.capacity(), 0);
        for each in (0..5000).rev().chain(5000..10_000) {
            assert!(resends.may(each, 0, 0));
        }
        assert_eq!(resends.len(), 1000);
        assert!(!resends.may(9999, 0, 0));
        resends.expire(2001 * MS);
        assert!(resends.is_empty() && resends.sent.capacity() == 0);
    }
}
