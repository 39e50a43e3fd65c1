//! A sender and receivers around a core, each behind a network that loses, delays and reorders by a seed.

use std::collections::BTreeMap;

use packet_plane::Micros;
use packet_plane::ice::Tuple;
use packet_plane::order::Order;

use super::receiver::Receiver;
use super::sender::Sender;
use super::{GCM, Peer, Random, World, consumer, tuple, video};

/// One direction of a network: packets lost of a thousand, and how long the others take, at least and more at most.
#[derive(Clone, Copy, Default)]
pub struct Path {
    pub loss: u64,
    pub delay: Micros,
    pub jitter: Micros,
}

enum End {
    Plane(Tuple),
    Peer(Tuple),
}

pub struct Call {
    pub world: World,
    pub sender: Sender,
    pub receivers: Vec<Receiver>,
    /// The publisher's network and the receivers', the same both ways.
    pub up: Path,
    pub down: Path,
    random: Random,
    flying: BTreeMap<(Micros, u64), (End, Vec<u8>)>,
    flown: u64,
}

impl Call {
    /// A publisher whose stream nobody receives yet.
    pub fn new(seed: u64, up: Path, down: Path) -> Self {
        let mut world = World::new();
        let peer = Peer::new(&mut world, "publisher", tuple(0, "192.0.2.1:1000"), GCM);
        world.order(Order::AddProducer(Box::new(video("publisher", "video"))));
        let sender = Sender::new(peer, world.now);
        world.sent();
        let (flying, receivers) = Default::default();
        Self { world, sender, receivers, up, down, random: Random(seed), flying, flown: 0 }
    }

    /// Let one more receive it.
    pub fn join(&mut self) {
        let number = self.receivers.len();
        let (name, address) = (format!("receiver{number}"), format!("192.0.2.1:{}", 2000 + number));
        let peer = Peer::new(&mut self.world, &name, tuple(0, &address), GCM);
        let ssrc = 5000 + 2 * number as u32;
        self.receivers.push(Receiver::new(peer, ssrc, self.world.now));
        self.world.order(Order::AddConsumer(Box::new(consumer(&name, "video", ssrc))));
        self.route();
    }

    pub fn run(&mut self, time: Micros) {
        let end = self.world.now + time;
        self.route();
        loop {
            let flying = self.flying.first_key_value().map_or(Micros::MAX, |((at, _), _)| *at);
            let peers = self.receivers.iter().map(Receiver::next).chain([self.sender.next()]);
            let next = peers.chain([flying, self.world.core.next_due()]).min().unwrap();
            if next > end {
                break;
            }
            self.world.until(next.max(self.world.now));
            self.route();
            self.arrive();
            let now = self.world.now;
            for datagram in self.sender.due(now) {
                self.fly(self.up, End::Plane(self.sender.peer.tuple), datagram);
            }
            for at in 0..self.receivers.len() {
                for datagram in self.receivers[at].due(now) {
                    self.fly(self.down, End::Plane(self.receivers[at].peer.tuple), datagram);
                }
            }
        }
        self.world.until(end);
        self.route();
    }

    fn fly(&mut self, path: Path, to: End, datagram: Vec<u8>) {
        if self.random.below(1000) < path.loss {
            return;
        }
        let at = self.world.now + path.delay + self.random.below(path.jitter + 1);
        self.flown += 1;
        self.flying.insert((at, self.flown), (to, datagram));
    }

    /// Put on the network what the plane sent.
    fn route(&mut self) {
        for (to, datagram) in self.world.sent() {
            let path = if to == self.sender.peer.tuple { self.up } else { self.down };
            self.fly(path, End::Peer(to), datagram);
        }
    }

    fn arrive(&mut self) {
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= self.world.now) {
            let now = self.world.now;
            match entry.remove() {
                (End::Plane(from), datagram) => {
                    self.world.datagram(&datagram, from);
                    self.route();
                }
                (End::Peer(to), datagram) if to == self.sender.peer.tuple => {
                    for answer in self.sender.got(&datagram, now) {
                        self.fly(self.up, End::Plane(to), answer);
                    }
                }
                (End::Peer(to), datagram) => {
                    let found = self.receivers.iter_mut().find(|each| each.peer.tuple == to);
                    found.into_iter().for_each(|each| each.got(&datagram, now));
                }
            }
        }
    }
}
