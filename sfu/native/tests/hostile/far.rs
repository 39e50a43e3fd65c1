//! The other end of a transport: it has the keys.

use std::collections::HashMap;

use packet_plane::ice::Tuple;
use packet_plane::order::Name;
use packet_plane::srtp::{Opener, Sealer};
use packet_plane::{rtcp, rtp};

use super::STREAMS;

/// The other end of a transport.
pub struct Far {
    pub name: Name,
    pub fragment: String,
    pub at: Tuple,
    pub sealer: Sealer,
    pub opener: Opener,
    pub indexes: HashMap<u32, u64>,
    pub sequences: [u16; STREAMS.len()],
    pub got: Vec<(u32, u16)>,
}

impl Far {
    /// Seal a packet under the index that is nearest; None if it cannot be one.
    pub fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        let header = rtp::header_length(plain).ok()?;
        let (sequence, ssrc) = (u16::from_be_bytes([plain[2], plain[3]]), plain[8..12].try_into().unwrap());
        let last = self.indexes.entry(u32::from_be_bytes(ssrc)).or_insert(sequence.into());
        let index = last.saturating_add_signed(i64::from(sequence.wrapping_sub(*last as u16) as i16));
        let index = if index as u16 == sequence { index } else { sequence.into() };
        *last = index.max(*last);
        let mut sealed = vec![0; plain.len() + 32];
        sealed[..header].copy_from_slice(&plain[..header]);
        let length = self.sealer.seal_rtp(index, &mut sealed, header, &plain[header..]).ok()?;
        sealed.truncate(length);
        Some(sealed)
    }
}

impl Far {
    /// Read what came, in plain.
    pub fn take(&mut self, plain: &[u8], rtcp: bool) {
        if rtcp {
            let mut read = 0;
            rtcp::parse(plain, &mut |_| read += 1);
            return assert!(read > 0, "{plain:?}");
        }
        let header = rtp::parse(plain).expect("what is sent is RTP");
        assert!(header.ssrc >= 5000 && header.padding == 0);
        if self.got.len() == 64 {
            self.got.remove(0);
        }
        self.got.push((header.ssrc, header.sequence));
    }
}
