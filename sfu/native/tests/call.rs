//! Calls over bad networks under a virtual clock: what a person sees of repair, key frames and joining.

mod peer;
mod world;

use packet_plane::Micros;
use world::call::{Call, Path};
use world::{MS, SECOND};

fn path(loss: u64, delay: Micros, jitter: Micros) -> Path {
    Path { loss, delay: delay * MS, jitter: jitter * MS }
}

/// A call with one receiver that runs for a second.
fn call(seed: u64, up: Path, down: Path) -> Call {
    let mut call = Call::new(seed, up, down);
    call.join();
    call.run(SECOND);
    call
}

/// Let the network swallow a packet of the next frame, and the sender not repair it; return its number.
fn lose_for_good(call: &mut Call) -> u64 {
    call.sender.repairs = false;
    let lost = call.sender.number + 2;
    call.sender.swallowed.insert(lost);
    lost
}

/// When the sender was asked for a number.
fn asked(call: &Call, number: u64) -> Vec<Micros> {
    call.sender.asked.iter().filter(|(_, each)| *each == number as u16).map(|(at, _)| *at).collect()
}

#[test]
fn what_bad_networks_lose_is_repaired() {
    for (loss, delay, jitter, at_least) in [
        (0, 10, 0, 1.0),
        (0, 100, 30, 1.0),
        (50, 25, 0, 0.995),
        (50, 20, 10, 0.995),
        (100, 50, 20, 0.99),
        (200, 25, 10, 0.98),
        (200, 100, 50, 0.9),
    ] {
        for seed in 1..4 {
            let (quiet, both) = (path(0, delay, 0), path(loss, delay, jitter));
            let mut call = call(seed, quiet, quiet);
            (call.up, call.down) = (both, both);
            call.receivers[0].interval = (2 * delay + jitter).max(40) * MS;
            call.run(30 * SECOND);
            let receiver = &call.receivers[0];
            let share = receiver.share();
            assert!(receiver.got.len() > 3000, "{loss} ‰, {delay} ms, seed {seed}: {} came", receiver.got.len());
            assert!(share >= at_least, "{loss} ‰, {delay} ms, jitter {jitter} ms, seed {seed}: {share}");
            println!("{loss} ‰, {delay} ms, {jitter} ms, seed {seed}: {share:.4}, {} asked", call.sender.asked.len());
        }
    }
}

#[test]
fn order_that_is_lost_for_less_than_ten_milliseconds_asks_for_nothing() {
    let mut call = call(1, path(0, 30, 9), path(0, 10, 0));
    call.run(20 * SECOND);
    assert_eq!((call.sender.asked.len(), call.receivers[0].share()), (0, 1.0));
}

#[test]
fn a_lost_packet_is_asked_for_after_ten_to_twenty_milliseconds_and_then_each_forty() {
    let mut call = call(1, path(0, 0, 0), path(0, 10, 0));
    let lost = lose_for_good(&mut call);
    let frame = call.sender.next_frame;
    call.run(2 * SECOND);
    let times: Vec<Micros> = asked(&call, lost).iter().map(|at| (at - frame) / MS).collect();
    assert!(times.len() == 10 && (10..=20).contains(&times[0]), "{times:?}");
    assert!(times.windows(2).all(|pair| (40..=50).contains(&(pair[1] - pair[0]))), "{times:?}");
}

#[test]
fn a_measured_round_trip_spaces_the_requests() {
    let mut call = call(1, path(0, 100, 0), path(0, 10, 0));
    call.run(2 * SECOND);
    let lost = lose_for_good(&mut call);
    call.run(3 * SECOND);
    let times = asked(&call, lost);
    assert!(times.windows(2).all(|pair| (248..=265).contains(&((pair[1] - pair[0]) / MS))), "{times:?}");
    assert!((4..=10).contains(&times.len()), "{times:?}");
}

#[test]
fn a_key_frame_makes_what_was_lost_before_it_moot() {
    let mut call = call(1, path(0, 0, 0), path(0, 10, 0));
    let lost = lose_for_good(&mut call);
    call.run(120 * MS);
    for _ in 0..2 {
        call.world.order(packet_plane::order::Order::ResumeProducer { producer: "video".into() }); // forces one
        call.run(50 * MS);
    }
    let moot = call.world.now;
    call.run(2 * SECOND);
    let times = asked(&call, lost);
    assert!(!times.is_empty() && times.iter().all(|at| *at <= moot), "{times:?}, moot at {moot}");
    assert_eq!(call.sender.key_frames.len(), 3, "and none was asked for because of it");
}

#[test]
fn a_packet_that_is_given_up_asks_for_a_key_frame_at_once() {
    for before in [None, Some(150)] {
        let mut call = call(1, path(0, 5, 0), path(0, 10, 0));
        let lost = lose_for_good(&mut call);
        let requested = call.sender.requests.len();
        call.run(300 * MS);
        if let Some(joins) = before {
            call.run((joins - 50) * MS);
            call.join();
        }
        call.run(2 * SECOND);
        let last = *asked(&call, lost).last().unwrap();
        let request = call.sender.requests[requested..].iter().find(|at| **at > last);
        let after = request.map(|at| (at - last) / MS);
        match before {
            None => assert!(after.is_some_and(|after| after <= 50), "{after:?} ms after it was asked for last"),
            Some(_) => assert_eq!(after, None, "a key frame came since: nothing is missed"),
        }
    }
}

#[test]
fn who_joins_late_sees_a_key_frame_within_a_tenth_of_a_second_and_a_round_trip() {
    let mut worst = 0;
    for offset in (0..1300).step_by(37) {
        let (up, down) = (path(0, 20, 0), path(0, 15, 0));
        let mut call = call(1, up, down);
        call.join();
        call.run(offset * MS);
        call.join();
        let joined = call.world.now;
        call.run(SECOND);
        let first = *call.receivers[2].got.values().next().unwrap();
        let waited = (first - joined) / MS;
        worst = worst.max(waited);
        assert!(waited <= 100 + 2 * 20 + 15 + 5, "{waited} ms when joining {offset} ms after another");
    }
    println!("the longest wait: {worst} ms");
}

#[test]
fn a_resumed_stream_asks_for_a_key_frame_at_once() {
    let mut call = call(1, path(0, 5, 0), path(0, 5, 0));
    let requested = call.sender.requests.len();
    for _ in 0..2 {
        let (consumer, at) = ("receiver0 of video", call.world.now);
        call.world.order(packet_plane::order::Order::PauseProducer { producer: "video".into() });
        call.run(30 * MS);
        call.world.order(packet_plane::order::Order::ResumeProducer { producer: "video".into() });
        call.run(20 * MS);
        assert!(call.sender.requests.last().is_some_and(|last| *last >= at + 30 * MS && *last <= at + 40 * MS));
        call.world.order(packet_plane::order::Order::PauseConsumer { consumer: consumer.into() });
        call.world.order(packet_plane::order::Order::ResumeConsumer { consumer: consumer.into() });
        call.run(150 * MS);
    }
    assert_eq!(call.sender.requests.len(), requested + 4, "a consumer's within a tenth of a second");
}

#[test]
fn the_first_request_for_a_packet_is_answered_at_once_and_repeats_after_a_round_trip() {
    let mut call = call(1, path(0, 5, 0), path(0, 20, 0));
    call.run(2 * SECOND); // the round trip of 40 ms is measured
    call.receivers[0].repairs = false;
    call.run(SECOND);
    let wanted = *call.receivers[0].got.keys().next_back().unwrap() as u16;
    let (mut times, tuple) = (Vec::new(), call.receivers[0].peer.tuple);
    for _ in 0..100 {
        let mut nack = Vec::new();
        packet_plane::rtcp::write_nack(&mut nack, 5000, [wanted]);
        let nack = call.receivers[0].peer.rtcp(&nack);
        call.world.datagram(&nack, tuple);
        let at = call.world.now;
        call.run(5 * MS);
        call.receivers[0].again.drain(..).for_each(|(_, came)| times.push(came));
        if times.is_empty() {
            times.push(at);
        }
    }
    call.run(100 * MS);
    times.extend(call.receivers[0].again.iter().map(|(_, came)| *came));
    assert_eq!((times[1] - times[0]) / MS, 20, "only the way to the receiver");
    assert_eq!(times.len() - 1, 10, "ten times at most: {times:?}");
    assert!(times[2..].iter().zip(&times[1..]).all(|(later, sooner)| (40..=45).contains(&((later - sooner) / MS))));
}

#[test]
fn who_joins_where_packets_overtake_each_other_sees_something_soon() {
    let mut waits = Vec::new();
    for seed in 0..40 {
        let mut call = call(seed, path(0, 50, 40), path(0, 20, 0));
        call.join();
        let joined = call.world.now;
        call.run(6 * SECOND);
        waits.push((call.receivers[1].got.values().next().map_or(6 * SECOND, |at| at - joined)) / MS);
    }
    waits.sort();
    println!("{waits:?}");
    assert!(waits[20] < 400 && waits[39] < 3000, "{waits:?}");
}
