//! A publisher of a video stream and a receiver of it, with nothing between them and the plane.

use packet_plane::ice::Tuple;
use packet_plane::order::{AddProducer, Order};

use super::{GCM, MS, Peer, Plain, World, consumer, packet, tuple, video};

pub const KEY_FRAME: &[u8] = &[0x10, 0, 1, 2, 3];
pub const DELTA: &[u8] = &[0x10, 1, 1, 2, 3];
pub const HOME: &str = "192.0.2.1:1";

pub struct Pair {
    pub world: World,
    pub publisher: Peer,
    pub receiver: Peer,
    pub number: u64,
}

impl Pair {
    pub fn new(profile: &str, at: [Tuple; 2], change: impl FnOnce(&mut AddProducer)) -> Self {
        let mut world = World::new();
        let publisher = Peer::new(&mut world, "publisher", at[0], profile);
        let receiver = Peer::new(&mut world, "receiver", at[1], profile);
        let mut order = video("publisher", "video");
        change(&mut order);
        world.order(Order::AddProducer(Box::new(order)));
        world.order(Order::AddConsumer(Box::new(consumer("receiver", "video", 5000))));
        world.sent();
        Self { world, publisher, receiver, number: 100 }
    }

    pub fn usual() -> Self {
        Self::changed(|_| ())
    }

    /// With a producer that is a little different.
    pub fn changed(change: impl FnOnce(&mut AddProducer)) -> Self {
        Self::new(GCM, [tuple(0, HOME), tuple(0, "192.0.2.2:2")], change)
    }

    /// Send a key frame of one packet; return it as it went.
    pub fn send(&mut self) -> Vec<u8> {
        self.send_as(KEY_FRAME)
    }

    /// Send a frame of one packet; return it as it went.
    pub fn send_as(&mut self, payload: &[u8]) -> Vec<u8> {
        let plain = packet(1111, 96, self.number, 900 * self.number as u32, true, payload);
        let sealed = self.publisher.rtp(&plain, self.number);
        self.world.datagram(&sealed, self.publisher.tuple);
        self.number += 1;
        sealed
    }

    /// Send frames 10 ms apart, the first a key frame; each tenth is lost if `lossy`.
    pub fn frames(&mut self, count: u64, lossy: bool) {
        for each in 0..count {
            if lossy && each % 10 == 5 {
                self.number += 1;
            } else {
                self.send_as(if each == 0 { KEY_FRAME } else { DELTA });
            }
            self.world.after(10 * MS);
        }
    }

    /// The payloads of media that came to the receiver.
    pub fn came(&mut self) -> Vec<Vec<u8>> {
        let got = self.receiver.got(&mut self.world).into_iter();
        let payload = |packet: Vec<u8>| packet_plane::rtp::parse(&packet).unwrap().payload(&packet).to_vec();
        got.filter_map(|each| if let Plain::Rtp(packet) = each { Some(payload(packet)) } else { None }).collect()
    }
}
