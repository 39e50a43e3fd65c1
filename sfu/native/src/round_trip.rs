//! Round trips without sender reports (RFC 3611 §4.4, 4.5): whoever only receives names a time, the other end says it back.

use crate::Micros;
use crate::rtcp;

/// Receivers of one peer that are answered; a browser has one for each of its kinds.
const MAX_REFERENCES: usize = 8;
/// No round trip is longer; what seems to be is an answer to something else.
const MAX_ROUND_TRIP: Micros = 30_000_000;

/// Our clock as NTP time; what its zero is does not matter to who says it back.
pub fn ntp(now: Micros) -> u64 {
    ((u128::from(now) << 32) / 1_000_000) as u64
}

/// The round trip that an answer tells: `last` is the middle of the NTP time we named, `delay` how long it was kept, in 1/65536 s.
pub fn measured(last: u32, delay: u32, now: Micros) -> Option<Micros> {
    let passed = ((ntp(now) >> 16) as u32).wrapping_sub(last).wrapping_sub(delay);
    let passed = if passed > u32::MAX / 2 { 0 } else { passed }; // a little before it was asked: clocks are not that exact
    let micros = u64::from(passed) * 1_000_000 / 65_536;
    (last != 0 && micros <= MAX_ROUND_TRIP).then_some(micros.max(1))
}

/// The times that a peer's receivers named and wait to hear of.
#[derive(Debug, Default)]
pub struct References {
    named: Vec<(u32, u32, Micros)>, // who, the middle of the NTP time, when it came
}

impl References {
    /// Take note of a time.
    pub fn named(&mut self, ssrc: u32, ntp: u64, now: Micros) {
        self.named.retain(|(each, _, _)| *each != ssrc);
        if self.named.len() < MAX_REFERENCES {
            self.named.push((ssrc, (ntp >> 16) as u32, now));
        }
    }

    /// Append the answers to an RTCP compound of `from`; each is given once.
    pub fn answer(&mut self, from: u32, now: Micros, packet: &mut Vec<u8>) {
        for (ssrc, last, at) in std::mem::take(&mut self.named) {
            let delay = u128::from(now.saturating_sub(at)) * 65_536 / 1_000_000;
            rtcp::write_dlrr(packet, from, ssrc, last, delay.min(u128::from(u32::MAX)) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    #[test]
    fn what_is_said_back_tells_the_round_trip() {
        for begun in [0, 1, 65_535_900_000, 4_295_000_000_000_000] {
            let last = (ntp(begun + MS) >> 16) as u32;
            let measured = measured(last, 65_536 / 10, begun + MS + 180 * MS).unwrap();
            assert!((79_900..80_100).contains(&measured), "{measured}");
        }
        let last = (ntp(5_000 * MS) >> 16) as u32;
        assert_eq!(measured(last, 65_536, 5_990 * MS), Some(1), "kept longer than it was away");
        assert_eq!(measured(last, 0, 50_000 * MS), None);
        assert_eq!(measured(0, 0, 5 * MS), None, "no time was named");
    }

    #[test]
    fn each_receiver_is_answered_once() {
        let (mut references, mut packet) = (References::default(), Vec::new());
        (0..20).for_each(|ssrc| references.named(ssrc, 7 << 16, 0));
        references.named(3, 9 << 16, 250 * MS);
        references.answer(77, 500 * MS, &mut packet);
        let mut told = Vec::new();
        rtcp::parse(&packet, &mut |each| told.push(format!("{each:?}")));
        assert_eq!(told.len(), MAX_REFERENCES);
        assert_eq!(told[7], "Dlrr { ssrc: 3, last: 9, delay: 16384 }");
        packet.clear();
        references.answer(77, 500 * MS, &mut packet);
        assert!(packet.is_empty());
    }
}
