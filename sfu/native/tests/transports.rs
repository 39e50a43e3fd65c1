//! Transports: every profile over every kind of address, peers that move, vanish and replay.

mod peer;
mod world;

use packet_plane::order::Event;
use packet_plane::rtcp;
use world::pair::{HOME, KEY_FRAME, Pair};
use world::{CONSENT, GCM, MS, SECOND, tuple};

#[test]
fn every_profile_goes_over_every_kind_of_address() {
    for profile in [GCM, "SRTP_AEAD_AES_256_GCM", "SRTP_AES128_CM_SHA1_80"] {
        for [publisher, receiver] in [
            [tuple(0, HOME), tuple(0, "192.0.2.2:2")],
            [tuple(1, "[2001:db8::1]:1"), tuple(1, "[2001:db8::2]:2")],
            [tuple(0x4000, "192.0.2.1:1"), tuple(0x4001, "[2001:db8::2]:2")],
        ] {
            let mut pair = Pair::new(profile, [publisher, receiver], |_| ());
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
    let mut pair = Pair::new(GCM, [tuple(0, HOME), tuple(0x4000, "192.0.2.2:2")], |_| ());
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
