//! The RTCP that a browser sends and gets: reports (RFC 3550 §6), NACK, PLI and FIR (RFC 4585, 5104), transport-wide feedback.

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;
const NACK: u8 = 1;
const TRANSPORT_CC: u8 = 15;
const PLI: u8 = 1;
const FIR: u8 = 4;

/// What a receiver says of one stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    pub ssrc: u32,
    pub fraction_lost: u8,
    pub lost: u32,
    pub highest: u32,
    pub jitter: u32,
    pub last_report: u32,
    pub delay: u32,
}

/// What matters of what comes.
#[derive(Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    SenderReport { ssrc: u32, ntp: u64 },
    Nack { ssrc: u32, pairs: &'a [u8] },
    KeyFrameRequest { ssrc: u32 },
    TransportCc,
    Other,
}

/// The numbers that a NACK's pairs name.
pub fn nacked(pairs: &[u8]) -> impl Iterator<Item = u16> + '_ {
    pairs.chunks_exact(4).flat_map(|pair| {
        let first = u16::from_be_bytes([pair[0], pair[1]]);
        let mask = u16::from_be_bytes([pair[2], pair[3]]);
        (0..17)
            .filter(move |&bit| bit == 0 || mask >> (bit - 1) & 1 == 1)
            .map(move |bit| first.wrapping_add(bit))
    })
}

/// Read a compound.
pub fn parse(mut compound: &[u8], mut each: impl FnMut(Packet<'_>)) {
    while compound.len() >= 4 {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([compound[2], compound[3]]));
        let Some((packet, rest)) = compound.split_at_checked(length) else {
            return;
        };
        let ssrc = |at: usize| {
            packet
                .get(at..at + 4)
                .map(|four| u32::from_be_bytes(four.try_into().expect("four bytes")))
        };
        each(match (packet[1], packet[0] & 31) {
            (SENDER_REPORT, _) if length >= 28 => Packet::SenderReport {
                ssrc: ssrc(4).unwrap_or(0),
                ntp: u64::from(ssrc(8).unwrap_or(0)) << 32 | u64::from(ssrc(12).unwrap_or(0)),
            },
            (TRANSPORT_FEEDBACK, NACK) if length >= 12 => Packet::Nack {
                ssrc: ssrc(8).unwrap_or(0),
                pairs: &packet[12..],
            },
            (TRANSPORT_FEEDBACK, TRANSPORT_CC) => Packet::TransportCc,
            (PAYLOAD_FEEDBACK, PLI) if length >= 12 => Packet::KeyFrameRequest {
                ssrc: ssrc(8).unwrap_or(0),
            },
            (PAYLOAD_FEEDBACK, FIR) if length >= 20 => Packet::KeyFrameRequest {
                ssrc: ssrc(12).unwrap_or(0),
            },
            _ => Packet::Other,
        });
        compound = rest;
    }
}

fn head(out: &mut Vec<u8>, count: u8, kind: u8, words: usize) {
    out.extend_from_slice(&[0x80 | count, kind]);
    out.extend_from_slice(&(words as u16).to_be_bytes());
}

fn word(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// Append a sender report without blocks.
pub fn write_sender_report(out: &mut Vec<u8>, ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32) {
    head(out, 0, SENDER_REPORT, 6);
    word(out, ssrc);
    out.extend_from_slice(&ntp.to_be_bytes());
    word(out, timestamp);
    word(out, packets);
    word(out, octets);
}

/// Append a receiver report; at most 31 streams.
pub fn write_receiver_report(out: &mut Vec<u8>, own: u32, reports: &[Report]) {
    head(out, reports.len() as u8, RECEIVER_REPORT, 1 + 6 * reports.len());
    word(out, own);
    for report in reports {
        word(out, report.ssrc);
        word(out, u32::from(report.fraction_lost) << 24 | report.lost & 0xFF_FFFF);
        word(out, report.highest);
        word(out, report.jitter);
        word(out, report.last_report);
        word(out, report.delay);
    }
}

/// Append a NACK for numbers in ascending order.
pub fn write_nack(out: &mut Vec<u8>, own: u32, ssrc: u32, numbers: &[u16]) {
    let at = out.len();
    head(out, NACK, TRANSPORT_FEEDBACK, 0);
    word(out, own);
    word(out, ssrc);
    let mut pair: Option<(u16, u16)> = None;
    for &number in numbers {
        match &mut pair {
            Some((first, mask)) if (1..=16).contains(&number.wrapping_sub(*first)) => {
                *mask |= 1 << (number.wrapping_sub(*first) - 1);
            }
            _ => {
                if let Some((first, mask)) = pair.replace((number, 0)) {
                    word(out, u32::from(first) << 16 | u32::from(mask));
                }
            }
        }
    }
    if let Some((first, mask)) = pair {
        word(out, u32::from(first) << 16 | u32::from(mask));
    }
    let words = ((out.len() - at) / 4 - 1) as u16;
    out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
}

/// Append a PLI.
pub fn write_pli(out: &mut Vec<u8>, own: u32, ssrc: u32) {
    head(out, PLI, PAYLOAD_FEEDBACK, 2);
    word(out, own);
    word(out, ssrc);
}

/// Append transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1) on `arrivals`: consecutive numbers from
/// `base` on, each with its arrival in 250 µs or None. Each status takes two bits; a packet's delta is one byte or two.
pub fn write_transport_cc(out: &mut Vec<u8>, own: u32, ssrc: u32, base: u16, count: u8, arrivals: &[Option<u64>]) {
    let at = out.len();
    let first = arrivals.iter().flatten().next().copied().unwrap_or(0);
    let reference = first / 256;
    head(out, TRANSPORT_CC, TRANSPORT_FEEDBACK, 0);
    word(out, own);
    word(out, ssrc);
    word(out, u32::from(base) << 16 | arrivals.len() as u32);
    word(out, (reference as u32 & 0xFF_FFFF) << 8 | u32::from(count));
    let mut deltas = Vec::with_capacity(2 * arrivals.len());
    let mut previous = reference * 256;
    for seven in arrivals.chunks(7) {
        let mut chunk = 0b11u16;
        for place in 0..7 {
            let status = match seven.get(place).copied().flatten() {
                None => 0,
                Some(arrival) => {
                    let delta = arrival as i64 - previous as i64;
                    previous = arrival;
                    if let Ok(small) = u8::try_from(delta) {
                        deltas.push(small);
                        1
                    } else {
                        let large = delta.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
                        deltas.extend_from_slice(&large.to_be_bytes());
                        2
                    }
                }
            };
            chunk = chunk << 2 | status;
        }
        out.extend_from_slice(&chunk.to_be_bytes());
    }
    out.extend_from_slice(&deltas);
    out.resize(at + (out.len() - at).next_multiple_of(4), 0);
    let words = ((out.len() - at) / 4 - 1) as u16;
    out[at + 2..at + 4].copy_from_slice(&words.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nack_names_the_numbers_it_was_written_for() {
        let numbers = [65_530, 65_535, 3, 100, 101];
        let mut out = Vec::new();
        write_nack(&mut out, 1, 2, &numbers);
        let mut seen = Vec::new();
        parse(&out, |packet| match packet {
            Packet::Nack { ssrc: 2, pairs } => seen.extend(nacked(pairs)),
            other => panic!("{other:?}"),
        });
        assert_eq!(seen, numbers);
    }
}
