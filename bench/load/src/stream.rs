//! A stream that a receiver gets: which numbers came, which are missing and asked for, what the next report says.

use crate::rtcp::Report;

const WINDOW: u64 = 4096;
const MAX_MISSING: usize = 1000;
const REPEAT: u64 = 100_000_000;
const TRIES: u8 = 10;

struct Missing {
    number: u64,
    asked: u8,
    next: u64,
}

/// What came of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    New,
    Late,
    Duplicate,
}

/// What was counted since the last reset.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counted {
    pub expected: u64,
    pub unique: u64,
    pub late: u64,
    pub duplicates: u64,
    pub repaired: u64,
}

/// One stream's numbers; its own and those of its retransmissions are counted apart.
pub struct Stream {
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub video: bool,
    pub wide: u8,
    pub announce: bool,
    pub packets: u64,
    highest: Option<u64>,
    rtx_highest: Option<u64>,
    seen: Vec<u64>,
    missing: Vec<Missing>,
    counted: Counted,
    reported: Counted,
    total: Counted,
    heard: (u32, u64),
}

impl Stream {
    /// Expect a stream. `wide` is the id of the transport-wide number's extension, 0 if there is none.
    pub fn new(ssrc: u32, rtx_ssrc: u32, video: bool, wide: u8, announce: bool) -> Self {
        Self {
            ssrc,
            rtx_ssrc,
            video,
            wide,
            announce,
            packets: 0,
            highest: None,
            rtx_highest: None,
            seen: vec![0; WINDOW as usize / 64],
            missing: Vec::new(),
            counted: Counted::default(),
            reported: Counted::default(),
            total: Counted::default(),
            heard: (0, 0),
        }
    }

    /// The extended number of one that just came: of the stream, or of its retransmissions.
    pub fn extend(&self, number: u16, rtx: bool) -> u64 {
        let highest = if rtx { self.rtx_highest } else { self.highest };
        highest.map_or(u64::from(number), |highest| {
            let ahead = number.wrapping_sub(highest as u16) as i16;
            highest.saturating_add_signed(i64::from(ahead))
        })
    }

    /// Take note of the newest number of the retransmissions.
    pub fn retransmitted(&mut self, extended: u64) {
        self.rtx_highest = Some(self.rtx_highest.map_or(extended, |highest| highest.max(extended)));
    }

    /// Take a packet; one that leaves a gap makes the numbers in it missing.
    pub fn came(&mut self, extended: u64, repaired: bool, now: u64) -> Came {
        let Some(highest) = self.highest else {
            self.highest = Some(extended);
            self.mark(extended);
            self.counted.expected += 1;
            self.counted.unique += 1;
            return Came::New;
        };
        if extended > highest {
            for number in highest + 1..extended.min(highest + WINDOW) {
                self.clear(number);
                if self.rtx_ssrc != 0 && self.missing.len() < MAX_MISSING {
                    self.missing.push(Missing {
                        number,
                        asked: 0,
                        next: now,
                    });
                }
            }
            self.counted.expected += extended - highest;
            self.counted.unique += 1;
            self.highest = Some(extended);
            self.mark(extended);
            return Came::New;
        }
        if highest - extended >= WINDOW || self.is_marked(extended) {
            self.counted.duplicates += 1;
            return Came::Duplicate;
        }
        self.mark(extended);
        self.missing.retain(|each| each.number != extended);
        self.counted.unique += 1;
        self.counted.late += 1;
        self.counted.repaired += u64::from(repaired);
        Came::Late
    }

    /// Put the numbers to ask for now into `asked`.
    pub fn ask(&mut self, now: u64, asked: &mut Vec<u16>) {
        asked.clear();
        self.missing.retain_mut(|each| {
            if each.next <= now {
                each.asked += 1;
                each.next = now + REPEAT;
                if each.asked <= TRIES {
                    asked.push(each.number as u16);
                }
            }
            each.asked <= TRIES
        });
    }

    /// How many are missing and still asked for.
    pub fn pending(&self) -> usize {
        self.missing.len()
    }

    /// Take note of a sender report.
    pub fn sender_reported(&mut self, ntp: u64, now: u64) {
        self.heard = ((ntp >> 16) as u32, now);
    }

    /// Return this second's report; None while nothing came.
    pub fn report(&mut self, now: u64) -> Option<Report> {
        let highest = self.highest?;
        let (was, is) = (self.reported, self.counts());
        self.reported = is;
        let expected = is.expected - was.expected;
        let lost = expected.saturating_sub(is.unique - was.unique);
        let (last_report, at) = self.heard;
        Some(Report {
            ssrc: self.ssrc,
            fraction_lost: (256 * lost / expected.max(1)).min(255) as u8,
            lost: (is.expected.saturating_sub(is.unique)) as u32,
            highest: highest as u32,
            jitter: 20,
            last_report,
            delay: if last_report == 0 {
                0
            } else {
                ((now - at) * 65_536 / 1_000_000_000) as u32
            },
        })
    }

    fn counts(&self) -> Counted {
        Counted {
            expected: self.total.expected + self.counted.expected,
            unique: self.total.unique + self.counted.unique,
            ..Counted::default()
        }
    }

    /// What was counted since this was called last.
    pub fn take(&mut self) -> Counted {
        self.total = self.counts();
        std::mem::take(&mut self.counted)
    }

    /// What was counted since `take` was called last.
    pub fn counted(&self) -> Counted {
        self.counted
    }

    fn place(number: u64) -> (usize, u64) {
        ((number % WINDOW / 64) as usize, 1 << (number % 64))
    }

    fn mark(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.seen[word] |= bit;
    }

    fn clear(&mut self, number: u64) {
        let (word, bit) = Self::place(number);
        self.seen[word] &= !bit;
    }

    fn is_marked(&self, number: u64) -> bool {
        let (word, bit) = Self::place(number);
        self.seen[word] & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_asked_for_until_it_is_filled() {
        let mut stream = Stream::new(1, 2, true, 0, false);
        let mut asked = Vec::new();
        for number in [65_534u16, 65_535, 2] {
            let extended = stream.extend(number, false);
            assert_eq!(stream.came(extended, false, 0), Came::New);
        }
        stream.ask(0, &mut asked);
        assert_eq!(asked, [0, 1]);
        stream.ask(REPEAT - 1, &mut asked);
        assert!(asked.is_empty());
        assert_eq!(stream.came(stream.extend(1, false), true, 0), Came::Late);
        assert_eq!(stream.came(stream.extend(1, false), true, 0), Came::Duplicate);
        stream.ask(REPEAT, &mut asked);
        assert_eq!(asked, [0]);
        let counted = stream.take();
        assert_eq!(
            (counted.expected, counted.unique, counted.duplicates, counted.repaired),
            (5, 4, 1, 1)
        );
    }
}
