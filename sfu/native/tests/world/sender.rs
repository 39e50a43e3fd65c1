//! A sender as browsers are: frames of VP8, again on request (RTX), key frames on request, sender reports.

use std::collections::{BTreeMap, BTreeSet};

use packet_plane::Micros;
use packet_plane::rtcp::{self, Packet};

use super::{MS, Peer, Plain, SECOND, packet};

const KEPT: usize = 1500;

/// One stream of a peer: 25 frames a second.
pub struct Sender {
    pub peer: Peer,
    /// Packets of a frame, and bytes of each.
    pub packets: u64,
    pub size: usize,
    /// Numbers that never leave.
    pub swallowed: BTreeSet<u64>,
    /// Whether it answers NACK.
    pub repairs: bool,
    pub next_frame: Micros,
    pub number: u64,
    /// When which number was asked for, a key frame was asked for, one was sent.
    pub asked: Vec<(Micros, u16)>,
    pub requests: Vec<Micros>,
    pub key_frames: Vec<Micros>,
    sent: BTreeMap<u64, Vec<u8>>,
    next_rtx: u64,
    next_report: Micros,
    timestamp: u32,
    wanted: bool,
    reference: Option<(u32, Micros)>,
}

impl Sender {
    pub fn new(peer: Peer, now: Micros) -> Self {
        Self {
            peer,
            packets: 5,
            size: 1100,
            swallowed: BTreeSet::new(),
            repairs: true,
            next_frame: now,
            number: 65_300, // wraps soon
            asked: Vec::new(),
            requests: Vec::new(),
            key_frames: Vec::new(),
            sent: BTreeMap::new(),
            next_rtx: 65_500,
            next_report: now + 100 * MS,
            timestamp: 0,
            wanted: true,
            reference: None,
        }
    }

    pub fn next(&self) -> Micros {
        self.next_frame.min(self.next_report)
    }

    /// Return what is sent now.
    pub fn due(&mut self, now: Micros) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        if now >= self.next_frame {
            self.next_frame += 40 * MS;
            self.frame(now, &mut out);
        }
        if now >= self.next_report {
            self.next_report += SECOND;
            let mut report = Vec::new();
            rtcp::write_sender_report(&mut report, 1111, 7 << 60 | now, self.timestamp, 1, 1, "sender");
            if let Some((last, at)) = self.reference.take() {
                let delay = ((now - at) * 65_536 / SECOND) as u32;
                rtcp::write_dlrr(&mut report, 1111, rtcp::OWN_SSRC, last, delay);
            }
            out.push(self.peer.rtcp(&report));
        }
        out
    }

    fn frame(&mut self, now: Micros, out: &mut Vec<Vec<u8>>) {
        let key_frame = std::mem::take(&mut self.wanted);
        if key_frame {
            self.key_frames.push(now);
        }
        self.timestamp = self.timestamp.wrapping_add(3600);
        for each in 0..self.packets {
            let mut payload = vec![each as u8; self.size];
            payload[..2].copy_from_slice(&[if each == 0 { 0x10 } else { 0 }, u8::from(!key_frame)]);
            let plain = packet(1111, 96, self.number, self.timestamp, each + 1 == self.packets, &payload);
            if !self.swallowed.contains(&self.number) {
                out.push(self.peer.rtp(&plain, self.number));
            }
            self.sent.insert(self.number, plain);
            self.number += 1;
        }
        while self.sent.len() > KEPT {
            self.sent.pop_first();
        }
    }

    /// Take a datagram; return the answers.
    pub fn got(&mut self, datagram: &[u8], now: Micros) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let Plain::Rtcp(compound) = self.peer.open(datagram) else { return out };
        let mut again = Vec::new();
        rtcp::parse(&compound, &mut |each| match each {
            Packet::Nack(nack) => again.extend(nack.iter()),
            Packet::KeyFrameRequest { ssrc: 1111, .. } => {
                self.requests.push(now);
                self.wanted = true;
                self.next_frame = now;
            }
            Packet::ReceiverReference { ntp, .. } => self.reference = Some(((ntp >> 16) as u32, now)),
            _ => {}
        });
        for number in again {
            self.asked.push((now, number));
            let found = self.sent.iter().rev().find(|(each, _)| **each as u16 == number);
            if let Some((_, plain)) = found.filter(|_| self.repairs) {
                let payload = [&number.to_be_bytes(), &plain[12..]].concat();
                let timestamp = u32::from_be_bytes([plain[4], plain[5], plain[6], plain[7]]);
                let rtx = packet(2222, 97, self.next_rtx, timestamp, plain[1] & 0x80 != 0, &payload);
                out.push(self.peer.rtp(&rtx, self.next_rtx));
                self.next_rtx += 1;
            }
        }
        out
    }
}
