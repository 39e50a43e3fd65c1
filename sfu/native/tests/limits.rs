//! What a peer, or who is none, may ask of the plane: so many a second, so much at a time.

mod peer;
mod world;

use packet_plane::order::Event;
use packet_plane::rtcp;
use world::pair::{KEY_FRAME, Pair};
use world::{MS, SECOND, packet, tuple};

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

#[test]
fn what_is_sent_again_is_limited() {
    let mut pair = Pair::usual();
    (0..900).for_each(|_| _ = pair.send());
    assert_eq!(pair.came().len(), 900);
    let mut again = Vec::new();
    for _ in 0..8 {
        let mut nack = Vec::new();
        rtcp::write_nack(&mut nack, 5000, (0..900).map(|each| 65_000_u16.wrapping_add(each)));
        pair.receiver.report(&mut pair.world, &nack);
        again.push(pair.came().len());
        pair.world.after(110 * MS);
    }
    assert_eq!(again[0], 900, "each is answered at once");
    assert!((1000..2000).contains(&again.iter().sum::<usize>()), "{again:?}");
}
