//! When to ask a sender for a key frame, whoever wants one: requests are merged and throttled, and repeated until one comes.

use crate::Micros;

/// Between two requests whose key frame came.
pub const INTERVAL: Micros = 500_000;
/// Until a request is repeated.
pub const RETRY: Micros = 1_000_000;
/// Longest that somebody who sees nothing yet waits for a request that was sent for somebody else.
pub const URGENT: Micros = 100_000;

/// One producer's requests.
#[derive(Debug, Default)]
pub struct KeyFrameRequests {
    wanted_at: Option<Micros>,
    sent_at: Option<Micros>,
    answered: bool,
    hasty: bool, // the last request closely followed the one before
    urgent: bool,
    forced: bool,
}

impl KeyFrameRequests {
    /// Nobody asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Somebody wants a key frame. `urgent`: he sees nothing yet, and so does not wait out the throttle.
    pub fn ask(&mut self, now: Micros, urgent: bool) {
        self.wanted_at.get_or_insert(now);
        self.urgent |= urgent;
    }

    /// One is wanted at once, whatever was asked before: the producer was resumed.
    pub fn force(&mut self, now: Micros) {
        self.ask(now, true);
        self.forced = true;
    }

    /// A key frame begins: nobody waits any more.
    pub fn arrived(&mut self) {
        (self.wanted_at, self.urgent, self.forced, self.answered) = (None, false, false, true);
    }

    /// Whether somebody waits.
    pub fn wanted(&self) -> bool {
        self.wanted_at.is_some()
    }

    /// When to send the next request, maybe before now; None while nobody waits.
    pub fn next_due(&self) -> Option<Micros> {
        let throttle = if self.answered || self.hasty { INTERVAL } else { RETRY };
        let wait = match (self.forced, self.urgent) {
            (true, _) => 0,
            (_, true) => throttle.min(URGENT),
            _ => throttle,
        };
        self.wanted_at.map(|wanted| self.sent_at.map_or(wanted, |sent| wanted.max(sent + wait)))
    }

    /// Return whether to send a request now; it counts as sent then. One that follows another closely may go unheard, as
    /// senders throttle too (libwebrtc: 300 ms), so it is repeated sooner.
    pub fn due(&mut self, now: Micros) -> bool {
        if self.next_due().is_none_or(|at| at > now) {
            return false;
        }
        self.hasty = self.sent_at.is_some_and(|sent| now.saturating_sub(sent) < INTERVAL);
        (self.sent_at, self.answered) = (Some(now), false);
        (self.urgent, self.forced) = (false, false);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Micros = 1000;

    /// Return when requests are sent up to `until`, if nothing but time happens.
    fn sent(requests: &mut KeyFrameRequests, until: Micros) -> Vec<Micros> {
        let mut times = Vec::new();
        while let Some(at) = requests.next_due().filter(|at| *at <= until) {
            assert!(requests.due(at));
            times.push(at / MS);
        }
        times
    }

    #[test]
    fn a_request_is_repeated_each_second_until_a_key_frame_comes() {
        let mut requests = KeyFrameRequests::new();
        assert!(!requests.wanted() && !requests.due(7 * MS) && requests.next_due().is_none());
        requests.ask(7 * MS, false);
        assert!(requests.wanted());
        assert_eq!(sent(&mut requests, 3500 * MS), [7, 1007, 2007, 3007]);
        requests.arrived();
        assert!(!requests.wanted() && !requests.due(9000 * MS));
    }

    #[test]
    fn wishes_of_many_are_one_request() {
        let mut requests = KeyFrameRequests::new();
        for each in 0..50 {
            requests.ask(each * MS, false);
            assert_eq!(requests.due(each * MS), each == 0);
        }
        requests.arrived();
        requests.ask(60 * MS, false);
        assert_eq!(sent(&mut requests, 1499 * MS), [500], "half a second after the one before");
    }

    #[test]
    fn a_late_joiner_waits_a_tenth_of_a_second_at_most() {
        for (joined, expected) in [(20, 100), (99, 100), (100, 100), (101, 101), (300, 300), (900, 900)] {
            for answered in [true, false] {
                let mut requests = KeyFrameRequests::new();
                requests.ask(0, false);
                assert!(requests.due(0));
                if answered {
                    requests.arrived();
                }
                requests.ask(joined * MS, true);
                requests.ask(joined * MS, false);
                let first = (joined..).find(|now| requests.due(now * MS));
                assert_eq!(first, Some(expected), "{joined} {answered}");
            }
        }
    }

    #[test]
    fn a_request_that_may_go_unheard_is_repeated_sooner() {
        let mut requests = KeyFrameRequests::new();
        requests.ask(0, false);
        assert!(requests.due(0));
        requests.arrived();
        requests.ask(200 * MS, true);
        assert_eq!(sent(&mut requests, 2800 * MS), [200, 700, 1700, 2700]);
    }

    #[test]
    fn many_who_join_ask_ten_times_a_second_at_most() {
        let mut requests = KeyFrameRequests::new();
        let count = (0..1000).filter(|each| {
            requests.ask(each * MS, true);
            requests.due(each * MS)
        });
        assert_eq!(count.count(), 10);
    }

    /// mediasoup's manager calls back at once, ours is asked: once after each call, the clock standing still.
    #[test]
    fn the_vectors_hold() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/key_frame_request_manager.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let (mut requests, mut sent) = (KeyFrameRequests::default(), 0);
            for step in case["steps"].as_array().unwrap() {
                match step["function"].as_str() {
                    Some("keyFrameRequestManager.KeyFrameNeeded") => requests.ask(0, false),
                    Some("keyFrameRequestManager.ForceKeyFrameNeeded") => requests.force(0),
                    Some("keyFrameRequestManager.KeyFrameReceived") => requests.arrived(),
                    Some(_) => {}
                    None => assert_eq!(step["value"], sent, "{case}"),
                }
                sent += u32::from(requests.due(0));
            }
            assert!(sent > 0);
        }
    }
}
