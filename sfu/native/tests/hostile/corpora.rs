//! Packets of other projects, and of those that crashed them.

use crate::golden;

/// What the packets of others look like.
pub struct Corpora {
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    pub stun: Vec<Vec<u8>>,
}

impl Corpora {
    pub fn read() -> Self {
        let folder = |kind| golden::folder(kind).into_iter().map(|(_, data)| data).collect();
        Self { rtp: folder("rtp"), rtcp: folder("rtcp"), stun: golden::stun() }
    }
}
