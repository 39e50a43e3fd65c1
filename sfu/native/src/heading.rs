//! How one receiver's packets are headed: its ids and payload types in one place, small enough to stay in a core's cache with hundreds of
//! others, and the header written straight to where it is sent from.

use crate::history::Packet;
use crate::order::AddConsumer;
use crate::rtp;

/// Ids of extensions that have a place in the table; larger ones need the two-byte form anyway.
const IDS: usize = 16;
/// A header extension that the two-byte form writes takes one byte more than the one-byte form, and there are at most 20 of them.
const SLACK: usize = 32;
/// The longest MID that needs no memory of its own; ours are small numbers.
const SHORT: usize = 8;

/// What a stream's packets are sent as.
pub struct Heading {
    pub ssrc: u32,
    /// The producer's id → the receiver's; 0: not sent on.
    ids: [u8; IDS],
    /// Whether all of them, and the MID, fit the one-byte form.
    narrow: bool,
    mid_id: u8,
    mid_length: u8,
    mid: [u8; SHORT],
    /// What the header may take beyond the producer's.
    more: usize,
    /// The payload types that the receiver takes, each with that of its RTX; one is the rule.
    first: (u8, Option<u8>),
    rest: Box<[(u8, Option<u8>)]>,
    wide: Box<Wide>,
}

/// The same without bounds: the ids as pairs, the MID and its id.
struct Wide {
    ids: Vec<(u8, u8)>,
    mid: Option<(u8, String)>,
}

impl Heading {
    /// From what was ordered; `extensions` are (the producer's id, the receiver's id) of what is sent on, `mid` is the MID's id.
    pub fn new(order: &AddConsumer, extensions: Vec<(u8, u8)>, mid: Option<u8>) -> Self {
        let mut ids = [0; IDS];
        for (from, to) in &extensions {
            if let Some(place) = ids.get_mut(usize::from(*from)) {
                *place = *to;
            }
        }
        let text = order.mid.as_bytes();
        let mut short = [0; SHORT];
        let fits = text.len() <= SHORT && !text.is_empty() && mid.is_none_or(|id| (1..15).contains(&id));
        if fits {
            short[..text.len()].copy_from_slice(text);
        }
        let mut types = order.payload_types.iter().copied();
        Self {
            ssrc: order.ssrc,
            narrow: (fits || mid.is_none())
                && extensions.iter().all(|(from, to)| usize::from(*from) < IDS && (1..15).contains(to)),
            ids,
            mid_id: mid.unwrap_or_default(),
            mid_length: if fits { text.len() as u8 } else { 0 },
            mid: short,
            more: text.len() + SLACK,
            first: types.next().unwrap_or((u8::MAX, None)),
            rest: types.collect(),
            wide: Box::new(Wide { ids: extensions, mid: mid.map(|id| (id, order.mid.clone())) }),
        }
    }

    /// Whether the receiver takes packets of this payload type, and with which it takes their retransmissions.
    pub fn takes(&self, payload_type: u8) -> Option<Option<u8>> {
        let types = std::iter::once(&self.first).chain(self.rest.iter());
        types.into_iter().find(|(each, _)| *each == payload_type).map(|(_, rtx)| *rtx)
    }

    /// The most bytes that a packet's header can take.
    pub fn room(&self, packet: &Packet) -> usize {
        packet.header.payload_at + self.more
    }

    /// Write a packet's header to the front of `piece`, which has `room`; return its length.
    pub fn write(&self, piece: &mut [u8], packet: &Packet, payload_type: u8, ssrc: u32, sequence: u16) -> usize {
        self.write_narrow(piece, packet, payload_type, ssrc, sequence).unwrap_or_else(|| {
            let Wide { ids, mid } = &*self.wide;
            let (header, mut head) = (&packet.header, Vec::with_capacity(64));
            let kept = header.extensions.iter(&packet.data);
            let mapped = kept.filter_map(|(id, value)| Some((ids.iter().find(|(from, _)| *from == id)?.1, value)));
            let mid = mid.as_ref().map(|(id, mid)| (*id, mid.as_bytes()));
            let csrcs = header.csrc_bytes(&packet.data);
            let (marker, timestamp, all) = (header.marker, header.timestamp, mapped.chain(mid));
            rtp::write_header(&mut head, marker, payload_type, sequence, timestamp, ssrc, csrcs, all);
            piece[..head.len()].copy_from_slice(&head);
            head.len()
        })
    }

    /// The usual packet: no contributing sources, and all that is sent on fits the one-byte form (RFC 8285 §4.2).
    fn write_narrow(
        &self,
        piece: &mut [u8],
        packet: &Packet,
        payload_type: u8,
        ssrc: u32,
        sequence: u16,
    ) -> Option<usize> {
        let header = &packet.header;
        if !self.narrow || header.csrcs > 0 {
            return None;
        }
        let mut at = 16;
        for (id, value) in header.extensions.iter(&packet.data) {
            let to = self.ids.get(usize::from(id)).copied().unwrap_or_default();
            if to == 0 {
                continue;
            }
            if value.is_empty() || value.len() > 16 {
                return None;
            }
            piece[at] = to << 4 | (value.len() - 1) as u8;
            piece[at + 1..at + 1 + value.len()].copy_from_slice(value);
            at += 1 + value.len();
        }
        if self.mid_id > 0 {
            let mid = self.mid.get(..usize::from(self.mid_length))?;
            piece[at] = self.mid_id << 4 | (mid.len() - 1) as u8;
            piece[at + 1..at + 1 + mid.len()].copy_from_slice(mid);
            at += 1 + mid.len();
        }
        let extended = at > 16;
        let end = at.next_multiple_of(4);
        piece[at..end].fill(0);
        piece[0] = 0x80 | u8::from(extended) << 4;
        piece[1] = payload_type & 0x7F | u8::from(header.marker) << 7;
        piece[2..4].copy_from_slice(&sequence.to_be_bytes());
        piece[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
        piece[8..12].copy_from_slice(&ssrc.to_be_bytes());
        if !extended {
            return Some(12);
        }
        piece[12..14].copy_from_slice(&0xBEDE_u16.to_be_bytes());
        piece[14..16].copy_from_slice(&((end / 4 - 4) as u16).to_be_bytes());
        Some(end)
    }
}
