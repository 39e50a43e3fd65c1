//! Padding on order: how much of it, when, and that it hurts no media.

mod peer;
mod world;

use packet_plane::extensions::{ABS_SEND_TIME, MID};
use packet_plane::order::Order;
use packet_plane::probation::MOST;
use packet_plane::rtp;
use world::pair::{HOME, KEY_FRAME, Pair};
use world::{GCM, Plain, tuple};

fn probe(size: usize) -> Order {
    let extensions = vec![(MID.to_owned(), 1), (ABS_SEND_TIME.to_owned(), 4)];
    Order::Probe { transport: "receiver".into(), size, extensions }
}

/// The lengths of the padding that came, by number.
fn padding(pair: &mut Pair) -> Vec<(u16, usize)> {
    let got = pair.receiver.got(&mut pair.world).into_iter();
    let packets = got.filter_map(|each| if let Plain::Rtp(packet) = each { Some(packet) } else { None });
    packets
        .filter_map(|packet| {
            let header = rtp::parse(&packet).unwrap();
            (header.ssrc == 1234).then_some((header.sequence, packet.len()))
        })
        .collect()
}

#[test]
fn so_many_bytes_are_sent_as_were_ordered_and_never_more_than_the_bound() {
    for profile in [GCM, "SRTP_AES128_CM_SHA1_80"] {
        let mut pair = Pair::new(profile, [tuple(0, HOME), tuple(0, "192.0.2.2:2")], |_| ());
        pair.world.order(probe(1000));
        let came = padding(&mut pair);
        assert_eq!(came, [(1, 287), (2, 287), (3, 287), (4, 139)], "{profile}");
        for size in [0, 20] {
            pair.world.order(probe(size));
            assert_eq!(padding(&mut pair), [], "{size} bytes are not even a header");
        }
        pair.world.order(probe(usize::MAX));
        let came = padding(&mut pair);
        assert_eq!(came[0].0, 5);
        let total: usize = came.iter().map(|(_, length)| length).sum();
        assert!((MOST - 32..=MOST).contains(&total), "{total}");
    }
}

#[test]
fn padding_leaves_media_and_its_counts_alone() {
    let mut pair = Pair::usual();
    pair.send();
    pair.world.order(probe(500));
    pair.send();
    assert_eq!(pair.came(), [KEY_FRAME, &[], &[], KEY_FRAME]);
    let counters = &pair.receiver.counters;
    let media = counters.rtp_bytes_sent.get();
    assert_eq!(media, 2 * (20 + KEY_FRAME.len() as u64), "padding is no media");
    assert_eq!(counters.rtx_bytes_sent.get(), 0);
    assert!(counters.bytes_sent.get() > media + 500);
}

#[test]
fn nobody_is_probed_whom_media_could_not_reach() {
    let mut pair = Pair::usual();
    pair.world.order(Order::Probe { transport: "nobody".into(), size: 500, extensions: Vec::new() });
    pair.world.after(world::CONSENT + world::SECOND);
    pair.world.sent();
    pair.world.order(probe(500));
    assert_eq!(padding(&mut pair), []);
    pair.receiver.check(&mut pair.world, true);
    pair.world.order(probe(500));
    assert_eq!(padding(&mut pair)[0].0, 1, "no number was used up meanwhile");
}
