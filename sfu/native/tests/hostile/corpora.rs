//! Packets of other projects, and of those that crashed them.

use std::fs;

use crate::peer::corpora;

/// What the packets of others look like.
pub struct Corpora {
    pub rtp: Vec<Vec<u8>>,
    pub rtcp: Vec<Vec<u8>>,
    pub stun: Vec<Vec<u8>>,
}

impl Corpora {
    pub fn read() -> Self {
        let folder = |kind: &str| {
            let files = fs::read_dir(format!("{}/tests/corpora/{kind}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths.iter().map(|path| fs::read(path).unwrap()).collect()
        };
        Self { rtp: folder("rtp"), rtcp: folder("rtcp"), stun: corpora::stun() }
    }
}
