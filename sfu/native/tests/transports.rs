//! Transports: every profile over every kind of address, peers that move, vanish, flood, forge and replay.

mod peer;
mod world;

use packet_plane::ice::Tuple;
use packet_plane::order::{AddProducer, Codec, Event, Order};
use packet_plane::rtcp;
use world::{CONSENT, GCM, MS, Peer, Plain, SECOND, World, consumer, extended, packet, tuple, video};

const KEY_FRAME: &[u8] = &[0x10, 0, 1, 2, 3];
const HOME: &str = "192.0.2.1:1";

struct Pair {
    world: World,
    publisher: Peer,
    receiver: Peer,
    number: u64,
}

impl Pair {
    fn new(profile: &str, at: [Tuple; 2]) -> Self {
        let mut world = World::new();
        let publisher = Peer::new(&mut world, "publisher", at[0], profile);
        let receiver = Peer::new(&mut world, "receiver", at[1], profile);
        world.order(Order::AddProducer(Box::new(video("publisher", "video"))));
        world.order(Order::AddConsumer(Box::new(consumer("receiver", "video", 5000))));
        world.sent();
        Self { world, publisher, receiver, number: 100 }
    }

    fn usual() -> Self {
        Self::new(GCM, [tuple(0, HOME), tuple(0, "192.0.2.2:2")])
    }

    /// Send a packet; return it as it went.
    fn send(&mut self) -> Vec<u8> {
        let plain = packet(1111, 96, self.number, 7, true, KEY_FRAME);
        let sealed = self.publisher.rtp(&plain, self.number);
        self.world.datagram(&sealed, self.publisher.tuple);
        self.number += 1;
        sealed
    }

    /// The payloads of media that came to the receiver.
    fn came(&mut self) -> Vec<Vec<u8>> {
        let got = self.receiver.got(&mut self.world).into_iter();
        let payload = |packet: Vec<u8>| packet_plane::rtp::parse(&packet).unwrap().payload(&packet).to_vec();
        got.filter_map(|each| if let Plain::Rtp(packet) = each { Some(payload(packet)) } else { None }).collect()
    }
}

#[test]
fn every_profile_goes_over_every_kind_of_address() {
    for profile in [GCM, "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_80"] {
        for [publisher, receiver] in [
            [tuple(0, HOME), tuple(0, "192.0.2.2:2")],
            [tuple(1, "[2001:db8::1]:1"), tuple(1, "[2001:db8::2]:2")],
            [tuple(0x4000, "192.0.2.1:1"), tuple(0x4001, "[2001:db8::2]:2")],
        ] {
            let mut pair = Pair::new(profile, [publisher, receiver]);
            (0..5).for_each(|_| _ = pair.send());
            assert_eq!(pair.came(), [KEY_FRAME; 5], "{profile} {publisher:?}");
            let mut nack = Vec::new();
            rtcp::write_nack(&mut nack, 5000, [65_001, 65_003]);
            pair.receiver.report(&mut pair.world, &nack);
            let again = pair.came();
            assert_eq!(again.iter().map(|each| &each[..2]).collect::<Vec<_>>(), [[253, 233], [253, 235]], "{profile}");
            pair.world.after(1100 * MS);
            let told = pair.publisher.told(&mut pair.world);
            assert!(told.iter().any(|each| each.starts_with("Report")), "{profile} {told:?}");
        }
    }
}

#[test]
fn what_is_replayed_does_nothing() {
    let mut pair = Pair::usual();
    let mut sealed: Vec<_> = (0..50).map(|_| pair.send()).collect();
    assert_eq!(pair.came().len(), 50);
    let mut ask = Vec::new();
    rtcp::write_pli(&mut ask, 5000);
    let ask = pair.receiver.rtcp(&ask);
    pair.world.datagram(&ask, pair.receiver.tuple);
    let before = pair.publisher.counters.packets_discarded.get();
    pair.world.after(800 * MS);
    pair.world.sent();
    sealed.reverse();
    for each in &sealed {
        pair.world.datagram(each, pair.publisher.tuple);
    }
    (0..50).for_each(|_| pair.world.datagram(&ask, pair.receiver.tuple));
    assert_eq!(pair.world.sent(), []);
    assert_eq!(pair.publisher.counters.packets_discarded.get() - before, 50);
    assert_eq!(pair.receiver.counters.packets_discarded.get(), 50);
}

#[test]
fn consent_ends_after_its_time_and_a_check_brings_all_back() {
    let mut pair = Pair::usual();
    pair.send();
    for _ in 0..8 {
        pair.world.after(5 * SECOND);
        pair.publisher.check(&mut pair.world, false);
        pair.send();
        assert!(pair.world.now <= 1000 * SECOND + CONSENT || pair.world.events.contains(&lost("receiver")));
    }
    assert!(!pair.world.events.contains(&lost("publisher")), "its checks are consent");
    pair.world.sent();
    pair.send();
    assert!(pair.world.sent().iter().all(|(to, _)| *to == pair.publisher.tuple), "nothing to who does not consent");
    pair.receiver.check(&mut pair.world, true);
    assert!(
        matches!(pair.world.events.last(), Some(Event::IceSelected { transport, .. }) if &**transport == "receiver")
    );
    pair.send();
    pair.send();
    assert_eq!(pair.came().len(), 2, "it goes on");
}

fn lost(transport: &str) -> Event {
    Event::IceLost { transport: transport.into() }
}

#[test]
fn a_call_survives_that_its_ends_move() {
    for nominates in [true, false] {
        let mut pair = Pair::usual();
        pair.send();
        assert_eq!(pair.came().len(), 1);
        let mobile = tuple(1, "[2001:db8::9]:9");
        pair.receiver.tuple = mobile;
        pair.receiver.check(&mut pair.world, nominates);
        pair.world.sent();
        pair.send();
        if !nominates {
            assert_eq!(pair.came().len(), 0, "what was nominated holds while it is used");
            for _ in 0..3 {
                pair.world.after(4 * SECOND);
                pair.send();
            }
            pair.world.sent();
            pair.receiver.check(&mut pair.world, false);
            pair.send();
        }
        assert_eq!(pair.came().len(), 1, "nominates: {nominates}");
        pair.publisher.tuple = tuple(0x4007, "198.51.100.7:7");
        pair.send();
        assert_eq!(pair.came().len(), 0, "no check came from there");
        pair.publisher.check(&mut pair.world, nominates);
        pair.world.sent();
        pair.send();
        assert_eq!(pair.came().len(), 1);
        assert!(!pair.world.events.iter().any(|each| matches!(each, Event::IceLost { .. })));
    }
}

#[test]
fn a_tcp_connection_that_goes_gives_way_to_the_next() {
    let mut pair = Pair::new(GCM, [tuple(0, HOME), tuple(0x4000, "192.0.2.2:2")]);
    pair.send();
    assert_eq!(pair.came().len(), 1);
    let gone = pair.receiver.tuple;
    pair.world.step(|core, now, _| core.gone(gone, now));
    pair.send();
    assert_eq!(pair.world.sent(), []);
    pair.receiver.tuple = tuple(0x4001, "192.0.2.2:3");
    pair.receiver.check(&mut pair.world, false);
    pair.send();
    assert_eq!(pair.came().len(), 1);
}

#[test]
fn rtcp_is_limited_and_what_is_forged_does_not_count() {
    let mut pair = Pair::usual();
    pair.send();
    let forged = [&[0x81, 206, 0, 2][..], &[0; 40]].concat();
    (0..5000).for_each(|_| pair.world.datagram(&forged, pair.receiver.tuple));
    let mut ask = Vec::new();
    rtcp::write_pli(&mut ask, 5000);
    let discarded = pair.receiver.counters.packets_discarded.get();
    assert_eq!(discarded, 5000);
    (0..3000).for_each(|_| pair.receiver.report(&mut pair.world, &ask));
    assert_eq!(pair.receiver.counters.packets_discarded.get() - discarded, 2000);
    pair.world.after(SECOND);
    (0..10).for_each(|_| pair.receiver.report(&mut pair.world, &ask));
    assert_eq!(pair.receiver.counters.packets_discarded.get() - discarded, 2000);
}

#[test]
fn dtls_is_limited() {
    let mut pair = Pair::usual();
    (0..1000).for_each(|_| pair.world.datagram(&[22; 100], pair.receiver.tuple));
    let told = pair.world.events.iter().filter(|each| matches!(each, Event::DatagramReceived { .. }));
    assert_eq!(told.count(), 50);
}

#[test]
fn ssrcs_without_number_shut_no_stream_out() {
    let mut pair = Pair::usual();
    let first = pair.send();
    for ssrc in 10_000..13_000 {
        let stranger = packet(ssrc, 96, 1, 0, true, KEY_FRAME);
        pair.world.datagram(&pair.publisher.rtp(&stranger, 1), pair.publisher.tuple);
    }
    assert_eq!(pair.publisher.counters.packets_discarded.get(), 3000);
    pair.world.datagram(&first, pair.publisher.tuple);
    assert_eq!(pair.publisher.counters.packets_discarded.get(), 3001, "its window is kept");
    pair.send();
    assert_eq!(pair.came().len(), 2);
}

#[test]
fn who_proves_nothing_is_read_a_hundred_times_a_second_and_gets_no_answer() {
    let mut pair = Pair::usual();
    let flooding = tuple(0, "203.0.113.5:5");
    let check = |password: &str| peer::check("of-receiver:peer", password, &[(peer::ICE_CONTROLLING, &[7; 8])]);
    for garbage in [&check("a wrong password of this length")[..], &[22; 60], &[0x80; 60], &[0; 20], &[1], &[]] {
        (0..1000).for_each(|_| pair.world.datagram(garbage, flooding));
    }
    assert_eq!(pair.world.sent(), []);
    let right = check("password-of-receiver-0123456789");
    pair.world.datagram(&right, flooding);
    assert_eq!(pair.world.sent(), [], "not read");
    pair.world.datagram(&right, tuple(0, "203.0.113.6:5"));
    assert_eq!(pair.world.sent().len(), 1, "others are");
    pair.world.after(SECOND);
    (0..1000).for_each(|_| pair.world.datagram(&right, flooding));
    assert_eq!(pair.world.sent().len(), 100);
}

/// A simulcast layer of one MID.
fn layer(rid: &str) -> AddProducer {
    let order = AddProducer { ssrc: None, rtx_ssrc: None, rid: Some(rid.into()), ..video("publisher", rid) };
    let uri = "urn:ietf:params:rtp-hdrext:sdes";
    let (stream, repaired) = (format!("{uri}:rtp-stream-id"), format!("{uri}:repaired-rtp-stream-id"));
    AddProducer { extensions: [order.extensions.clone(), vec![(stream, 10), (repaired, 11)]].concat(), ..order }
}

#[test]
fn streams_are_told_apart_by_mid_and_rid_and_then_by_ssrc() {
    let mut world = World::new();
    let publisher = Peer::new(&mut world, "publisher", tuple(0, HOME), GCM);
    let orders = ["low", "high"].map(layer);
    let counters = orders.each_ref().map(|order| order.counters.clone());
    orders.into_iter().for_each(|order| world.order(Order::AddProducer(Box::new(order))));
    let mut number = 0;
    let mut send = |ssrc: u32, payload_type: u8, extensions: &[(u8, &[u8])]| {
        number += 1;
        let payload: &[u8] = if payload_type == 97 { &[0, 0, 1] } else { KEY_FRAME };
        let packet = extended(ssrc, payload_type, number, 0, true, payload, extensions);
        world.datagram(&publisher.rtp(&packet, number), publisher.tuple);
        let discarded = publisher.counters.packets_discarded.get();
        (counters.each_ref().map(|each| each.packets.get() + each.retransmitted.get()), discarded)
    };
    assert_eq!(send(1, 96, &[]), ([0, 0], 1), "nothing names it");
    assert_eq!(send(1, 96, &[(4, b"0")]), ([0, 0], 2), "there are two of this MID");
    assert_eq!(send(1, 96, &[(4, b"1"), (10, b"low")]), ([0, 0], 3), "another MID");
    assert_eq!(send(1, 96, &[(4, b"0"), (10, b"lower")]), ([0, 0], 4), "another RID");
    assert_eq!(send(1, 35, &[(4, b"0"), (10, b"low")]), ([0, 0], 5), "another payload type");
    assert_eq!(send(1, 97, &[(4, b"0"), (11, b"high")]), ([0, 1], 5), "repaired RID");
    assert_eq!(send(2, 96, &[(4, b"0"), (10, b"high")]), ([0, 2], 5));
    assert_eq!(send(3, 96, &[(10, b"low")]), ([1, 2], 5), "RID alone");
    assert_eq!(send(3, 96, &[]), ([2, 2], 5), "latched");
    assert_eq!(send(2, 96, &[]), ([2, 3], 5));
    assert_eq!(send(4, 96, &[(4, b"0"), (10, b"low")]), ([2, 3], 6), "it has its SSRC");
    assert_eq!(send(4, 97, &[(4, b"0"), (10, b"low")]), ([3, 3], 6), "retransmissions under the RID itself");
}

#[test]
fn audio_passes_whatever_it_holds_and_its_level_is_read() {
    let mut pair = Pair::usual();
    let codec = |mime_type: &str, payload_type, mapped_payload_type| Codec {
        mime_type: mime_type.into(),
        clock_rate: 48_000,
        payload_type,
        mapped_payload_type,
        rtx_payload_type: None,
    };
    let order = AddProducer {
        video: false,
        codecs: vec![codec("audio/opus", 111, 100), codec("audio/red", 63, 99)],
        extensions: vec![(packet_plane::extensions::AUDIO_LEVEL.into(), 1)],
        ssrc: Some(9),
        rtx_ssrc: None,
        ..video("publisher", "audio")
    };
    let counters = order.counters.clone();
    pair.world.order(Order::AddProducer(Box::new(order)));
    let mut receives = consumer("receiver", "audio", 6000);
    receives.payload_types = vec![(100, None), (99, None)];
    pair.world.order(Order::AddConsumer(Box::new(receives)));
    let payloads: [(u8, &[u8]); 5] =
        [(111, &[0x78, 1, 2]), (111, &[0x78]), (111, &[]), (63, &[0xEF, 0, 4, 1, 0x6F, 1, 2]), (63, &[0x6F])];
    for (number, (payload_type, payload)) in (20..).zip(payloads) {
        let packet = extended(9, payload_type, number, 960 * number as u32, false, payload, &[(1, &[0x80 | 42])]);
        pair.world.datagram(&pair.publisher.rtp(&packet, number), pair.publisher.tuple);
    }
    assert_eq!(pair.came(), payloads.map(|(_, payload)| payload));
    assert_eq!(counters.audio_level.get(), 42);
}
