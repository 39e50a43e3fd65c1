//! Whether a queue grows on a path, from when packets were sent and when they arrived (draft-ietf-rmcat-gcc-02 §5.3–5.5): the slope of
//! their delay, against a threshold that follows it, so that other flows do not starve this one.

use std::collections::VecDeque;

use crate::Micros;

/// Packets sent within this belong together; those further apart than a gap begin anew.
const BURST: i64 = 5_000;
const GAP: i64 = 3_000_000;
/// Groups whose delays make a slope, and the weight of the old in a delay.
const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
/// How much steeper a slope is taken for than it is, after so many groups.
const GAIN: f64 = 4.0;
const MAX_GROUPS: u32 = 60;
/// The threshold, in ms, and how fast it follows.
const THRESHOLD: f64 = 12.5;
const MIN_THRESHOLD: f64 = 6.0;
const MAX_THRESHOLD: f64 = 600.0;
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;
/// What is farther above the threshold is no other flow: the path changed.
const OUTLIER: f64 = 15.0;
const OVERUSE: Micros = 10_000;

/// What a path's queue does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It grows.
    Over,
    /// It neither grows nor shrinks.
    Normal,
    /// It shrinks.
    Under,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first: i64,
    last: i64,
    arrived: Micros,
}

/// The delays of one path. Times of sending are of the sender's clock.
#[derive(Debug)]
pub struct Trendline {
    group: Option<Group>,
    before: Option<Group>,
    delay: f64,
    smoothed: f64,
    delays: VecDeque<(f64, f64)>, // when, and how much later than the first; ms
    groups: u32,
    threshold: f64,
    trend: f64,
    over_since: Option<Micros>,
}

impl Default for Trendline {
    fn default() -> Self {
        Self {
            group: None,
            before: None,
            delay: 0.0,
            smoothed: 0.0,
            delays: VecDeque::new(),
            groups: 0,
            threshold: THRESHOLD,
            trend: 0.0,
            over_since: None,
        }
    }
}

impl Trendline {
    /// Take a packet: when it was sent, in microseconds, and when it arrived.
    pub fn received(&mut self, sent: i64, arrived: Micros) {
        if let Some(group) = &mut self.group {
            let ahead = sent.saturating_sub(group.first);
            if ahead.abs() > GAP {
                *self = Self::default();
            } else if ahead <= BURST {
                (group.last, group.arrived) = (group.last.max(sent), arrived);
                return;
            } else {
                let done = *group;
                self.compare(done);
                self.before = Some(done);
            }
        }
        self.group = Some(Group { first: sent, last: sent, arrived });
    }

    /// Return what the queue does as of now.
    pub fn usage(&self, now: Micros) -> Usage {
        match self.over_since {
            Some(since) if now.saturating_sub(since) >= OVERUSE => Usage::Over,
            None if self.trend < -self.threshold => Usage::Under,
            _ => Usage::Normal,
        }
    }

    fn compare(&mut self, group: Group) {
        let Some(before) = self.before else { return };
        let passed = group.arrived.saturating_sub(before.arrived) as f64 / 1000.0;
        self.delay += passed - (group.last - before.last) as f64 / 1000.0;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.delay;
        self.delays.push_back((group.arrived as f64 / 1000.0, self.smoothed));
        self.groups += u32::from(self.groups < MAX_GROUPS);
        if self.delays.len() <= WINDOW {
            return;
        }
        self.delays.pop_front();
        let trend = slope(&self.delays) * f64::from(self.groups) * GAIN;
        let over = trend > self.threshold && trend >= self.trend;
        self.over_since = over.then(|| self.over_since.unwrap_or(group.arrived));
        self.trend = trend;
        let beyond = trend.abs() - self.threshold;
        if beyond < OUTLIER {
            let pace = if beyond < 0.0 { DOWN } else { UP };
            self.threshold = (self.threshold + pace * beyond * passed.min(100.0)).clamp(MIN_THRESHOLD, MAX_THRESHOLD);
        }
    }
}

/// Return how the second of each pair changes with the first, by least squares.
fn slope(points: &VecDeque<(f64, f64)>) -> f64 {
    let count = points.len() as f64;
    let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let mean = (sum.0 / count, sum.1 / count);
    let (over, under) = points.iter().fold((0.0, 0.0), |(over, under), point| {
        let (x, y) = (point.0 - mean.0, point.1 - mean.1);
        (over + x * y, under + x * x)
    });
    if under > 0.0 { over / under } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    /// Send a packet each 20 ms; `delay` says how long each takes. Return what the queue did after each.
    fn run(trendline: &mut Trendline, delay: impl Fn(u64) -> Micros) -> Vec<Usage> {
        let times = (0..100).map(|each| (each * 20 * MS, each * 20 * MS + delay(each)));
        times
            .map(|(sent, arrived)| {
                trendline.received(sent as i64, arrived);
                trendline.usage(arrived)
            })
            .collect()
    }

    #[test]
    fn delay_that_grows_is_overuse_and_delay_that_shrinks_is_the_opposite() {
        let usage = run(&mut Trendline::default(), |each| 50 * MS + each * 2 * MS);
        assert!(usage.ends_with(&[Usage::Over; 20]) && usage.starts_with(&[Usage::Normal; 20]), "{usage:?}");
        let usage = run(&mut Trendline::default(), |each| 500 * MS - each * 2 * MS);
        assert!(usage.contains(&Usage::Under) && !usage.contains(&Usage::Over), "{usage:?}");
    }

    #[test]
    fn delay_that_jumps_to_and_fro_is_neither() {
        for jitter in [0, 1, 5, 10] {
            let usage = run(&mut Trendline::default(), |each| 50 * MS + each * 7919 % (jitter + 1) * MS);
            assert_eq!(usage, [Usage::Normal; 100], "{jitter} ms");
        }
    }

    #[test]
    fn it_begins_anew_after_a_jump_of_the_clock() {
        let mut trendline = Trendline::default();
        run(&mut trendline, |each| 50 * MS + each * 2 * MS);
        trendline.received(60_000_000, 2200 * MS);
        assert_eq!(trendline.usage(2200 * MS), Usage::Normal);
        assert_eq!(run(&mut trendline, |_| 50 * MS), [Usage::Normal; 100]);
    }
}
