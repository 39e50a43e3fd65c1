//! Numbers without holes over what is dropped on purpose and over changes of stream: sequence numbers, and VP8's picture ids.
//!
//! A hole that the network made stays: a receiver must see it to ask for what is missing. Nothing is dropped on purpose yet: a choice
//! among layers, in `selector`, will number with this.

use std::collections::VecDeque;

/// Dropped numbers that are remembered. What is later than the oldest of them comes too late.
const MAX_DROPPED: usize = 256;

/// Numbers of `BITS` bits, at most 16, in and out.
#[derive(Debug, Default)]
pub struct Sequence<const BITS: u32> {
    initial: u16,
    newest: Option<i64>,    // of what went in, wraps counted
    forwarded: Option<i64>, // the newest of what was not dropped
    floor: Option<i64>,     // what is not above it has no number
    output: i64,
    offset: i64,            // from an input above all that is in `dropped` and was not counted, to its output
    dropped: VecDeque<i64>, // ascending
}

impl<const BITS: u32> Sequence<BITS> {
    const COUNT: i64 = 1 << BITS;

    /// Begin; `initial` is added to every number that goes out.
    pub fn new(initial: u16) -> Self {
        Self { initial, ..Self::default() }
    }

    /// Whether `one` comes after `other`, given that they are less than half of all numbers apart.
    pub fn newer(one: u16, other: u16) -> bool {
        Self::distance(i64::from(one), i64::from(other)) > 0
    }

    /// The newest number that went in, dropped or not.
    pub fn newest(&self) -> Option<u16> {
        self.newest.map(Self::wrapped)
    }

    /// Go on after this input, of the same stream or of another one: the next goes out with the number after the last.
    pub fn sync(&mut self, input: u16) {
        let extended = self.extend(input);
        (self.newest, self.forwarded, self.floor) = (Some(extended), Some(extended), Some(extended));
        self.offset = self.output - extended;
        self.dropped = VecDeque::new();
    }

    /// Close the gap that this input leaves. Too late once something newer went out.
    pub fn drop(&mut self, input: u16) {
        let extended = self.extend(input);
        if self.forwarded.is_none_or(|forwarded| extended <= forwarded) {
            return;
        }
        if let Err(at) = self.dropped.binary_search(&extended) {
            self.newest = self.newest.max(Some(extended));
            self.dropped.insert(at, extended);
        }
        if self.dropped.len() > MAX_DROPPED {
            self.floor = self.floor.max(self.dropped.pop_front());
            self.offset -= 1;
            self.dropped.shrink_to(2 * MAX_DROPPED);
        }
    }

    /// Return the number that this input goes out with; None if it was dropped, or is too late to have one.
    pub fn input(&mut self, input: u16) -> Option<u16> {
        let extended = self.extend(input);
        if self.floor.is_some_and(|floor| extended <= floor) {
            return None;
        }
        let before = self.dropped.binary_search(&extended).err()? as i64;
        let output = extended + self.offset - before;
        self.output = if self.forwarded.is_none() { output } else { self.output.max(output) };
        self.newest = self.newest.max(Some(extended));
        self.forwarded = self.forwarded.max(Some(extended));
        Some(Self::wrapped(output + i64::from(self.initial)))
    }

    fn extend(&self, input: u16) -> i64 {
        let input = i64::from(input) % Self::COUNT;
        self.newest.map_or(input, |newest| newest + Self::distance(input, newest))
    }

    /// Return how far `one` is after `other`, the nearest way round.
    fn distance(one: i64, other: i64) -> i64 {
        let ahead = (one - other).rem_euclid(Self::COUNT);
        if ahead < Self::COUNT / 2 { ahead } else { ahead - Self::COUNT }
    }

    fn wrapped(number: i64) -> u16 {
        number.rem_euclid(Self::COUNT) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> serde_json::Value {
        serde_json::from_str(include_str!("../tests/vectors/seq_manager.json")).unwrap()
    }

    #[test]
    fn what_is_dropped_leaves_no_hole_and_what_is_lost_does() {
        let mut numbers = Sequence::<16>::new(100);
        assert_eq!(numbers.input(7), Some(107));
        numbers.drop(8);
        assert_eq!([numbers.input(9), numbers.input(11), numbers.input(8)], [Some(108), Some(110), None]);
        numbers.drop(10);
        assert_eq!([numbers.input(10), numbers.input(12)], [Some(109), Some(111)], "11 went out already");
        numbers.sync(4000);
        assert_eq!([numbers.input(4001), numbers.input(4003), numbers.input(4000)], [Some(112), Some(114), None]);
        assert_eq!(numbers.newest(), Some(4003));
    }

    #[test]
    fn nothing_is_dropped_before_the_first() {
        let mut numbers = Sequence::<16>::new(0);
        numbers.drop(5);
        assert_eq!((numbers.newest(), numbers.input(6)), (None, Some(6)));
    }

    #[test]
    fn two_thirds_dropped_for_ever_need_no_more_memory() {
        let mut numbers = Sequence::<16>::new(0);
        for each in 0..200_000_u32 {
            if each % 3 == 0 {
                assert_eq!(numbers.input(each as u16), Some((each / 3) as u16));
            } else {
                numbers.drop(each as u16);
            }
        }
        assert!(numbers.dropped.capacity() <= 4 * MAX_DROPPED);
        let late = 199_992 - 3 * 100;
        assert_eq!(numbers.input(late as u16), Some((late / 3) as u16), "late");
        assert_eq!(numbers.input((late - 3 * 100) as u16), None, "too late");
    }

    #[test]
    fn the_vectors_hold() {
        fn run<const BITS: u32>(case: &serde_json::Value) {
            let number = |value: &serde_json::Value, key: &str| value[key].as_u64().unwrap() as u16;
            let mut numbers = Sequence::<BITS>::new(number(case, "initialOutput"));
            for step in case["steps"].as_array().unwrap() {
                let input = number(step, "input");
                if step["sync"] == true {
                    numbers.sync(input.wrapping_sub(1));
                }
                if step["drop"] == true {
                    numbers.drop(input);
                } else {
                    let rejected = step["expect_rejected"] == true;
                    let expected = (!rejected).then(|| number(step, "output"));
                    assert_eq!(numbers.input(input), expected, "{case} at {step}");
                }
                if !step["maxInput"].is_null() {
                    assert_eq!(numbers.newest(), Some(number(step, "maxInput")), "{case} at {step}");
                }
            }
        }
        for case in vectors()["cases"].as_array().unwrap() {
            match case["bits"].as_u64() {
                Some(16) => run::<16>(case),
                Some(15) => run::<15>(case),
                Some(8) => run::<8>(case),
                Some(3) => run::<3>(case),
                other => panic!("{other:?} bits"),
            }
        }
        for comparison in vectors()["comparisons"].as_array().unwrap() {
            let newer = match comparison["name"].as_str().unwrap() {
                "0 is greater than 65000" => Sequence::<16>::newer(0, 65000),
                "0 is greater than 32500 in range 15" => Sequence::<15>::newer(0, 32500),
                other => panic!("{other}"),
            };
            assert_eq!(comparison["check"][0]["value"], newer);
        }
    }
}
