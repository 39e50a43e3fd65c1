//! A core, peers that send it anything, and what may never come of it.

pub mod corpora;
mod far;
mod orders;
mod packets;
mod random;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use packet_plane::Micros;
use packet_plane::batch::{Batch, Output, Sink};
use packet_plane::core::{Config, Core};
use packet_plane::order::{Event, Name};
use packet_plane::rtp;
use packet_plane::srtp::SrtpError;

use crate::peer;
use crate::random::Random;
use corpora::Corpora;
use far::Far;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const DTLS: &[u8] = &[22, 254, 253, 0, 1, 2, 3];
/// MIME type, payload type, payload type of RTX, MID, SSRC: of streams that a peer may send; the plane is told the SSRCs of half of them.
const STREAMS: [(&str, u8, Option<u8>, &str, u32); 5] = [
    ("video/VP8", 96, Some(97), "0", 1000),
    ("audio/opus", 111, None, "1", 1002),
    ("video/H264", 98, Some(99), "2", 1004),
    ("video/VP9", 100, Some(101), "3", 1006),
    ("video/AV1", 102, None, "4", 1008),
];

/// What the core sent in one step.
#[derive(Default)]
struct Kept(Vec<Vec<u8>>);

impl Sink for Kept {
    fn send(&mut self, batch: &Batch) {
        self.0.extend(batch.datagrams().map(|(_, data)| data.to_vec()));
    }
}

/// A core and all who are connected to it.
pub struct World<'a> {
    corpora: &'a Corpora,
    random: Random,
    core: Core,
    batch: Batch,
    sent: Kept,
    events: Vec<Event>,
    now: Micros,
    peers: Vec<Far>,
    /// Names of all there were, and of some that never were.
    transports: Vec<Name>,
    producers: Vec<Name>,
    consumers: Vec<Name>,
    names: u32,
    sealed: HashSet<u64>,
    /// Packets that came out and could be read.
    pub authentic: u64,
}

impl<'a> World<'a> {
    /// Nobody is there yet.
    pub fn new(seed: u32, corpora: &'a Corpora) -> Self {
        let mut random = Random(u64::from(seed) << 32);
        let frame_wait = [0, 2000, 4000][random.below(3)];
        let config = Config { consent_timeout: 30_000_000, frame_wait, seed: random.number() };
        Self {
            corpora,
            core: Core::new(config),
            batch: Batch::default(),
            sent: Kept::default(),
            events: Vec::new(),
            now: random.number() >> [20, 30, 60][random.below(3)],
            random,
            peers: Vec::new(),
            transports: vec!["nobody".into()],
            producers: vec!["nothing".into()],
            consumers: vec!["nothing".into()],
            names: 0,
            sealed: HashSet::new(),
            authentic: 0,
        }
    }

    fn name(&mut self, kind: &str) -> Name {
        self.names += 1;
        format!("{kind}{}", self.names).into()
    }

    /// Let the core do something; judge what comes of it.
    fn let_it(&mut self, act: impl FnOnce(&mut Core, Micros, &mut Output)) {
        let counters = self.core.counters.clone();
        let mut out =
            Output { batch: &mut self.batch, events: &mut self.events, sink: &mut self.sent, counters: &counters };
        act(&mut self.core, self.now, &mut out);
        out.flush();
        assert!(self.events.len() < 100 && self.sent.0.len() < 10_000, "one step leads to little");
        self.events.clear();
        for datagram in std::mem::take(&mut self.sent.0) {
            self.judge(&datagram);
        }
    }

    /// Hold that a datagram is what some peer can read.
    fn judge(&mut self, datagram: &[u8]) {
        let rtcp = match datagram[0] {
            0..4 => return drop(peer::Answer::read(datagram, PASSWORD)),
            20..64 => return assert_eq!(datagram, DTLS),
            _ => (192..=223).contains(&datagram[1]),
        };
        let mut hasher = DefaultHasher::new();
        datagram.hash(&mut hasher);
        let anew = self.sealed.insert(hasher.finish());
        let mut refused = Vec::new();
        for peer in &mut self.peers {
            let mut data = datagram.to_vec();
            let opened = match rtcp {
                true => peer.opener.open_rtcp(&mut data),
                false => rtp::header_length(&data)
                    .map_err(|_| SrtpError::Length)
                    .and_then(|header| peer.opener.open_rtp(&mut data, header))
                    .map(|opened| opened.length),
            };
            match opened {
                Ok(length) => {
                    self.authentic += 1;
                    return peer.take(&data[..length], rtcp);
                }
                Err(error) => refused.push(error),
            }
        }
        let copied = refused.iter().any(|each| matches!(each, SrtpError::Replayed | SrtpError::Old));
        assert!(copied && !anew && !rtcp, "{refused:?}: {datagram:?}");
    }

    /// Let something happen.
    pub fn step(&mut self) {
        let who = self.random.below(self.peers.len());
        match self.random.below(40) {
            _ if self.peers.len() < 2 => self.arrive(),
            0..20 => self.media(who),
            20..23 => self.garbage(who),
            23..29 => self.feedback(who),
            29..31 => self.check(who),
            31 => self.noise(who),
            32 => self.order(),
            _ => self.time(),
        }
    }

    fn time(&mut self) {
        let random = &mut self.random;
        let at = match random.below(300) {
            0 => self.now + random.below(40_000_000) as Micros,
            1 => self.now + random.below(3_000_000) as Micros,
            2..60 => self.core.next_due().min(self.now + 60_000_000),
            _ => self.now + random.below(6000) as Micros,
        };
        self.now = self.now.max(at);
        self.let_it(|core, now, out| core.due(now, out));
        assert!(self.core.next_due() > self.now, "what is due is done");
    }
}
