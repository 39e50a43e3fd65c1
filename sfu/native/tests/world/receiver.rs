//! A receiver as browsers are: it asks for what it misses, again and again, and reports each second.

use std::collections::BTreeMap;

use packet_plane::Micros;
use packet_plane::rtcp::{self, Packet, Report};

use super::{MS, Peer, Plain, SECOND};

/// One stream that a peer receives.
pub struct Receiver {
    pub peer: Peer,
    pub ssrc: u32,
    /// Between two requests for a packet.
    pub interval: Micros,
    /// Whether it asks for what it misses.
    pub repairs: bool,
    /// What came, by extended number, when.
    pub got: BTreeMap<u64, Micros>,
    /// Retransmissions: of which number, when.
    pub again: Vec<(u16, Micros)>,
    missing: BTreeMap<u64, Micros>,
    next_report: Micros,
    sender_report: Option<(u32, Micros)>,
}

impl Receiver {
    pub fn new(peer: Peer, ssrc: u32, now: Micros) -> Self {
        Self {
            peer,
            ssrc,
            interval: 60 * MS,
            repairs: true,
            got: BTreeMap::new(),
            again: Vec::new(),
            missing: BTreeMap::new(),
            next_report: now + 500 * MS,
            sender_report: None,
        }
    }

    pub fn next(&self) -> Micros {
        self.missing.values().copied().min().unwrap_or(Micros::MAX).min(self.next_report)
    }

    /// The share of the packets that came, of all from the first on but the last 200.
    pub fn share(&self) -> f64 {
        let (first, last) = (self.got.keys().next().unwrap(), self.got.keys().next_back().unwrap() - 200);
        self.got.range(first..&last).count() as f64 / (last - first) as f64
    }

    pub fn due(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let due: Vec<u64> = self.missing.iter().filter(|(_, at)| **at <= now).map(|(each, _)| *each).collect();
        due.iter().for_each(|each| _ = self.missing.insert(*each, now + self.interval));
        if !due.is_empty() && self.repairs {
            let mut nack = Vec::new();
            rtcp::write_nack(&mut nack, self.ssrc, due.iter().map(|each| *each as u16));
            out.push(self.peer.rtcp(&nack));
        }
        if now >= self.next_report {
            self.next_report += SECOND;
            let (last_report, at) = self.sender_report.unwrap_or((0, now));
            let delay = ((now - at) * 65_536 / SECOND) as u32;
            let mut report = Vec::new();
            let block = Report { ssrc: self.ssrc, last_report, delay, ..Report::default() };
            rtcp::write_receiver_reports(&mut report, &[block]);
            out.push(self.peer.rtcp(&report));
        }
        out
    }

    pub fn got(&mut self, datagram: &[u8], now: Micros) {
        match self.peer.open(datagram) {
            Plain::Stun(_) => {}
            Plain::Rtcp(compound) => rtcp::parse(&compound, &mut |each| {
                if let Packet::SenderReport { ntp, .. } = each {
                    self.sender_report = Some(((ntp >> 16) as u32, now));
                }
            }),
            Plain::Rtp(packet) => {
                let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
                let ssrc = u32::from(word(8)) << 16 | u32::from(word(10));
                if ssrc == self.ssrc {
                    return self.take(word(2), now);
                }
                let header = packet_plane::rtp::parse(&packet).unwrap();
                let number = u16::from_be_bytes(*header.payload(&packet).first_chunk().unwrap());
                self.again.push((number, now));
                self.take(number, now);
            }
        }
    }

    fn take(&mut self, sequence: u16, now: Micros) {
        let highest = self.got.keys().next_back().copied();
        let number = match highest {
            None => 0x10000 + u64::from(sequence),
            Some(highest) => highest.wrapping_add_signed(i64::from(sequence.wrapping_sub(highest as u16) as i16)),
        };
        for between in highest.map_or(number, |each| each + 1)..number {
            self.missing.insert(between, now + 10 * MS);
        }
        self.missing.remove(&number);
        while self.missing.len() > 300 {
            self.missing.pop_first();
        }
        self.got.entry(number).or_insert(now);
    }
}
