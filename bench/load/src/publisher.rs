//! A stream that is sent: frames of equal packets, key frames on request, retransmissions on request. The payload tells when it was sent.

use crate::srtp::{Keys, TAG};

const KEPT: usize = 128;
const MAGIC: u32 = 0x6265_6E63;
const STAMP_AT: usize = 16;

/// What a stream is like. Sizes are of the whole RTP packet before it is sealed; an extension's id is 0 where there is none.
#[derive(Clone, Debug, Default)]
pub struct Shape {
    pub video: bool,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub payload_type: u8,
    pub rtx_payload_type: u8,
    pub clock_rate: u32,
    pub packets: u32,
    pub bytes: usize,
    pub spread: u64,
    pub send_time: u8,
    pub wide: u8,
    pub mid: u8,
    pub mid_value: String,
}

/// Datagrams that wait to be sent on one socket.
#[derive(Default)]
pub struct Outgoing {
    pub bytes: Vec<u8>,
    pub ends: Vec<usize>,
}

impl Outgoing {
    /// Forget what was sent.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// One stream.
pub struct Publisher {
    pub shape: Shape,
    pub key_frame_wanted: bool,
    pub interval: u64,
    pub next: u64,
    pub frame: u64,
    pub place: u32,
    pub sent: u64,
    pub counted: u64,
    pub octets: u64,
    pub key_frames: u64,
    pub resent: u64,
    pub timestamp: u32,
    begins_key_frame: bool,
    number: u64,
    rtx_number: u64,
    picture: u16,
    kept: Vec<Vec<u8>>,
}

impl Publisher {
    /// Make one that sends nothing yet.
    pub fn new(shape: Shape) -> Self {
        let kept = if shape.rtx_ssrc != 0 {
            vec![Vec::new(); KEPT]
        } else {
            Vec::new()
        };
        Self {
            number: u64::from(shape.ssrc & 0x7FFF),
            rtx_number: u64::from(shape.rtx_ssrc & 0x7FFF),
            shape,
            key_frame_wanted: true,
            interval: 0,
            next: u64::MAX,
            frame: 0,
            place: 0,
            sent: 0,
            counted: 0,
            octets: 0,
            key_frames: 0,
            resent: 0,
            timestamp: 1,
            begins_key_frame: false,
            picture: 0,
            kept,
        }
    }

    /// Append the next packet, sealed; return whether it ends a frame. `wide` is the transport's next transport-wide number.
    pub fn write(&mut self, now: u64, keys: &Keys, wide: &mut u16, out: &mut Outgoing) -> bool {
        let (first, last) = (self.place == 0, self.place + 1 == self.shape.packets);
        if first {
            self.begins_key_frame = std::mem::take(&mut self.key_frame_wanted) && self.shape.video;
            self.key_frames += u64::from(self.begins_key_frame);
            self.picture = self.picture.wrapping_add(1) & 0x7FFF;
        }
        let at = out.bytes.len();
        self.write_header(last, now, wide, &mut out.bytes);
        let header = out.bytes.len() - at;
        self.write_payload(first, now, at, &mut out.bytes);
        if !self.kept.is_empty() {
            let kept = &mut self.kept[self.number as usize % KEPT];
            kept.clear();
            kept.extend_from_slice(&out.bytes[at..]);
        }
        self.octets += (out.bytes.len() - at - header) as u64;
        out.bytes.resize(out.bytes.len() + TAG, 0);
        keys.seal_rtp(&mut out.bytes[at..], header, self.shape.ssrc, self.number);
        out.ends.push(out.bytes.len());
        self.number += 1;
        self.sent += 1;
        self.counted += 1;
        self.place = if last { 0 } else { self.place + 1 };
        if last {
            let ticks = u64::from(self.shape.clock_rate) * self.interval / 1_000_000_000;
            self.timestamp = self.timestamp.wrapping_add(ticks as u32);
        }
        last
    }

    fn write_header(&self, marker: bool, now: u64, wide: &mut u16, out: &mut Vec<u8>) {
        let shape = &self.shape;
        let at = out.len();
        let extended = shape.send_time != 0 || shape.wide != 0 || shape.mid != 0;
        let marker = if marker && shape.video { 0x80 } else { 0 };
        out.extend_from_slice(&[if extended { 0x90 } else { 0x80 }, marker | shape.payload_type]);
        out.extend_from_slice(&(self.number as u16).to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&shape.ssrc.to_be_bytes());
        if !extended {
            return;
        }
        out.extend_from_slice(&[0xBE, 0xDE, 0, 0]);
        if shape.send_time != 0 {
            let fixed = (u128::from(now) << 18) / 1_000_000_000;
            out.push(shape.send_time << 4 | 2);
            out.extend_from_slice(&(fixed as u32 & 0xFF_FFFF).to_be_bytes()[1..]);
        }
        if shape.wide != 0 {
            out.push(shape.wide << 4 | 1);
            out.extend_from_slice(&wide.to_be_bytes());
            *wide = wide.wrapping_add(1);
        }
        if shape.mid != 0 {
            out.push(shape.mid << 4 | (shape.mid_value.len() as u8 - 1));
            out.extend_from_slice(shape.mid_value.as_bytes());
        }
        out.resize(at + (out.len() - at).next_multiple_of(4), 0);
        let words = ((out.len() - at - 16) / 4) as u16;
        out[at + 14..at + 16].copy_from_slice(&words.to_be_bytes());
    }

    fn write_payload(&self, first: bool, now: u64, at: usize, out: &mut Vec<u8>) {
        let payload = out.len();
        if self.shape.video {
            let picture = (self.picture | 0x8000).to_be_bytes();
            out.extend_from_slice(&[if first { 0x90 } else { 0x80 }, 0x80, picture[0], picture[1]]);
            out.extend_from_slice(&[u8::from(!self.begins_key_frame), 0, 0, 0x9D, 0x01, 0x2A]);
        }
        out.resize(payload + STAMP_AT, 0x5A);
        out.extend_from_slice(&now.to_be_bytes());
        out.extend_from_slice(&MAGIC.to_be_bytes());
        out.resize((at + self.shape.bytes).max(out.len()), 0x5A);
    }

    /// Append a retransmission (RFC 4588) of a number, if the packet is still there.
    pub fn retransmit(&mut self, number: u16, keys: &Keys, out: &mut Outgoing) {
        let back = u64::from((self.number as u16).wrapping_sub(number));
        if back == 0 || back > KEPT as u64 || back > self.number || self.kept.is_empty() {
            return;
        }
        let original = &self.kept[(self.number - back) as usize % KEPT];
        let Some(header) = header_length(original) else { return };
        let at = out.bytes.len();
        out.bytes.extend_from_slice(&original[..header]);
        out.bytes.extend_from_slice(&original[2..4]);
        out.bytes.extend_from_slice(&original[header..]);
        out.bytes[at + 1] = out.bytes[at + 1] & 0x80 | self.shape.rtx_payload_type;
        out.bytes[at + 2..at + 4].copy_from_slice(&(self.rtx_number as u16).to_be_bytes());
        out.bytes[at + 8..at + 12].copy_from_slice(&self.shape.rtx_ssrc.to_be_bytes());
        out.bytes.resize(out.bytes.len() + TAG, 0);
        keys.seal_rtp(&mut out.bytes[at..], header, self.shape.rtx_ssrc, self.rtx_number);
        out.ends.push(out.bytes.len());
        self.rtx_number += 1;
        self.resent += 1;
    }
}

/// Bytes of an RTP packet that are not encrypted: header, sources, extensions.
pub fn header_length(packet: &[u8]) -> Option<usize> {
    let sources = 12 + 4 * usize::from(packet.first()? & 15);
    if packet[0] & 0x10 == 0 {
        return Some(sources);
    }
    let words = packet.get(sources + 2..sources + 4)?;
    Some(sources + 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]])))
}

/// A header extension's two bytes, in the one-byte form (RFC 8285 §4.2).
pub fn extension_of_two(packet: &[u8], id: u8) -> Option<u16> {
    let end = header_length(packet)?;
    let mut at = 16 + 4 * usize::from(packet[0] & 15);
    if packet[0] & 0x10 == 0 || packet.get(at - 4..at - 2) != Some(&[0xBE, 0xDE]) {
        return None;
    }
    while at < end {
        let head = *packet.get(at)?;
        let length = usize::from(head & 15) + 1;
        if head == 0 {
            at += 1;
        } else if head >> 4 == id {
            return packet
                .get(at + 1..at + 3)
                .map(|two| u16::from_be_bytes([two[0], two[1]]));
        } else {
            at += 1 + length;
        }
    }
    None
}

/// When a payload was sent; None if no publisher of ours wrote it.
pub fn sent_at(payload: &[u8]) -> Option<u64> {
    let magic = payload.get(STAMP_AT + 8..STAMP_AT + 12)?;
    if magic != MAGIC.to_be_bytes() {
        return None;
    }
    Some(u64::from_be_bytes(
        payload.get(STAMP_AT..STAMP_AT + 8)?.try_into().ok()?,
    ))
}
