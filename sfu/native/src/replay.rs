//! The packets of one SSRC that were accepted, and the guess at the rollover counter (RFC 3711, 3.3.1 and 3.3.2).
//!
//! A window exists only from an SSRC's first authentic packet on, so what is forged has nothing to change. It is asked
//! before a packet is authenticated and told afterwards.

/// How far behind the highest index a packet may come, in packets.
pub const WINDOW: u64 = 1024;

const WORDS: usize = WINDOW as usize / 64;
const HALF: u16 = 1 << 15;
const INDICES: u64 = 1 << 48;

/// Why an index is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// A packet with this index was accepted before.
    Replayed,
    /// It is too far behind the highest to say whether it was.
    Old,
}

/// The last `WINDOW` indices of one SSRC: one bit each, at the index modulo `WINDOW`.
pub struct Window {
    highest: u64,
    seen: [u64; WORDS],
}

impl Window {
    /// A window whose first and so far only packet has this index.
    pub fn new(index: u64) -> Self {
        let mut window = Self { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    /// The index (ROC‖SEQ, 48 bits) that a sequence number most likely means: the one nearest to the highest.
    ///
    /// There is nothing below rollover counter 0. None: the counter is used up, and only new keys help.
    pub fn guess(&self, sequence: u16) -> Option<u64> {
        let highest = self.highest as u16;
        let roc = self.highest & !0xffff;
        let base = if highest < HALF {
            match sequence - highest.min(sequence) > HALF {
                true => roc.saturating_sub(1 << 16),
                false => roc,
            }
        } else {
            match highest - HALF > sequence {
                true => roc + (1 << 16),
                false => roc,
            }
        };
        let index = base | u64::from(sequence);
        (index < INDICES).then_some(index)
    }

    /// Say whether a packet with this index may still be accepted. Changes nothing.
    pub fn check(&self, index: u64) -> Result<(), Refused> {
        if index > self.highest {
            return Ok(());
        }
        if self.highest - index >= WINDOW {
            return Err(Refused::Old);
        }
        match self.seen[word(index)] & bit(index) {
            0 => Ok(()),
            _ => Err(Refused::Replayed),
        }
    }

    /// Remember an authentic packet, whose index `check` let pass.
    pub fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                (self.highest + 1..index).for_each(|between| self.seen[word(between)] &= !bit(between));
            }
            self.highest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        self.seen[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_accepted_once() {
        let mut window = Window::new(10);
        assert_eq!(window.check(10), Err(Refused::Replayed));
        assert_eq!(window.check(9), Ok(()));
        window.accept(9);
        assert_eq!(window.check(9), Err(Refused::Replayed));
        assert_eq!(window.highest, 10);
    }

    #[test]
    fn the_window_is_1024_packets_wide() {
        let mut window = Window::new(0);
        window.accept(5000);
        assert_eq!(window.check(5000 - 1023), Ok(()));
        assert_eq!(window.check(5000 - 1024), Err(Refused::Old));
        window.accept(5000 - 1023);
        window.accept(5001);
        assert_eq!(window.check(5000 - 1023), Err(Refused::Old));
    }

    #[test]
    fn what_was_skipped_is_not_taken_for_what_was_there_a_window_ago() {
        let mut window = Window::new(0);
        (1..1024).for_each(|index| window.accept(index));
        window.accept(1030);
        (1024..1030).for_each(|index| assert_eq!(window.check(index), Ok(())));
        (7..1024).for_each(|index| assert_eq!(window.check(index), Err(Refused::Replayed)));
        window.accept(1030 + 1024);
        (1031..1030 + 1024).for_each(|index| assert_eq!(window.check(index), Ok(())));
    }

    #[test]
    fn a_window_equals_a_set_of_all_that_was_accepted() {
        let mut random = 0x1234_5678_9abc_def1_u64;
        let mut next = move || {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random
        };
        let mut window = Window::new(70_000);
        let mut accepted = std::collections::HashSet::from([70_000]);
        for _ in 0..200_000 {
            let step = match next() % 100 {
                0 => next() % 5000,
                _ => next() % 40,
            };
            let index = (window.highest + step).saturating_sub(next() % 1100);
            let right = match window.highest.checked_sub(index) {
                Some(behind) if behind >= WINDOW => Err(Refused::Old),
                _ if accepted.contains(&index) => Err(Refused::Replayed),
                _ => Ok(()),
            };
            assert_eq!(window.check(index), right);
            if right.is_ok() {
                window.accept(index);
                accepted.insert(index);
            }
        }
    }

    #[test]
    fn a_guess_is_the_index_nearest_to_the_highest() {
        for highest in [70_000_u64, 0x1_7fff, 0x1_8000, 0x1_ffff, 0x2_0000, 0x7_0001] {
            let window = Window::new(highest);
            for distance in -32767_i64..=32767 {
                let index = highest.wrapping_add_signed(distance);
                assert_eq!(window.guess(index as u16), Some(index), "{highest:x} {distance}");
            }
        }
    }

    #[test]
    fn nothing_is_below_rollover_counter_0_or_above_the_last() {
        assert_eq!(Window::new(5).guess(65_530), Some(65_530));
        assert_eq!(Window::new(INDICES - 1).guess(65_534), Some(INDICES - 2));
        assert_eq!(Window::new(INDICES - 1).guess(0), None);
    }
}
