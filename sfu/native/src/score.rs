//! How well a stream arrives, 10 at best: the share of its packets that came, those that had to be repaired counting less.

/// Intervals that the score remembers.
const REMEMBERED: usize = 24;

/// What happened to a stream between two reports. `received` counts what came by itself: nothing that was repaired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interval {
    pub expected: u64,
    pub received: u64,
    /// Packets that came only when they were asked for.
    pub repaired: u64,
    /// Packets that were sent again.
    pub retransmitted: u64,
}

impl Interval {
    /// What happened since the totals were these; a total that went back counts as nothing.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            expected: self.expected.saturating_sub(before.expected),
            received: self.received.saturating_sub(before.received),
            repaired: self.repaired.saturating_sub(before.repaired),
            retransmitted: self.retransmitted.saturating_sub(before.retransmitted),
        }
    }

    /// Return the score of this interval alone.
    pub fn score(&self) -> u8 {
        if self.expected == 0 {
            return 10;
        }
        if self.received == 0 {
            return 0;
        }
        let received = self.received as f64;
        let lost = self.expected.saturating_sub(self.received).min(self.received);
        let repaired = self.repaired.min(lost) as f64;
        let retransmitted = (self.retransmitted as f64).max(repaired).max(1.0);
        let weight = (repaired / received + 1.0).powi(-4) * repaired / retransmitted;
        let delivered = (received - (lost as f64 - repaired * weight)) / received;
        (delivered.powi(4) * 10.0).round() as u8
    }
}

/// The scores of the last intervals, the newer the weightier.
#[derive(Debug)]
pub struct Score {
    scores: [u8; REMEMBERED],
    len: usize,
    value: u8,
    totals: Interval,
}

impl Score {
    /// Begin with a value that the first interval replaces.
    pub fn new(value: u8) -> Self {
        Self { scores: [0; REMEMBERED], len: 0, value, totals: Interval::default() }
    }

    /// The score, 0 to 10.
    pub fn value(&self) -> u8 {
        self.value
    }

    /// Add the interval since the totals that were told last, and return the score with it.
    pub fn report(&mut self, totals: Interval) -> u8 {
        let interval = totals.since(&self.totals);
        self.totals = totals;
        self.add(&interval)
    }

    /// Add an interval and return the score with it.
    pub fn add(&mut self, interval: &Interval) -> u8 {
        if self.len == REMEMBERED {
            self.scores.rotate_left(1);
            self.len -= 1;
        }
        self.scores[self.len] = interval.score();
        self.len += 1;
        let weighted = (1..).zip(self.scores.iter().take(self.len));
        let (total, weights) = weighted.fold((0_u32, 0_u32), |(total, weights), (weight, score)| {
            (total + weight * u32::from(*score), weights + weight)
        });
        self.value = ((total + weights / 2) / weights) as u8;
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(expected: u64, received: u64, repaired: u64, retransmitted: u64) -> Interval {
        Interval { expected, received, repaired, retransmitted }
    }

    #[test]
    fn an_interval_is_scored_by_what_came() {
        for (expected, received, score) in [
            (0, 0, 10),
            (100, 100, 10),
            (100, 130, 10),
            (100, 99, 10),
            (100, 97, 9),
            (100, 90, 6),
            (100, 50, 0),
            (100, 0, 0),
        ] {
            assert_eq!(interval(expected, received, 0, 0).score(), score, "{received} of {expected}");
        }
    }

    #[test]
    fn what_was_repaired_counts_less_than_what_came_by_itself() {
        let plain = interval(100, 90, 0, 0).score();
        let repaired = interval(100, 90, 10, 10).score();
        let wasteful = interval(100, 90, 10, 40).score();
        assert!(plain < wasteful && wasteful < repaired && repaired < 10, "{plain} {wasteful} {repaired}");
        assert_eq!(interval(10, 1, 1000, 0).score(), 0, "counts that contradict each other are no more than counts");
    }

    #[test]
    fn totals_are_judged_by_what_was_added_to_them() {
        let mut score = Score::new(10);
        assert_eq!(score.report(interval(100, 0, 0, 0)), 0);
        assert_eq!(score.report(interval(200, 100, 0, 0)), 7, "(1 · 0 + 2 · 10) / 3");
        assert_eq!(score.report(interval(50, 50, 0, 0)), 8, "a stream that began anew: nothing was expected");
    }

    #[test]
    fn newer_intervals_weigh_more() {
        let mut score = Score::new(7);
        assert_eq!(score.value(), 7);
        assert_eq!(score.add(&interval(100, 100, 0, 0)), 10);
        assert_eq!(score.add(&interval(100, 0, 0, 0)), 3, "(1 · 10 + 2 · 0) / 3");
        assert_eq!(score.add(&interval(100, 100, 0, 0)), 7, "(1 · 10 + 2 · 0 + 3 · 10) / 6");
        (0..24).for_each(|_| _ = score.add(&interval(100, 0, 0, 0)));
        assert_eq!(score.value(), 0, "what was before the last 24 is forgotten");
        (0..12).for_each(|_| _ = score.add(&interval(100, 100, 0, 0)));
        assert_eq!(score.value(), 7);
    }
}
