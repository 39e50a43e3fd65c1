//! RTCP packets, read in place: nothing is copied or allocated.

use super::*;

/// Read a compound or reduced-size packet; `each` is given what it says.
pub fn parse(compound: &[u8], each: &mut dyn FnMut(Packet<'_>)) {
    let mut rest = compound;
    while let Some((&[first, packet_type, high, low], after)) = rest.split_first_chunk() {
        let length = 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some((body, next)) = after.split_at_checked(length).filter(|_| first >> 6 == 2) else {
            return;
        };
        let padding = if first & 0x20 == 0 { 0 } else { body.last().copied().map_or(0, usize::from) };
        if let Some(body) = body.len().checked_sub(padding).and_then(|end| body.get(..end)) {
            read(packet_type, first & 0x1F, body, each);
        }
        rest = next;
    }
}

fn read(packet_type: u8, count: u8, body: &[u8], each: &mut dyn FnMut(Packet<'_>)) {
    let listed = 4 * usize::from(count);
    match (packet_type, count) {
        (SR, _) if body.len() >= 24 => {
            let (ssrc, ntp, timestamp) = (word(body, 0), long(body, 4), word(body, 12));
            each(Packet::SenderReport { ssrc, ntp, timestamp, packets: word(body, 16), octets: word(body, 20) });
            read_reports(count, body.get(24..), each);
        }
        (RR, _) => read_reports(count, body.get(4..), each),
        (BYE, _) => {
            if let Some(ssrcs) = body.get(..listed) {
                each(Packet::Goodbye { ssrcs: Ssrcs(ssrcs) });
            }
        }
        (XR, _) => read_extended(body, each),
        (RTPFB | PSFB, _) => {
            if let Some((head, content)) = body.split_at_checked(8) {
                read_feedback(packet_type, count, word(head, 4), content, each);
            }
        }
        _ => {}
    }
}

fn read_reports(count: u8, blocks: Option<&[u8]>, each: &mut dyn FnMut(Packet<'_>)) {
    for block in blocks.unwrap_or_default().chunks_exact(24).take(usize::from(count)) {
        let loss = word(block, 4);
        each(Packet::Report(Report {
            ssrc: word(block, 0),
            fraction_lost: (loss >> 24) as u8,
            lost: (loss << 8) as i32 >> 8,
            highest: word(block, 8),
            jitter: word(block, 12),
            last_report: word(block, 16),
            delay: word(block, 20),
        }));
    }
}

fn read_feedback(packet_type: u8, format: u8, ssrc: u32, content: &[u8], each: &mut dyn FnMut(Packet<'_>)) {
    match (packet_type, format) {
        (RTPFB, NACK) => each(Packet::Nack(Nack { ssrc, items: content })),
        (RTPFB, TRANSPORT_CC) => each(Packet::TransportCc(content)),
        (PSFB, PLI) => each(Packet::KeyFrameRequest { ssrc, full: false, number: 0 }),
        (PSFB, FIR) => {
            for item in content.chunks_exact(8) {
                let number = item.get(4).copied().unwrap_or_default();
                each(Packet::KeyFrameRequest { ssrc: word(item, 0), full: true, number });
            }
        }
        (PSFB, APPLICATION) => read_remb(content, each),
        _ => {}
    }
}

/// Read an estimate; none that 64 bits do not hold, nor one that lists more sources than are there.
fn read_remb(content: &[u8], each: &mut dyn FnMut(Packet<'_>)) {
    let Some((head, ssrcs)) = content.split_at_checked(8).filter(|(head, _)| head.starts_with(REMB)) else {
        return;
    };
    let value = word(head, 4);
    let (exponent, mantissa) = (value >> 18 & 0x3F, u64::from(value & 0x3FFFF));
    let bitrate = mantissa << exponent;
    if let Some(ssrcs) = ssrcs.get(..4 * (value >> 24) as usize).filter(|_| bitrate >> exponent == mantissa) {
        each(Packet::Remb { bitrate, ssrcs: Ssrcs(ssrcs) });
    }
}

/// Read the blocks of an extended report; one that goes beyond the end ends it.
fn read_extended(body: &[u8], each: &mut dyn FnMut(Packet<'_>)) {
    let mut rest = body.get(4..).unwrap_or_default();
    while let Some((&[kind, _, high, low], after)) = rest.split_first_chunk() {
        let length = 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some((block, next)) = after.split_at_checked(length) else {
            return;
        };
        match kind {
            RECEIVER_REFERENCE if length == 8 => {
                each(Packet::ReceiverReference { ssrc: word(body, 0), ntp: long(block, 0) });
            }
            DLRR => {
                for item in block.chunks_exact(12) {
                    each(Packet::Dlrr { ssrc: word(item, 0), last: word(item, 4), delay: word(item, 8) });
                }
            }
            _ => {}
        }
        rest = next;
    }
}

/// Return the four bytes at a place as a number; 0 if they are not all there.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_be_bytes(*chunk))
}

/// Return the eight bytes at a place as a number; 0 if they are not all there.
fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from(word(bytes, at)) << 32 | u64::from(word(bytes, at + 4))
}
