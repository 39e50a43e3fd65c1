//! What a receiver knows of a stream (RFC 3550 A.1, A.3, A.8): extended sequence numbers, loss, jitter, the report block.

use crate::Micros;
use crate::rtcp::Report;

/// Packets that a stream may skip or be late by; what is farther off counts only if the next one follows it (A.1).
pub const MAX_DROPOUT: i64 = 3000;
pub const MAX_MISORDER: i64 = 1500;

/// Statistics of one SSRC. An extended number counts its wraps and never goes back, even when a sender begins anew.
#[derive(Debug, Default)]
pub struct Reception {
    /// The highest extended number; None before the first packet.
    pub highest: Option<u64>,
    /// What part of the packets expected between the last two reports did not come, in 1/256.
    pub fraction_lost: u8,
    base: u64,
    suspect: Option<u16>,
    transit: Option<f64>,
    jitter: f64,
    received: u64,
    prior: (u64, u64),
    sender_report: Option<(u32, Micros)>,
}

impl Reception {
    /// Nothing came yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Interarrival jitter in ticks of the media clock.
    pub fn jitter(&self) -> u32 {
        self.jitter as u32
    }

    /// Packets expected and not received; negative with duplicates.
    pub fn lost(&self) -> i64 {
        self.expected() as i64 - self.received as i64
    }

    /// Packets that should have come since the stream began, or began anew.
    pub fn expected(&self) -> u64 {
        self.highest.map_or(0, |highest| highest - self.base + 1)
    }

    /// Packets that came, duplicates and recovered ones too.
    pub fn received_count(&self) -> u64 {
        self.received
    }

    /// Return the extended number nearest to the highest one.
    pub fn extend(&self, sequence: u16) -> u64 {
        match self.highest {
            None => u64::from(sequence) + 0x10000,
            Some(highest) => highest.saturating_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16)),
        }
    }

    /// Count a packet and return its extended number; None if it is far off and the next did not follow it (A.1).
    pub fn received(&mut self, sequence: u16, timestamp: u32, clock_rate: u32, now: Micros) -> Option<u64> {
        let mut extended = self.extend(sequence);
        match self.highest {
            None => (self.base, self.highest) = (extended, Some(extended)),
            Some(highest) => {
                let ahead = extended as i64 - highest as i64;
                if ahead <= -MAX_MISORDER || ahead >= MAX_DROPOUT {
                    if self.suspect != Some(sequence) {
                        self.suspect = Some(sequence.wrapping_add(1));
                        return None;
                    }
                    extended += if extended < highest { 0x10000 } else { 0 };
                    (self.base, self.highest, self.received, self.prior) = (extended, Some(extended), 0, (0, 0));
                }
            }
        }
        self.suspect = None;
        self.received += 1;
        if Some(extended) >= self.highest {
            self.highest = Some(extended);
            self.measure(timestamp, clock_rate, now);
        }
        Some(extended)
    }

    /// Count a packet that came by retransmission: it is not lost any more.
    pub fn recovered(&mut self) {
        self.received += 1;
    }

    /// Remember when a sender report with this NTP time came, for the sender's round trip.
    pub fn sender_reported(&mut self, ntp: u64, now: Micros) {
        self.sender_report = Some(((ntp >> 16) as u32, now));
    }

    /// Return the block of a receiver report over what came since the last one; None before anything came.
    pub fn report(&mut self, ssrc: u32, now: Micros) -> Option<Report> {
        let highest = self.highest?;
        let expected = self.expected();
        let interval = expected as i64 - self.prior.0 as i64;
        let arrived = self.received as i64 - self.prior.1 as i64;
        self.prior = (expected, self.received);
        self.fraction_lost = match interval {
            1.. => ((interval - arrived).max(0) * 256 / interval).min(255) as u8,
            _ => 0,
        };
        let (last_report, at) = self.sender_report.unwrap_or((0, now));
        Some(Report {
            ssrc,
            fraction_lost: self.fraction_lost,
            lost: self.lost().clamp(-0x80_0000, 0x7F_FFFF) as i32,
            highest: highest.wrapping_sub(0x10000) as u32, // the first packet is of cycle 0 for the sender
            jitter: self.jitter(),
            last_report,
            delay: ((seconds(now) - seconds(at)) * 65536.0) as u32,
        })
    }

    fn measure(&mut self, timestamp: u32, clock_rate: u32, now: Micros) {
        let rate = f64::from(clock_rate);
        let transit = seconds(now) * rate - f64::from(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let difference = (transit - before).abs();
            if difference < 5.0 * rate {
                // else the timestamps wrapped or jumped
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
    }
}

fn seconds(time: Micros) -> f64 {
    time as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Micros = 1_000_000;

    fn take(reception: &mut Reception, sequences: &[u16]) -> Vec<Option<u64>> {
        sequences.iter().map(|each| reception.received(*each, 0, 90_000, 0)).collect()
    }

    #[test]
    fn numbers_count_their_wraps() {
        let mut reception = Reception::new();
        let numbers = take(&mut reception, &[65534, 65535, 1, 0, 2]);
        assert_eq!(numbers, [131_070, 131_071, 131_073, 131_072, 131_074].map(Some));
        assert_eq!((reception.highest, reception.lost(), reception.expected()), (Some(131_074), 0, 5));
        assert_eq!(reception.extend(65535), 131_071);
    }

    #[test]
    fn a_stream_may_begin_with_a_number_that_is_late() {
        let mut reception = Reception::new();
        assert_eq!(take(&mut reception, &[0, 65535]), [Some(65536), Some(65535)]);
        assert_eq!(reception.lost(), -1);
        assert_eq!(reception.report(1, 0).unwrap().highest, 0);
    }

    #[test]
    fn a_packet_that_is_far_off_counts_only_if_the_next_follows_it() {
        let mut reception = Reception::new();
        assert_eq!(
            take(&mut reception, &[10, 3009, 6009, 6009, 3010]),
            [Some(65546), Some(68545), None, None, Some(68546)]
        );
        assert_eq!(take(&mut reception, &[6010, 6011]), [None, Some(71547)], "not after a packet in between");
        assert_eq!((reception.highest, reception.lost()), (Some(71547), 0), "it begins anew");
    }

    #[test]
    fn a_sender_that_begins_anew_never_goes_back() {
        let mut reception = Reception::new();
        assert_eq!(take(&mut reception, &[5000, 3000, 3001]), [Some(70536), None, Some(0x20000 + 3001)]);
        assert_eq!(take(&mut reception, &[1502, 1501, 1502]), [Some(0x20000 + 1502), None, Some(0x20000 + 1502)]);
    }

    #[test]
    fn a_report_tells_what_was_lost_since_the_one_before() {
        let mut reception = Reception::new();
        assert_eq!(reception.report(7, 0), None);
        take(&mut reception, &[0, 1, 2, 5]);
        let report = reception.report(7, 0).unwrap();
        assert_eq!((report.ssrc, report.fraction_lost, report.lost, report.highest), (7, 85, 2, 5));
        assert_eq!((report.last_report, report.delay), (0, 0));
        reception.recovered();
        take(&mut reception, &[6]);
        reception.sender_reported(0x1122_3344_5566_7788, 3 * SECOND);
        let report = reception.report(7, 4 * SECOND + SECOND / 2).unwrap();
        assert_eq!((report.fraction_lost, report.lost), (0, 1));
        assert_eq!((report.last_report, report.delay), (0x3344_5566, 98_304));
        assert_eq!(reception.report(7, 0).unwrap().fraction_lost, 0, "nothing expected, nothing lost");
        take(&mut reception, &[6; 20]);
        assert_eq!(reception.report(7, 0).unwrap().lost, -19);
        reception.received(1006, 0, 90_000, 0);
        assert_eq!(reception.report(7, 0).unwrap().fraction_lost, 255);
    }

    #[test]
    fn jitter_grows_by_a_sixteenth_and_ignores_jumps() {
        let mut reception = Reception::new();
        reception.received(1, 0, 8000, 0);
        reception.received(2, 160, 8000, 40_000); // 20 ms late: 160 ticks
        assert_eq!(reception.jitter(), 10);
        reception.received(3, 160 + 80_000, 8000, 40_000); // 10 s
        assert_eq!(reception.jitter(), 10);
        reception.received(2, 160, 8000, SECOND);
        assert_eq!(reception.jitter(), 10, "what is late is not measured");
    }
}
