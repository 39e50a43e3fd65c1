//! Everything that a network and control may bring, through the whole core: forged and authentic garbage, in any order, at any time.
//!
//! Nothing panics, what is sent is authentic and can be read, no nonce serves twice, a turn leaves nothing due, and memory stays bounded. The
//! same calls in each run, more of them with FUZZ_ITERATIONS.

mod peer;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;

use packet_plane::Micros;
use packet_plane::batch::{Batch, Output, Sink};
use packet_plane::core::{Config, Core};
use packet_plane::ice::{Credentials, Tuple};
use packet_plane::order::{AddConsumer, AddProducer, Codec, Event, Name, Order, Secret};
use packet_plane::srtp::{Opener, Profile, Sealer, SrtpError};
use packet_plane::{rtcp, rtp};
use peer::corpora;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";
const DTLS: &[u8] = &[22, 254, 253, 0, 1, 2, 3];
const STEPS: u32 = 2000;
const PROFILES: [(&str, Profile); 3] = [
    ("SRTP_AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
    ("SRTP_AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
    ("SRTP_AES128_CM_SHA1_80", Profile::Aes128CmSha1_80),
];
/// MIME type, payload type, payload type of RTX, MID, SSRC: of streams that a peer may send. Every other one's SSRC is not told before.
const STREAMS: [(&str, u8, Option<u8>, &str, u32); 5] = [
    ("video/VP8", 96, Some(97), "0", 1000),
    ("audio/opus", 111, None, "1", 1002),
    ("video/H264", 98, Some(99), "2", 1004),
    ("video/VP9", 100, Some(101), "3", 1006),
    ("video/AV1", 102, None, "4", 1008),
];
const EXTENSIONS: [(&str, u8); 6] = [
    ("urn:ietf:params:rtp-hdrext:sdes:mid", 4),
    ("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", 5),
    ("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id", 6),
    ("urn:3gpp:video-orientation", 13),
    ("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01", 3),
    ("urn:ietf:params:rtp-hdrext:ssrc-audio-level", 10),
];

fn iterations() -> u32 {
    std::env::var("FUZZ_ITERATIONS").ok().and_then(|value| value.parse().ok()).unwrap_or(500_000)
}

/// Random numbers that are the same for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.number() >> 11) as usize % bound.max(1)
    }

    fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    fn of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).cloned()
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.number() as u8).collect()
    }

    /// Change bytes, or the length.
    fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(data.len().min(64) + 1);
            match self.below(5) {
                0 => data.truncate(at),
                1 => drop(data.splice(at..at, self.bytes(12))),
                2 => drop(data.drain(at..data.len().min(at + 4))),
                3 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = [0, 0xFF, 0x7F][self.below(3)]),
                _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            }
        }
    }
}

/// What the packets of others look like.
struct Corpora {
    rtp: Vec<Vec<u8>>,
    rtcp: Vec<Vec<u8>>,
    stun: Vec<Vec<u8>>,
}

impl Corpora {
    fn read() -> Self {
        let folder = |kind: &str| {
            let files = fs::read_dir(format!("{}/tests/corpora/{kind}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            let mut paths: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
            paths.sort();
            paths.iter().map(|path| fs::read(path).unwrap()).collect()
        };
        Self { rtp: folder("rtp"), rtcp: folder("rtcp"), stun: corpora::stun() }
    }
}

/// The other end of a transport.
struct Peer {
    name: Name,
    fragment: String,
    at: Tuple,
    sealer: Sealer,
    opener: Opener,
    indexes: HashMap<u32, u64>,
    sequences: [u16; STREAMS.len()],
    got: Vec<(u32, u16)>,
}

impl Peer {
    fn seal(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
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

#[derive(Default)]
struct Kept(Vec<Vec<u8>>);

impl Sink for Kept {
    fn send(&mut self, batch: &Batch) {
        self.0.extend(batch.datagrams().map(|(_, data)| data.to_vec()));
    }
}

/// A core and all who are connected to it.
struct World<'a> {
    corpora: &'a Corpora,
    random: Random,
    core: Core,
    batch: Batch,
    sent: Kept,
    events: Vec<Event>,
    now: Micros,
    peers: Vec<Peer>,
    /// Names of all there were, and of some that never were.
    transports: Vec<Name>,
    producers: Vec<Name>,
    consumers: Vec<Name>,
    names: u32,
    sealed: HashSet<u64>,
    authentic: u64,
}

impl<'a> World<'a> {
    fn new(seed: u32, corpora: &'a Corpora) -> Self {
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

    fn step(&mut self) {
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

    /// A peer comes, checks, and gets keys.
    fn arrive(&mut self) {
        let (name, random) = (self.name("transport"), &mut self.random);
        let (profile, kind) = PROFILES[random.below(PROFILES.len())];
        let key = |random: &mut Random| -> Vec<u8> { (0..kind.key_length()).map(|_| random.number() as u8).collect() };
        let (theirs, ours) = (key(random), key(random));
        let peer = Peer {
            name: name.clone(),
            fragment: format!("fragment{}", self.names),
            at: address(random),
            sealer: Sealer::new(kind, &theirs).unwrap(),
            opener: Opener::new(kind, &ours).unwrap(),
            indexes: HashMap::new(),
            sequences: [65_500, 0, 3, 1000, 65_535],
            got: Vec::new(),
        };
        let ice = Credentials { fragment: peer.fragment.clone(), password: PASSWORD.into() };
        self.peers.push(peer);
        self.transports.push(name.clone());
        let order = Order::OpenTransport { transport: name.clone(), ice, counters: Arc::default() };
        self.let_it(|core, now, out| core.order(order, now, out));
        if !self.random.one_in(8) {
            self.check(self.peers.len() - 1);
        }
        let secret = |key: Vec<u8>| Secret(key.into());
        let (receive_key, send_key) = (secret(theirs), secret(ours));
        for profile in ["SRTP_UNKNOWN", profile] {
            let (transport, receive_key, send_key) = (name.clone(), receive_key.clone(), send_key.clone());
            let order = Order::SecureTransport { transport, profile: profile.into(), receive_key, send_key };
            self.let_it(|core, now, out| core.order(order, now, out));
        }
        for which in 0..STREAMS.len() {
            self.produce(name.clone(), which);
            (0..2).for_each(|_| self.consume());
        }
    }

    fn datagram(&mut self, mut data: Vec<u8>, mut from: Tuple) {
        if self.random.one_in(20) {
            self.random.mutate(&mut data);
        }
        if self.random.one_in(100) {
            from = address(&mut self.random);
        }
        for _ in 0..=usize::from(self.random.one_in(20)) {
            self.let_it(|core, now, out| core.datagram(&mut data.clone(), from, now, out));
        }
    }

    /// A packet of one of the streams, in plain: new, late, of a number that jumps, or RTX of one.
    fn packet(&mut self, who: usize) -> Vec<u8> {
        let (random, peer) = (&mut self.random, &mut self.peers[who]);
        let which = random.below(STREAMS.len());
        let (_, payload_type, rtx, mid, ssrc) = STREAMS[which];
        let sequence = &mut peer.sequences[which];
        *sequence = sequence.wrapping_add(match random.below(500) {
            0 => random.below(70_000) as u16,
            1 => random.below(3100) as u16,
            2..40 => 2,
            _ => 1,
        });
        let number = if random.one_in(6) { sequence.wrapping_sub(random.below(20) as u16) } else { *sequence };
        let mut payload =
            random.of(&[vec![0x10, 0], vec![0x10, 1], vec![0x67], vec![0x41], vec![8, 0], vec![0x9C]]).unwrap();
        let most = [3, 50, 1400][random.below(3)];
        payload.extend(random.bytes(most));
        let again = rtx.filter(|_| random.one_in(6));
        if again.is_some() {
            payload.splice(..0, number.to_be_bytes());
        }
        let number = if again.is_some() { random.number() as u16 } else { number };
        let wide = (random.number() as u16).to_be_bytes();
        let value = random.bytes(20);
        let extensions = [(4, mid.as_bytes()), (3, wide.as_slice()), (random.below(20) as u8 + 1, &value)];
        let extensions = extensions.into_iter().take(random.below(4));
        let mut plain = Vec::new();
        let (marker, timestamp) = (random.one_in(3), (self.now / 11) as u32);
        let (payload_type, ssrc) = again.map_or((payload_type, ssrc), |rtx| (rtx, ssrc + 1));
        rtp::write_header(
            &mut plain,
            marker,
            payload_type,
            number,
            timestamp,
            ssrc,
            &[7; 8][..4 * random.below(2)],
            extensions,
        );
        plain.extend(payload);
        plain
    }

    fn media(&mut self, who: usize) {
        let mut plain = self.packet(who);
        if self.random.one_in(10) {
            self.random.mutate(&mut plain);
        }
        self.sealed_datagram(plain, who);
    }

    fn sealed_datagram(&mut self, plain: Vec<u8>, who: usize) {
        let peer = &mut self.peers[who];
        let at = peer.at;
        let sealed = peer.seal(&plain).unwrap_or(plain);
        self.datagram(sealed, at);
    }

    /// Packets of others, changed, as if they were a peer's.
    fn garbage(&mut self, who: usize) {
        let corpora = self.corpora;
        if self.random.one_in(3) {
            let compound = self.random.of(&corpora.rtcp).unwrap();
            return self.sealed_compound(compound, who);
        }
        let mut plain = self.random.of(&corpora.rtp).unwrap();
        self.random.mutate(&mut plain);
        if plain.len() >= 12 && !self.random.one_in(3) {
            let (_, payload_type, _, _, ssrc) = STREAMS[self.random.below(STREAMS.len())];
            plain[1] = plain[1] & 0x80 | payload_type;
            plain[8..12].copy_from_slice(&ssrc.to_be_bytes());
        }
        self.sealed_datagram(plain, who);
    }

    fn sealed_compound(&mut self, mut compound: Vec<u8>, who: usize) {
        if self.random.one_in(3) {
            self.random.mutate(&mut compound);
        }
        let peer = &mut self.peers[who];
        let at = peer.at;
        if peer.sealer.seal_rtcp(&mut compound).is_ok() {
            self.datagram(compound, at);
        }
    }

    /// What receivers and senders say of streams.
    fn feedback(&mut self, who: usize) {
        let (random, peer) = (&mut self.random, &self.peers[who]);
        let (ssrc, sequence) = random.of(&peer.got).unwrap_or((STREAMS[0].4, 0));
        let mine = STREAMS[random.below(STREAMS.len())].4;
        let (number, mut compound) = (random.number(), Vec::new());
        for _ in 0..=random.below(3) {
            match random.below(9) {
                0..4 => {
                    let wanted: Vec<u16> =
                        (0..random.below(40)).map(|each| sequence.wrapping_add(each as u16)).collect();
                    rtcp::write_nack(&mut compound, ssrc, wanted.into_iter().chain([sequence.wrapping_sub(1)]));
                }
                4 => rtcp::write_pli(&mut compound, ssrc),
                5 => rtcp::write_fir(&mut compound, ssrc, number as u8),
                6 => rtcp::write_sender_report(&mut compound, mine, number, number as u32, 1, 2, "name"),
                7 => {
                    let (last_report, delay) = (number as u32, (number >> 32) as u32);
                    let report =
                        rtcp::Report { ssrc, fraction_lost: 3, lost: -1, highest: 9, jitter: 4, last_report, delay };
                    rtcp::write_receiver_reports(&mut compound, &[report]);
                }
                _ => compound.extend([[0x81, 203, 0, 1], mine.to_be_bytes()].concat()),
            }
        }
        self.sealed_compound(compound, who);
    }

    fn check(&mut self, who: usize) {
        let (random, peer) = (&mut self.random, &mut self.peers[who]);
        if random.one_in(5) {
            peer.at = address(random);
        }
        let at = peer.at;
        if random.one_in(4) {
            let data = random.of(&self.corpora.stun).unwrap();
            return self.datagram(data, at);
        }
        let role = [peer::ICE_CONTROLLING, peer::ICE_CONTROLLING, peer::ICE_CONTROLLED][random.below(3)];
        let attributes: [(u16, &[u8]); 3] = [(role, &[0; 8]), (peer::PRIORITY, &[0; 4]), (peer::USE_CANDIDATE, &[])];
        let data = peer::check(&format!("{}:theirs", peer.fragment), PASSWORD, &attributes[..1 + random.below(3)]);
        self.datagram(data, at);
    }

    fn noise(&mut self, who: usize) {
        let at = self.peers[who].at;
        let mut data = self.random.bytes(1600);
        if let Some(first) = data.first_mut() {
            *first = [0, 1, 22, 63, 64, 127, 128, 191, 192, 255][self.random.below(10)];
        }
        self.datagram(data, at);
        if self.random.one_in(4) {
            self.let_it(|core, now, _| core.gone(at, now));
        }
    }

    fn produce(&mut self, transport: Name, which: usize) {
        let producer = self.name("producer");
        self.producers.push(producer.clone());
        let random = &mut self.random;
        let (mime_type, payload_type, rtx_payload_type, mid, ssrc) = STREAMS[which];
        let codec = Codec {
            mime_type: mime_type.into(),
            clock_rate: [90_000, 48_000, 1][random.below(3)],
            payload_type,
            mapped_payload_type: payload_type + 20,
            rtx_payload_type,
        };
        let told = random.one_in(2);
        let order = Order::AddProducer(Box::new(AddProducer {
            transport,
            producer,
            video: mime_type.starts_with("video"),
            codecs: vec![codec],
            extensions: EXTENSIONS.iter().map(|(uri, id)| (uri.to_string(), *id)).collect(),
            ssrc: told.then_some(ssrc),
            rtx_ssrc: rtx_payload_type.filter(|_| told).map(|_| ssrc + 1),
            mid: (!told || random.one_in(2)).then(|| mid.into()),
            rid: random.one_in(10).then(|| "r".into()),
            nack: !random.one_in(5),
            pli: !random.one_in(3),
            fir: true,
            transport_cc: random.one_in(2),
            remb: random.one_in(2),
            paused: random.one_in(10),
            counters: Arc::default(),
        }));
        self.let_it(|core, now, out| core.order(order, now, out));
    }

    fn consume(&mut self) {
        let consumer = self.name("consumer");
        self.consumers.push(consumer.clone());
        let (number, random) = (self.names, &mut self.random);
        let newest = self.producers.len() - 1 - random.below(12).min(self.producers.len() - 1);
        let known = random
            .of(&self.peers.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>())
            .filter(|_| !random.one_in(9));
        let order = Order::AddConsumer(Box::new(AddConsumer {
            transport: known.unwrap_or_else(|| random.of(&self.transports).unwrap()),
            consumer,
            producer: self.producers[newest].clone(),
            ssrc: 5000 + 2 * number,
            rtx_ssrc: random.one_in(2).then_some(5001 + 2 * number),
            payload_types: STREAMS.iter().map(|(_, each, rtx, ..)| (each + 20, rtx.map(|rtx| rtx + 20))).collect(),
            extensions: EXTENSIONS.iter().map(|(uri, id)| (uri.to_string(), 14 - *id)).collect(),
            mid: number.to_string(),
            cname: "someone".into(),
            first_sequence: random.of(&[0, 65_530, 30_000]).unwrap(),
            first_rtx_sequence: random.of(&[0, 65_530]).unwrap(),
            paused: random.one_in(10),
            counters: Arc::default(),
        }));
        self.let_it(|core, now, out| core.order(order, now, out));
    }

    fn order(&mut self) {
        let random = &mut self.random;
        let (transport, producer) = (random.of(&self.transports).unwrap(), random.of(&self.producers).unwrap());
        let consumer = random.of(&self.consumers).unwrap();
        let order = match random.below(30) {
            0 if self.peers.len() < 6 => return self.arrive(),
            1 if self.peers.len() > 2 => {
                self.peers.retain(|each| each.name != transport);
                Order::CloseTransport { transport }
            }
            2..4 => {
                let fragment = format!("again{}", random.number());
                if let Some(peer) = self.peers.iter_mut().find(|peer| peer.name == transport)
                    && random.one_in(2)
                {
                    peer.fragment.clone_from(&fragment);
                }
                Order::RestartIce { transport, ice: Credentials { fragment, password: PASSWORD.into() } }
            }
            4 => Order::SendDatagram { transport, data: DTLS.to_vec() },
            5..8 => {
                let which = random.below(STREAMS.len());
                return self.produce(transport, which);
            }
            8..12 => return self.consume(),
            12 => Order::PauseProducer { producer },
            13..19 => Order::ResumeProducer { producer },
            19 => Order::RemoveProducer { producer },
            20 => Order::PauseConsumer { consumer },
            21..27 => Order::ResumeConsumer { consumer },
            27 => Order::RemoveConsumer { consumer },
            _ => Order::RequestKeyFrame { producer },
        };
        self.let_it(|core, now, out| core.order(order, now, out));
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

impl Peer {
    /// Read what came, in plain.
    fn take(&mut self, plain: &[u8], rtcp: bool) {
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

fn address(random: &mut Random) -> Tuple {
    let remote = [[10, 0, 0, 7].into(), [10, 0, 0, 8].into(), [0x2001, 0xDB8, 0, 0, 0, 0, 0, 7].into()];
    Tuple {
        local: [0, 1, 0x4000][random.below(3)],
        remote: SocketAddr::new(remote[random.below(3)], 1000 + random.below(20) as u16),
    }
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

#[test]
fn nothing_that_comes_does_harm() {
    let (corpora, mut authentic, mut before) = (Corpora::read(), 0, 0);
    let calls = iterations().div_ceil(STEPS);
    for seed in 0..calls {
        println!("call {seed}");
        let mut world = World::new(seed, &corpora);
        (0..STEPS).for_each(|_| world.step());
        authentic += world.authentic;
        if seed == 10 {
            before = resident();
        }
    }
    assert!(authentic > u64::from(calls * STEPS / 5), "{authentic} packets came out");
    if before > 0 {
        assert!(resident() < before + 32_000_000, "{} bytes after {before}", resident());
    }
    println!("{authentic} packets, {} bytes", resident());
}
