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
mod tests;
