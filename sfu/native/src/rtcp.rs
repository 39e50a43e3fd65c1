//! RTCP as far as a forwarder needs it (RFC 3550 §6, 3611, 4585, 5104, draft-alvestrand-rmcat-remb), read in place.
//!
//! Compounds are split first, each packet is read alone. What lies about its length ends the compound; what came before
//! it counts. Unknown packets are passed over. Writers append to what `out` holds, so a compound is one buffer.

#[path = "rtcp/read.rs"]
mod read;
#[path = "rtcp/write.rs"]
mod write;

pub use read::parse;
use read::word;
pub use write::*;

const SR: u8 = 200;
const RR: u8 = 201;
const SDES: u8 = 202;
const BYE: u8 = 203;
const RTPFB: u8 = 205;
const PSFB: u8 = 206;
const XR: u8 = 207;
/// Formats of RTPFB.
const NACK: u8 = 1;
const TRANSPORT_CC: u8 = 15;
/// Formats of PSFB.
const PLI: u8 = 1;
const FIR: u8 = 4;
const APPLICATION: u8 = 15;
/// Block types of XR.
const RECEIVER_REFERENCE: u8 = 4;
const DLRR: u8 = 5;
const REMB: &[u8; 4] = b"REMB";

/// Report blocks that one packet holds.
pub const MAX_REPORTS: usize = 31;
/// Packets that one NACK can ask for, more than anybody keeps; its 1,400 bytes could name five times as many.
pub const MAX_NACKED: usize = 1000;
/// Whom our feedback is from: a forwarder that sends no media of its own to a producer has no stream to name.
pub const OWN_SSRC: u32 = 1;

/// What a compound says, one by one. Each block of a report, FIR or DLRR is one of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// A sender's clock and counts: `ntp` in 1/2^32 s since 1900, `timestamp` in ticks.
    SenderReport { ssrc: u32, ntp: u64, timestamp: u32, packets: u32, octets: u32 },
    /// A report block, of a sender's or a receiver's report.
    Report(Report),
    /// Packets are asked for again.
    Nack(Nack<'a>),
    /// A key frame is asked for: a FIR (`full`, with its command number) or a PLI (number 0).
    KeyFrameRequest { ssrc: u32, full: bool, number: u8 },
    /// These sources are gone.
    Goodbye { ssrcs: Ssrcs<'a> },
    /// Transport-wide feedback: what `twcc::parse_feedback` reads.
    TransportCc(&'a [u8]),
    /// A receiver's estimate in bits per second, over these streams together.
    Remb { bitrate: u64, ssrcs: Ssrcs<'a> },
    /// The clock of a receiver that sends nothing (XR block 4): who, and when in 1/2^32 s since 1900.
    ReceiverReference { ssrc: u32, ntp: u64 },
    /// An answer to a receiver's clock (XR block 5): whose, its middle 32 bits, and how long ago in 1/65536 s.
    Dlrr { ssrc: u32, last: u32, delay: u32 },
}

/// One report block (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The stream that is reported on.
    pub ssrc: u32,
    /// Lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Lost altogether; less than nothing if more came twice. 24 bits are sent.
    pub lost: i32,
    /// The highest sequence number, with the count of its cycles above it.
    pub highest: u32,
    /// In ticks of the stream's clock.
    pub jitter: u32,
    /// The middle 32 bits of the last sender report's NTP time; 0 without one.
    pub last_report: u32,
    /// How long ago that report came, in 1/65536 s.
    pub delay: u32,
}

/// Packets of a stream that are asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// The stream that they are of.
    pub ssrc: u32,
    items: &'a [u8],
}

impl<'a> Nack<'a> {
    /// Go through the sequence numbers as named, at most `MAX_NACKED`.
    pub fn iter(&self) -> impl Iterator<Item = u16> + use<'a> {
        let items = self.items.chunks_exact(4).map(|item| word(item, 0));
        items.flat_map(|item| named((item >> 16) as u16, item as u16)).take(MAX_NACKED)
    }
}

/// The numbers that an item names: its first, and those after it whose bits are set.
fn named(first: u16, mask: u16) -> impl Iterator<Item = u16> {
    let after = (0..16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| first.wrapping_add(bit + 1));
    std::iter::once(first).chain(after)
}

/// Sources that a packet lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ssrcs<'a>(&'a [u8]);

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*first))
    }
}
