//! Bits per second over a window that slides.

use std::collections::VecDeque;

use crate::Micros;

/// Bytes counted over the last `window`, in steps. It holds no memory while nothing is counted.
#[derive(Debug)]
pub struct Bitrate {
    window: Micros,
    step: Micros,
    steps: VecDeque<(Micros, u64)>, // when each began, ascending, and its bytes
    bytes: u64,
}

impl Bitrate {
    /// Count over `window` microseconds in `steps` steps, both at least one.
    pub fn new(window: Micros, steps: u64) -> Self {
        let window = window.max(1);
        Self { window, step: (window / steps.max(1)).max(1), steps: VecDeque::new(), bytes: 0 }
    }

    /// Count a packet. Time that goes back counts as standing still.
    pub fn add(&mut self, bytes: usize, now: Micros) {
        self.slide(now);
        let bytes = bytes as u64;
        self.bytes += bytes;
        match self.steps.back_mut() {
            Some((began, counted)) if now.saturating_sub(*began) < self.step => *counted += bytes,
            _ => self.steps.push_back((now, bytes)),
        }
    }

    /// Return the bits per second, rounded.
    pub fn bits_per_second(&mut self, now: Micros) -> u64 {
        self.slide(now);
        (self.bytes.saturating_mul(8_000_000) + self.window / 2) / self.window
    }

    /// Forget everything.
    pub fn reset(&mut self) {
        (self.steps, self.bytes) = (VecDeque::new(), 0);
    }

    fn slide(&mut self, now: Micros) {
        while let Some((began, bytes)) = self.steps.front()
            && now.saturating_sub(*began) >= self.window
        {
            self.bytes -= bytes;
            self.steps.pop_front();
        }
        if self.steps.is_empty() {
            self.steps = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    #[test]
    fn memory_is_bounded_and_let_go() {
        let mut rate = Bitrate::new(1000 * MS, 100);
        (0..100_000).for_each(|each| rate.add(125, each * 100));
        assert!(rate.steps.len() <= 101);
        assert_eq!(rate.bits_per_second(10_000 * MS) / 100_000, 99);
        assert_eq!((rate.bits_per_second(11_000 * MS), rate.steps.capacity()), (0, 0));
        rate.add(10, 5);
        assert_eq!(rate.bits_per_second(0), 80, "time may stand still");
    }

    #[test]
    fn the_rate_vectors_hold() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/rate_calculator.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let argument =
                |at: usize, otherwise| case["args[windowMs,scale,windowItems]"][at].as_u64().unwrap_or(otherwise);
            assert_eq!(argument(1, 8000), 8000, "bits of bytes, seconds of milliseconds");
            let mut rate = Bitrate::new(argument(0, 1000) * MS, argument(2, 100));
            let base = 12_345_678;
            for row in case["input"].as_array().into_iter().flatten() {
                let now = (base + row["offset"].as_u64().unwrap()) * MS;
                rate.add(row["size"].as_u64().unwrap() as usize, now);
                assert_eq!(rate.bits_per_second(now), row["rate"], "{case} at {row}");
            }
            for step in case["steps"].as_array().unwrap() {
                let argument = |at: usize| step["args"][at].as_u64().unwrap();
                match (step["function"].as_str(), step["field"].as_str()) {
                    (Some("rate.Update"), _) => rate.add(argument(0) as usize, argument(1) * MS),
                    (Some("rate.Reset"), _) => rate.reset(),
                    (Some(other), _) => assert_eq!(other, "validate"),
                    (_, field) => {
                        let now = match field.unwrap() {
                            "rate.Rate(0)" => 0,
                            "rate.Rate(nowMs)" => base,
                            other => {
                                base + [("rate.Rate(nowMs + 3001)", 3001)]
                                    .iter()
                                    .find(|each| each.0 == other)
                                    .unwrap()
                                    .1
                            }
                        };
                        assert_eq!(rate.bits_per_second(now * MS), step["value"], "{case} at {step}");
                    }
                }
            }
        }
    }
}
