//! Probation: packets of nothing but padding, for a receiver to measure its path with when there is no media to do that with.
//!
//! They are a stream of their own, which mediasoup-client expects on each transport that receives video. Nobody decodes them, and
//! nobody sends them again. Their padding is what makes them long: its count is one byte (RFC 3550 §5.1), so they are short ones, but a
//! receiver knows padding without payload from a stream that it cannot decode, and asks for no key frame.

use crate::Micros;
use crate::extensions::{self, ABS_SEND_TIME, MID, TRANSPORT_CC};
use crate::rtp;

pub const SSRC: u32 = 1234;
pub const PAYLOAD_TYPE: u8 = 127;
/// What its MID says.
pub const PROBATOR: &[u8] = b"probator";
/// Bytes that one order leads to at most: 13 ms of 20 Mbit/s.
pub const MOST: usize = 32 * 1024;
/// All the padding that a packet can have.
const MAX_PADDING: usize = 255;
/// What timestamps grow by from packet to packet.
const STEP: u32 = 20;

/// The receiver's ids of what is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    mid: Option<u8>,
    abs_send_time: Option<u8>,
    transport_cc: Option<u8>,
}

impl Ids {
    /// Find them among (URI, id).
    pub fn of(extensions: &[(String, u8)]) -> Self {
        Self {
            mid: extensions::id(extensions, MID),
            abs_send_time: extensions::id(extensions, ABS_SEND_TIME),
            transport_cc: extensions::id(extensions, TRANSPORT_CC),
        }
    }
}

/// One transport's stream of padding: how much of it was sent. Transport-wide numbers count these packets alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probation {
    sent: u64,
}

/// A packet in plain: `header` bytes of header, the rest is padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padding {
    pub header: usize,
    /// Its number, with the count of its wraps.
    pub number: u64,
}

impl Probation {
    /// Write the next packet into `packet`, of `room` bytes at most; None, and no number is used, if that is too little.
    pub fn next(&mut self, ids: Ids, room: usize, now: Micros, packet: &mut Vec<u8>) -> Option<Padding> {
        let number = self.sent + 1;
        packet.clear();
        let time = ((u128::from(now) << 18) / 1_000_000) as u32; // 6.18 bits of seconds: 24 of them are sent
        let (time, wide) = (time.to_be_bytes(), (number as u16).to_be_bytes());
        let all = [(ids.mid, PROBATOR), (ids.abs_send_time, &time[1..]), (ids.transport_cc, &wide[..])];
        let known = all.into_iter().filter_map(|(id, value)| Some((id?, value)));
        let timestamp = STEP.wrapping_mul(number as u32);
        rtp::write_header(packet, false, PAYLOAD_TYPE, number as u16, timestamp, SSRC, &[], known);
        let header = packet.len();
        let padding = room.saturating_sub(header).min(MAX_PADDING);
        if padding == 0 {
            return None;
        }
        packet[0] |= 0x20;
        packet.resize(header + padding - 1, 0);
        packet.push(padding as u8);
        self.sent = number;
        Some(Padding { header, number })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(given: &[(&str, u8)]) -> Ids {
        Ids::of(&given.iter().map(|(uri, id)| ((*uri).to_owned(), *id)).collect::<Vec<_>>())
    }

    #[test]
    fn a_packet_is_all_padding_and_says_so() {
        let (mut probation, mut packet) = (Probation::default(), Vec::new());
        let all = ids(&[(TRANSPORT_CC, 5), (ABS_SEND_TIME, 4), (MID, 1), ("unknown", 9)]);
        let made = probation.next(all, 10_000, 1_500_000, &mut packet).unwrap();
        assert_eq!((made.number, made.header, packet.len()), (1, 32, 32 + 255));
        let header = rtp::parse(&packet).unwrap();
        assert_eq!((header.ssrc, header.payload_type, header.marker), (1234, 127, false));
        assert_eq!((header.sequence, header.timestamp), (1, 20));
        assert_eq!((header.padding, header.payload(&packet)), (255, &[][..]));
        let read: Vec<_> = header.extensions.iter(&packet).collect();
        assert_eq!(read, [(1, &b"probator"[..]), (4, &[6, 0, 0]), (5, &[0, 1])], "1.5 s are 6 · 2^16 / 2^18");
    }

    #[test]
    fn what_the_receiver_has_no_id_for_is_left_out() {
        let (mut probation, mut packet) = (Probation::default(), Vec::new());
        let made = probation.next(Ids::default(), 1400, 0, &mut packet).unwrap();
        assert_eq!((made.header, packet.len(), packet[0]), (12, 267, 0xA0));
    }

    #[test]
    fn numbers_go_on_and_wrap() {
        let mut probation = Probation { sent: 0xFFFE };
        let mut packet = Vec::new();
        let numbers: Vec<_> = (0..3)
            .map(|_| {
                let made = probation.next(ids(&[(TRANSPORT_CC, 5)]), 300, 0, &mut packet).unwrap();
                let header = rtp::parse(&packet).unwrap();
                let wide = header.extensions.get(5, &packet).unwrap().to_vec();
                (made.number, header.sequence, header.timestamp, wide)
            })
            .collect();
        let last = 20 * 0xFFFF;
        assert_eq!(numbers[0], (0xFFFF, 0xFFFF, last, vec![255, 255]));
        assert_eq!(numbers[1], (0x10000, 0, last + 20, vec![0, 0]));
        assert_eq!(numbers[2], (0x10001, 1, last + 40, vec![0, 1]));
    }

    #[test]
    fn a_packet_fits_its_room_and_without_room_none_is_made() {
        let (mut probation, mut packet) = (Probation::default(), Vec::new());
        assert_eq!(probation.next(Ids::default(), 12, 0, &mut packet), None);
        let made = probation.next(Ids::default(), 13, 0, &mut packet).unwrap();
        assert_eq!((made.number, packet.len(), packet.last()), (1, 13, Some(&1)));
        probation.next(Ids::default(), 112, 0, &mut packet).unwrap();
        assert_eq!((packet.len(), packet.last()), (112, Some(&100)));
        assert_eq!(rtp::parse(&packet).unwrap().padding, 100);
    }
}
