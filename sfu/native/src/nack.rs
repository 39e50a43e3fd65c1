//! Which packets of a stream are missing, and when to ask for them, again and again (RFC 4585 §6.2.1): numbers and the time in,
//! numbers out. Late is not lost, so the first request waits; a packet that nobody misses is no packet, so nothing passes twice.

use std::collections::VecDeque;

use crate::Micros;

/// How long a packet may be late before it is asked for.
pub const DELAY: Micros = 10_000;
/// Until it is asked for again; a longer round trip stretches it by its quarter, up to `MAX_INTERVAL`.
pub const INTERVAL: Micros = 40_000;
pub const MAX_INTERVAL: Micros = 400_000;
pub const TRIES: u8 = 10;
/// A packet that was asked for over so long is too late, and no sender keeps it.
pub const TOO_LATE: Micros = 2_000_000;
/// A gap that makes more packets missing than these is given up: only a key frame helps.
pub const MAX_MISSING: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Missing {
    extended: u64,
    due: Micros,
    tries: u8,
}

/// The gaps of one stream, by extended sequence number. It holds no memory while nothing is missing.
#[derive(Debug, Default)]
pub struct NackGenerator {
    highest: Option<u64>,
    key_frame: Option<u64>,
    missing: VecDeque<Missing>, // ascending
    due: Micros,                // no item is due before it
}

impl NackGenerator {
    /// Nothing came yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take note of a packet; true unless it was there before. `key_frame`: one begins with it.
    pub fn received(&mut self, extended: u64, key_frame: bool, now: Micros) -> bool {
        let Some(highest) = self.highest.filter(|highest| extended <= *highest) else {
            if self.overflows(extended) {
                self.missing = VecDeque::new();
            } else if let Some(highest) = self.highest {
                self.open(highest + 1, extended, now);
            }
            self.highest = Some(extended);
            if key_frame {
                self.forget_before_last_key_frame(extended);
            }
            return true;
        };
        extended != highest && self.arrived(extended)
    }

    /// Whether this packet opens a gap too large to be repaired. To be asked before `received` is told of it.
    pub fn overflows(&self, extended: u64) -> bool {
        let gap = self.highest.map_or(0, |highest| extended.saturating_sub(highest).saturating_sub(1));
        gap > (MAX_MISSING - self.missing.len()) as u64
    }

    /// Whether this packet is missing.
    pub fn misses(&self, extended: u64) -> bool {
        self.missing.binary_search_by_key(&extended, |each| each.extended).is_ok()
    }

    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
    }

    /// How many packets are missing.
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// When `due` should be called next; None while nothing is missing. It may have nothing to ask for then.
    pub fn next_due(&self) -> Option<Micros> {
        (!self.missing.is_empty()).then_some(self.due)
    }

    /// Append to `asked`, ascending, what to ask for now. Return whether something was asked for in vain for the last time
    /// and is given up, and no key frame came after it.
    pub fn due(&mut self, now: Micros, round_trip: Option<Micros>, asked: &mut Vec<u64>) -> bool {
        if self.missing.is_empty() || self.due > now {
            return false;
        }
        let interval = match round_trip {
            Some(time) if time > INTERVAL => time.saturating_add(time / 4).min(MAX_INTERVAL),
            _ => INTERVAL,
        };
        let (again, tries) = (now + interval, (TOO_LATE / interval).min(TRIES.into()) as u8);
        let (mut in_vain, mut next) = (false, Micros::MAX);
        self.missing.retain_mut(|each| {
            if each.due <= now {
                if each.tries >= tries {
                    in_vain |= self.key_frame.is_none_or(|key_frame| each.extended > key_frame);
                    return false;
                }
                asked.push(each.extended);
                (each.due, each.tries) = (again, each.tries + 1);
            }
            next = next.min(each.due);
            true
        });
        self.due = next;
        self.release();
        in_vain
    }

    fn open(&mut self, from: u64, to: u64, now: Micros) {
        if from < to {
            let due = now + DELAY;
            self.due = if self.missing.is_empty() { due } else { self.due.min(due) };
            self.missing.extend((from..to).map(|extended| Missing { extended, due, tries: 0 }));
        }
    }

    fn arrived(&mut self, extended: u64) -> bool {
        let Ok(at) = self.missing.binary_search_by_key(&extended, |each| each.extended) else {
            return false;
        };
        self.missing.remove(at);
        self.release();
        true
    }

    /// What is missing from before the last key frame but one is moot only now: until here it could still be shown.
    fn forget_before_last_key_frame(&mut self, extended: u64) {
        if let Some(key_frame) = self.key_frame.replace(extended) {
            let moot = self.missing.partition_point(|each| each.extended < key_frame);
            self.missing.drain(..moot);
            self.release();
        }
    }

    fn release(&mut self) {
        if self.missing.is_empty() {
            self.missing = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    fn asked(nack: &mut NackGenerator, now: Micros, round_trip: Option<Micros>) -> (Vec<u64>, bool) {
        let mut numbers = Vec::new();
        let in_vain = nack.due(now, round_trip, &mut numbers);
        (numbers, in_vain)
    }

    #[test]
    fn a_late_packet_is_not_asked_for() {
        let mut nack = NackGenerator::new();
        assert!(nack.received(10, false, 0) && nack.received(12, false, 0));
        assert!(nack.misses(11) && !nack.misses(10) && nack.next_due() == Some(10 * MS));
        assert_eq!(asked(&mut nack, 9 * MS, None), (vec![], false));
        assert!(nack.received(11, false, 9 * MS), "late, and passed on");
        assert!(!nack.received(11, false, 9 * MS), "but once");
        assert!(!nack.received(12, false, 9 * MS) && !nack.received(3, false, 9 * MS));
        assert!(nack.is_empty() && nack.next_due().is_none() && nack.missing.capacity() == 0);
        assert_eq!(asked(&mut nack, 50 * MS, None), (vec![], false));
    }

    #[test]
    fn a_lost_packet_is_asked_for_ten_times_and_then_given_up() {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(13, false, 0);
        let mut times = Vec::new();
        let given_up = loop {
            let now = nack.next_due().expect("something is missing");
            match asked(&mut nack, now, None) {
                (numbers, false) => assert_eq!(numbers, [11, 12]),
                (numbers, true) => break (numbers, now),
            }
            times.push(now);
        };
        assert_eq!(times, (0..10).map(|each| (10 + 40 * each) * MS).collect::<Vec<_>>());
        assert_eq!(given_up, (vec![], 410 * MS));
        assert!(nack.is_empty() && nack.missing.capacity() == 0);
    }

    #[test]
    fn a_long_round_trip_spaces_the_requests() {
        for (round_trip, pause) in [(0, 40), (40, 40), (41, 51), (100, 125), (320, 400), (90_000, 400)] {
            let mut nack = NackGenerator::new();
            nack.received(10, false, 0);
            nack.received(12, false, 0);
            asked(&mut nack, 10 * MS, Some(round_trip * MS));
            assert_eq!(nack.next_due().map(|at| at / MS), Some(10 + pause), "round trip {round_trip} ms");
        }
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(12, false, 0);
        asked(&mut nack, 10 * MS, Some(Micros::MAX));
        assert_eq!(nack.next_due(), Some(410 * MS));
    }

    #[test]
    fn over_a_long_round_trip_it_is_too_late_after_two_seconds() {
        for (round_trip, requests, given_up) in [(40, 10, 410), (160, 10, 2010), (320, 5, 2010), (2000, 5, 2010)] {
            let mut nack = NackGenerator::new();
            nack.received(10, false, 0);
            nack.received(12, false, 0);
            let mut times = Vec::new();
            while let Some(now) = nack.next_due() {
                asked(&mut nack, now, Some(round_trip * MS));
                times.push(now / MS);
            }
            assert_eq!((times.len() - 1, times.last()), (requests, Some(&given_up)), "round trip {round_trip} ms");
        }
    }

    #[test]
    fn only_a_key_frame_helps_after_a_large_gap() {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        assert!(!nack.overflows(1011) && nack.overflows(1012) && !nack.overflows(9));
        nack.received(12, false, 0);
        assert!(!nack.overflows(1012) && nack.overflows(1013), "what is missing already counts");
        assert!(nack.received(1013, false, 0));
        assert!(nack.is_empty() && !nack.received(500, false, 0));
    }

    #[test]
    fn what_was_before_the_last_key_frame_is_moot_with_the_next() {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(12, true, 0);
        nack.received(14, false, 0);
        assert!(nack.misses(11) && nack.misses(13));
        nack.received(15, true, 0);
        assert!(!nack.misses(11) && nack.misses(13));
        assert!(!nack.received(11, false, 0), "moot, so it is not passed on either");
    }

    #[test]
    fn what_was_before_a_key_frame_is_given_up_without_regret() {
        for (key_frame, regret) in [(12, false), (10, true)] {
            let mut nack = NackGenerator::new();
            nack.received(10, key_frame == 10, 0);
            nack.received(12, key_frame == 12, 0);
            let in_vain: Vec<bool> = (0..11).map(|each| asked(&mut nack, (10 + 40 * each) * MS, None).1).collect();
            assert_eq!((in_vain[10], nack.is_empty()), (regret, true), "key frame {key_frame}");
        }
    }

    #[test]
    fn numbers_that_become_missing_later_are_asked_for_later() {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(12, false, 0);
        nack.received(14, false, 5 * MS);
        assert_eq!(asked(&mut nack, 10 * MS, None).0, [11]);
        assert_eq!(nack.next_due(), Some(15 * MS));
        assert_eq!(asked(&mut nack, 50 * MS, None).0, [11, 13]);
    }

    /// mediasoup's cases ask without a delay: here the question is put when the delay is over and the interval is not.
    #[test]
    fn the_vectors_hold() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/nack_generator.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let (mut nack, mut highest) = (NackGenerator::new(), None);
            for packet in case["packets"].as_array().unwrap() {
                let number = |key: &str| packet[key].as_u64().unwrap();
                let nearest = |highest: u64| {
                    highest.wrapping_add_signed(i64::from((number("seq") as u16).wrapping_sub(highest as u16) as i16))
                };
                let extended = highest.map_or(number("seq") + 0x10000, nearest);
                highest = highest.max(Some(extended));
                let flag = |key: &str| packet[key].as_bool().unwrap();
                assert_eq!(nack.overflows(extended), flag("keyFrameRequired"), "{case} at {packet}");
                nack.received(extended, flag("isKeyFrame"), 1000 * MS);
                let (numbers, _) = asked(&mut nack, 1010 * MS, None);
                assert_eq!(numbers.len() as u64, number("numNacked"), "{case} at {packet}");
                assert_eq!(
                    numbers.first().map_or(0, |each| each & 0xFFFF),
                    number("firstNacked"),
                    "{case} at {packet}"
                );
                assert_eq!(nack.len() as u64, number("nackListSize"), "{case} at {packet}");
            }
        }
    }
}
