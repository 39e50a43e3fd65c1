//! A core without sockets and clocks, and the other ends of its transports: what they seal goes straight in, what comes out is kept.

#![allow(dead_code, unused_imports)] // each test uses a part

pub mod call;
mod orders;
pub mod pair;
pub mod receiver;
pub mod sender;

use std::sync::Arc;

use packet_plane::Micros;
use packet_plane::batch::{Batch, Output, Sink};
use packet_plane::core::{Config, Core};
use packet_plane::counters::TransportCounters;
use packet_plane::ice::{Credentials, Tuple};
use packet_plane::order::{Event, Order, Secret};
use packet_plane::srtp::{Opener, Profile, Sealer};
use packet_plane::{rtcp, rtp};

use crate::peer;
pub use orders::{consumer, extended, packet, video};

pub const MS: Micros = 1000;
pub const SECOND: Micros = 1000 * MS;
pub const CONSENT: Micros = 30 * SECOND;
pub const GCM: &str = "SRTP_AEAD_AES_128_GCM";

#[derive(Default)]
struct Kept(Vec<(Tuple, Vec<u8>)>);

impl Sink for Kept {
    fn send(&mut self, batch: &Batch) {
        self.0.extend(batch.datagrams().map(|(to, data)| (to, data.to_vec())));
    }
}

/// A core and its time.
pub struct World {
    pub core: Core,
    pub now: Micros,
    pub events: Vec<Event>,
    batch: Batch,
    kept: Kept,
}

impl World {
    pub fn new() -> Self {
        let config = Config { consent_timeout: CONSENT, frame_wait: 5 * MS, seed: 1 };
        let (batch, kept) = Default::default();
        Self { core: Core::new(config), now: 1000 * SECOND, events: Vec::new(), batch, kept }
    }

    pub fn step<T>(&mut self, step: impl FnOnce(&mut Core, Micros, &mut Output) -> T) -> T {
        let counters = self.core.counters.clone();
        let (batch, events, sink) = (&mut self.batch, &mut self.events, &mut self.kept);
        let mut out = Output { batch, events, sink, counters: &counters };
        let done = step(&mut self.core, self.now, &mut out);
        out.flush();
        done
    }

    pub fn order(&mut self, order: Order) {
        self.step(|core, now, out| core.order(order, now, out));
    }

    pub fn datagram(&mut self, data: &[u8], from: Tuple) {
        let mut data = data.to_vec();
        self.step(|core, now, out| core.datagram(&mut data, from, now, out));
    }

    /// Let time pass up to then, doing what is due when it is.
    pub fn until(&mut self, then: Micros) {
        while self.core.next_due() <= then {
            self.now = self.now.max(self.core.next_due());
            self.step(|core, now, out| core.due(now, out));
        }
        self.now = then;
    }

    pub fn after(&mut self, time: Micros) {
        self.until(self.now + time);
    }

    /// What was sent since the last call.
    pub fn sent(&mut self) -> Vec<(Tuple, Vec<u8>)> {
        std::mem::take(&mut self.kept.0)
    }
}

/// The other end of a transport.
pub struct Peer {
    pub name: String,
    pub tuple: Tuple,
    pub counters: Arc<TransportCounters>,
    sealer: Sealer,
    opener: Opener,
}

/// What came, in plain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plain {
    Stun(Vec<u8>),
    Rtp(Vec<u8>),
    Rtcp(Vec<u8>),
}

pub fn tuple(local: u16, address: &str) -> Tuple {
    Tuple { local, remote: address.parse().unwrap() }
}

impl Peer {
    /// Open a transport; its peer checks from `tuple`, and both have keys.
    pub fn new(world: &mut World, name: &str, tuple: Tuple, profile: &str) -> Self {
        let (ice, counters) = (Self::ice(name), Arc::<TransportCounters>::default());
        world.order(Order::OpenTransport { transport: name.into(), ice, counters: counters.clone() });
        let profile_of = Profile::from_name(profile).unwrap();
        let key = |byte: u8| vec![byte; profile_of.key_length()];
        let sealer = Sealer::new(profile_of, &key(1)).unwrap();
        let opener = Opener::new(profile_of, &key(2)).unwrap();
        let peer = Self { name: name.into(), tuple, counters, sealer, opener };
        peer.check(world, true);
        world.order(Order::SecureTransport {
            transport: name.into(),
            profile: profile.into(),
            receive_key: Secret(key(1).into()),
            send_key: Secret(key(2).into()),
        });
        peer
    }

    fn ice(name: &str) -> Credentials {
        Credentials { fragment: format!("of-{name}"), password: format!("password-of-{name}-0123456789") }
    }

    /// Send a check.
    pub fn check(&self, world: &mut World, nominate: bool) {
        let ice = Self::ice(&self.name);
        let mut attributes: Vec<(u16, &[u8])> = vec![(peer::PRIORITY, &[0, 0, 0, 9]), (peer::ICE_CONTROLLING, &[7; 8])];
        attributes.extend(nominate.then_some((peer::USE_CANDIDATE, [].as_slice())));
        let check = peer::check(&format!("{}:peer", ice.fragment), &ice.password, &attributes);
        world.datagram(&check, self.tuple);
    }

    /// Seal a packet in plain; `index` has its sequence number as lower half.
    pub fn rtp(&self, packet: &[u8], index: u64) -> Vec<u8> {
        let header = rtp::header_length(packet).unwrap();
        let mut out = packet[..header].to_vec();
        out.resize(packet.len() + 20, 0);
        let length = self.sealer.seal_rtp(index, &mut out, header, &packet[header..]).unwrap();
        out.truncate(length);
        out
    }

    pub fn rtcp(&mut self, compound: &[u8]) -> Vec<u8> {
        let mut packet = compound.to_vec();
        self.sealer.seal_rtcp(&mut packet).unwrap();
        packet
    }

    /// Send RTCP.
    pub fn report(&mut self, world: &mut World, compound: &[u8]) {
        let packet = self.rtcp(compound);
        world.datagram(&packet, self.tuple);
    }

    /// Read what came; panics if it is not authentic or was there before.
    pub fn open(&mut self, datagram: &[u8]) -> Plain {
        let mut data = datagram.to_vec();
        match (data[0], data[1]) {
            (0..4, _) => Plain::Stun(data),
            (_, 192..=223) => {
                let length = self.opener.open_rtcp(&mut data).unwrap();
                data.truncate(length);
                Plain::Rtcp(data)
            }
            _ => {
                let header = rtp::header_length(&data).unwrap();
                let opened = self.opener.open_rtp(&mut data, header).unwrap();
                data.truncate(opened.length);
                Plain::Rtp(data)
            }
        }
    }

    /// All that came for this peer since the last call, in plain; what came for others is gone.
    pub fn got(&mut self, world: &mut World) -> Vec<Plain> {
        let mine: Vec<_> = world.sent().into_iter().filter(|(to, _)| *to == self.tuple).collect();
        mine.into_iter().map(|(_, data)| self.open(&data)).collect()
    }

    /// The RTCP packets that came, as text.
    pub fn told(&mut self, world: &mut World) -> Vec<String> {
        let mut told = Vec::new();
        for plain in self.got(world) {
            if let Plain::Rtcp(compound) = plain {
                rtcp::parse(&compound, &mut |each| told.push(format!("{each:?}")));
            }
        }
        told
    }
}

/// Random numbers from a seed.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound.max(1)
    }
}
