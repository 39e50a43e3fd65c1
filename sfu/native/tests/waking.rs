//! When the plane has to be woken: seldom, as that costs more than most of what is done then.

mod peer;
mod world;

use packet_plane::rtcp;
use world::pair::{DELTA, KEY_FRAME, Pair};
use world::{MS, packet};

/// Send a packet that does, or does not, end its frame.
fn send(pair: &mut Pair, payload: &[u8], ends: bool) {
    let plain = packet(1111, 96, pair.number, 1, ends, payload);
    let sealed = pair.publisher.rtp(&plain, pair.number);
    pair.world.datagram(&sealed, pair.publisher.tuple);
    pair.number += 1;
}

fn told(pair: &mut Pair) -> usize {
    let told = pair.receiver.told(&mut pair.world);
    told.iter().filter(|each| each.starts_with("SenderReport")).count()
}

#[test]
fn a_frame_that_came_whole_wakes_nobody_after() {
    let mut pair = Pair::usual();
    send(&mut pair, KEY_FRAME, true);
    pair.world.after(MS);
    pair.came();
    send(&mut pair, DELTA, false);
    send(&mut pair, DELTA, false);
    assert_eq!(pair.world.core.next_due(), pair.world.now + 5 * MS, "its end may never come");
    send(&mut pair, DELTA, true);
    assert_eq!(pair.came().len(), 3);
    assert!(pair.world.core.next_due() > pair.world.now + 20 * MS);
    send(&mut pair, DELTA, false);
    assert_eq!(pair.world.core.next_due(), pair.world.now + 5 * MS);
    pair.world.after(5 * MS);
    assert_eq!(pair.came().len(), 1);
}

#[test]
fn reports_go_with_what_is_done_anyway_and_once_a_second_without() {
    for often in [true, false] {
        let mut pair = Pair::usual();
        pair.send();
        let mut sender_report = Vec::new();
        rtcp::write_sender_report(&mut sender_report, 1111, 5 << 32, 0, 1, 1, "sender");
        pair.publisher.report(&mut pair.world, &sender_report);
        pair.world.after(MS);
        let (mut woken, mut reports) = (0, 0);
        for _ in 0..1000 {
            pair.send_as(DELTA);
            pair.world.now += 10 * MS;
            let now = pair.world.now;
            if pair.world.core.next_due() <= now || often && pair.world.core.has_due(now) {
                woken += usize::from(pair.world.core.next_due() <= now);
                pair.world.step(|core, now, out| core.due(now, out));
            }
            reports += told(&mut pair);
        }
        assert!((9..=11).contains(&reports), "{reports} in ten seconds");
        assert_eq!(woken == 0, often, "{woken} times woken for it");
        assert!(woken <= 200, "{woken}");
    }
}
