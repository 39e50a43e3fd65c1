//! RTCP packets, written: each appends to what `out` holds. Feedback is from `OWN_SSRC`.

use super::*;

/// Append a sender report and its CNAME (cut to 255 bytes), as a compound.
pub fn write_sender_report(
    out: &mut Vec<u8>,
    ssrc: u32,
    ntp: u64,
    timestamp: u32,
    packets: u32,
    octets: u32,
    cname: &str,
) {
    write(out, 0, SR, |out| put(out, &[ssrc, (ntp >> 32) as u32, ntp as u32, timestamp, packets, octets]));
    let name = cname.as_bytes();
    let name = name.get(..255).unwrap_or(name);
    write(out, 1, SDES, |out| {
        put(out, &[ssrc]);
        out.extend_from_slice(&[1, name.len() as u8]);
        out.extend_from_slice(name);
        out.push(0);
    });
}

/// Append receiver reports, `MAX_REPORTS` blocks a packet.
pub fn write_receiver_reports(out: &mut Vec<u8>, reports: &[Report]) {
    for part in reports.chunks(MAX_REPORTS) {
        write(out, part.len() as u8, RR, |out| {
            put(out, &[OWN_SSRC]);
            for report in part {
                let loss = u32::from(report.fraction_lost) << 24 | report.lost as u32 & 0xFF_FFFF;
                put(out, &[report.ssrc, loss, report.highest, report.jitter, report.last_report, report.delay]);
            }
        });
    }
}

/// Ask for packets again; `sequences` ascend (modulo 2^16). Far apart, each takes four bytes.
pub fn write_nack(out: &mut Vec<u8>, ssrc: u32, sequences: impl IntoIterator<Item = u16>) {
    write(out, NACK, RTPFB, |out| {
        put(out, &[OWN_SSRC, ssrc]);
        let mut item: Option<(u16, u16)> = None;
        for sequence in sequences {
            item = Some(match item {
                Some((first, mask)) => match sequence.wrapping_sub(first).wrapping_sub(1) {
                    distance @ 0..16 => (first, mask | 1 << distance),
                    _ => {
                        put(out, &[u32::from(first) << 16 | u32::from(mask)]);
                        (sequence, 0)
                    }
                },
                None => (sequence, 0),
            });
        }
        if let Some((first, mask)) = item {
            put(out, &[u32::from(first) << 16 | u32::from(mask)]);
        }
    });
}

/// Ask for a key frame (RFC 4585 §6.3.1).
pub fn write_pli(out: &mut Vec<u8>, ssrc: u32) {
    write(out, PLI, PSFB, |out| put(out, &[OWN_SSRC, ssrc]));
}

/// Ask for a key frame by a command (RFC 5104 §4.3.1); one with a number that was used is a repetition.
pub fn write_fir(out: &mut Vec<u8>, ssrc: u32, number: u8) {
    write(out, FIR, PSFB, |out| put(out, &[OWN_SSRC, 0, ssrc, u32::from(number) << 24]));
}

/// Append transport-wide feedback; `body` is what `twcc` writes, whole words.
pub fn write_transport_cc(out: &mut Vec<u8>, ssrc: u32, body: &[u8]) {
    write(out, TRANSPORT_CC, RTPFB, |out| {
        put(out, &[OWN_SSRC, ssrc]);
        out.extend_from_slice(body);
    });
}

/// Tell a sender what bits per second its streams may have together; rounded down to 18 significant bits.
pub fn write_remb(out: &mut Vec<u8>, bitrate: u64, ssrcs: &[u32]) {
    let exponent = (u64::BITS - bitrate.leading_zeros()).saturating_sub(18);
    let ssrcs = ssrcs.get(..255).unwrap_or(ssrcs);
    let value = (ssrcs.len() as u32) << 24 | exponent << 18 | (bitrate >> exponent) as u32;
    write(out, APPLICATION, PSFB, |out| {
        put(out, &[OWN_SSRC, 0, u32::from_be_bytes(*REMB), value]);
        put(out, ssrcs);
    });
}

/// Tell a sender our clock, in 1/2^32 s since 1900 (RFC 3611 §4.4): its answer tells the round trip.
pub fn write_receiver_reference(out: &mut Vec<u8>, ntp: u64) {
    let head = u32::from(RECEIVER_REFERENCE) << 24 | 2;
    write(out, 0, XR, |out| put(out, &[OWN_SSRC, head, (ntp >> 32) as u32, ntp as u32]));
}

/// Answer a receiver's clock (RFC 3611 §4.5) on behalf of the stream `from`; the rest as in `Packet::Dlrr`.
pub fn write_dlrr(out: &mut Vec<u8>, from: u32, ssrc: u32, last: u32, delay: u32) {
    write(out, 0, XR, |out| put(out, &[from, u32::from(DLRR) << 24 | 3, ssrc, last, delay]));
}

/// Append a packet: its head, the words that `body` appends, and zeros up to a whole word.
fn write(out: &mut Vec<u8>, count: u8, packet_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0x80 | count, packet_type, 0, 0]);
    body(out);
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let words = ((out.len() - start) / 4 - 1) as u16;
    if let Some(length) = out.get_mut(start + 2..start + 4) {
        length.copy_from_slice(&words.to_be_bytes());
    }
}

fn put(out: &mut Vec<u8>, words: &[u32]) {
    for word in words {
        out.extend_from_slice(&word.to_be_bytes());
    }
}
