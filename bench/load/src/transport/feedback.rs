//! What a receiver tells: NACK with repeats, reports, PLI, transport-wide feedback.

use super::{MAX_STATUSES, Transport};
use crate::rtcp;
use crate::system::Sender;
use crate::world::Counters;

impl Transport {
    /// Ask for what is missing, and send what was asked of us; call after a read.
    pub fn answer(&mut self, now: u64, sender: &mut Sender, counters: &mut Counters) {
        let mut asked = std::mem::take(&mut self.asked);
        for place in 0..self.streams.len() {
            if self.streams[place].pending() > 0 {
                self.streams[place].ask(now, &mut asked);
                if !asked.is_empty() {
                    counters.nacks += 1;
                    let (own, ssrc) = (self.own, self.streams[place].ssrc);
                    self.send_control(|out| rtcp::write_nack(out, own, ssrc, &asked));
                }
            }
        }
        self.asked = asked;
        self.flush(sender);
    }

    /// Send this second's reports of what is received and sent, and PLI for each video stream if told so.
    pub fn report(&mut self, now: u64, wall: u64, pli: bool) {
        if self.keys.is_none() {
            return;
        }
        let own = self.own;
        let reports: Vec<_> = self
            .streams
            .iter_mut()
            .filter_map(|stream| stream.report(now))
            .collect();
        for some in reports.chunks(31) {
            self.send_control(|out| rtcp::write_receiver_report(out, own, some));
        }
        let (seconds, rest) = (wall / 1_000_000_000 + 2_208_988_800, wall % 1_000_000_000);
        let ntp = (seconds << 32) | ((rest << 32) / 1_000_000_000);
        for place in 0..self.publishers.len() {
            let publisher = &self.publishers[place];
            let (ssrc, timestamp) = (publisher.shape.ssrc, publisher.timestamp);
            let (packets, octets) = (publisher.sent as u32, publisher.octets as u32);
            if packets > 0 {
                self.send_control(|out| rtcp::write_sender_report(out, ssrc, ntp, timestamp, packets, octets));
            }
        }
        for place in 0..if pli { self.streams.len() } else { 0 } {
            if self.streams[place].video {
                let ssrc = self.streams[place].ssrc;
                self.send_control(|out| rtcp::write_pli(out, own, ssrc));
            }
        }
    }

    /// Send transport-wide feedback on what came since the last one.
    pub fn feed_back(&mut self) {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        if let (Some(&(first, _)), Some(ssrc)) = (arrivals.first(), self.streams.first().map(|stream| stream.ssrc)) {
            let ahead = |number: u16| number.wrapping_sub(first) as i16;
            let least = arrivals.iter().map(|&(number, _)| ahead(number)).min().unwrap_or(0);
            let most = arrivals.iter().map(|&(number, _)| ahead(number)).max().unwrap_or(0);
            let base = first.wrapping_add_signed(least);
            let mut statuses = vec![None; (usize::from(most.abs_diff(least)) + 1).min(MAX_STATUSES)];
            for &(number, at) in &arrivals {
                if let Some(status) = statuses.get_mut(usize::from(number.wrapping_sub(base))) {
                    *status = Some(at / 250_000);
                }
            }
            let (own, count) = (self.own, self.feedbacks);
            self.feedbacks = count.wrapping_add(1);
            self.send_control(|out| rtcp::write_transport_cc(out, own, ssrc, base, count, &statuses));
        }
        arrivals.clear();
        self.arrivals = arrivals;
    }

    fn send_control(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some((_, keys)) = &mut self.keys else { return };
        self.scratch.clear();
        write(&mut self.scratch);
        keys.seal_rtcp(&mut self.scratch);
        self.socket.send(&self.scratch);
    }
}
