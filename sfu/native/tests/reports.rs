//! What the plane tells its peers of itself and learns from them: reports, scores, round trips, estimates, key frame requests.

mod peer;
mod world;

use packet_plane::Micros;
use packet_plane::order::{AddProducer, Event, Order};
use packet_plane::rtcp::{self, Report};
use world::pair::{DELTA, KEY_FRAME, Pair};
use world::{GCM, MS, Peer, SECOND, consumer, extended, packet, tuple, video};

fn sender_report(pair: &mut Pair) {
    let mut report = Vec::new();
    rtcp::write_sender_report(&mut report, 1111, 5 << 32, 0, 1, 1, "sender");
    pair.publisher.report(&mut pair.world, &report);
}

#[test]
fn a_stream_that_comes_is_judged_with_each_sender_report() {
    let counters = video("", "").counters;
    let mut pair = Pair::changed(|order| order.counters = counters.clone());
    assert_eq!(counters.score.get(), 0, "nothing came");
    pair.frames(100, false);
    assert_eq!(counters.score.get(), 10);
    sender_report(&mut pair);
    assert_eq!(counters.score.get(), 10);
    pair.frames(100, true);
    sender_report(&mut pair);
    assert_eq!(counters.score.get(), 7, "(1 · 10 + 2 · 6) / 3");
    pair.world.after(4 * SECOND);
    assert_eq!(counters.score.get(), 0, "silent");
    let silent = Event::StreamSilent { producer: "video".into(), goodbye: false };
    assert_eq!(pair.world.events.iter().filter(|each| **each == silent).count(), 1);
    pair.frames(1, false);
    assert_eq!(counters.score.get(), 7);
}

#[test]
fn a_stream_that_goes_is_judged_with_each_receiver_report() {
    let mut pair = Pair::usual();
    let order = consumer("other", "video", 6000);
    let counters = order.counters.clone();
    let mut other = Peer::new(&mut pair.world, "other", tuple(0, "192.0.2.1:3"), GCM);
    pair.world.order(Order::AddConsumer(Box::new(order)));
    assert_eq!(counters.score.get(), 10);
    let mut report = |pair: &mut Pair, lost: i32| {
        let mut packet = Vec::new();
        rtcp::write_receiver_reports(&mut packet, &[Report { ssrc: 6000, lost, ..Report::default() }]);
        other.report(&mut pair.world, &packet);
        counters.score.get()
    };
    pair.frames(100, false);
    assert_eq!(report(&mut pair, 0), 10);
    pair.frames(100, false);
    assert_eq!(report(&mut pair, 10), 7);
    pair.frames(100, false);
    assert_eq!(report(&mut pair, 110), 4, "(1 · 10 + 2 · 6 + 3 · 0) / 6");
    assert_eq!(report(&mut pair, i32::MIN), 6, "a lie does no harm");
}

#[test]
fn retransmissions_are_reported_as_a_stream_of_their_own_in_the_second_in_which_they_came() {
    let mut pair = Pair::usual();
    let told = |pair: &mut Pair| -> Vec<String> {
        pair.world.after(SECOND);
        let told = pair.publisher.told(&mut pair.world);
        told.into_iter().filter(|each| each.contains("Report(Report { ssrc: 2222")).collect()
    };
    assert_eq!(told(&mut pair), Vec::<String>::new(), "nothing came");
    for number in [700, 701, 703] {
        let again = packet(2222, 97, number, 0, true, &[0, 99, 0x10, 1]);
        let sealed = pair.publisher.rtp(&again, number);
        pair.world.datagram(&sealed, pair.publisher.tuple);
    }
    let block = Report { ssrc: 2222, fraction_lost: 64, lost: 1, highest: 703, ..Report::default() };
    assert_eq!(told(&mut pair), [format!("{:?}", rtcp::Packet::Report(block))], "copies of nothing that is missing");
    assert_eq!(told(&mut pair), Vec::<String>::new(), "no more came");
}

#[test]
fn a_senders_round_trip_is_measured_and_nobody_elses_answer_counts() {
    let mut pair = Pair::usual();
    let order = video("publisher", "more");
    let counters = order.counters.clone();
    pair.world.order(Order::AddProducer(Box::new(AddProducer { ssrc: Some(7), rtx_ssrc: None, ..order })));
    pair.frames(150, false);
    let told = pair.publisher.told(&mut pair.world);
    let reference = told.iter().rfind(|each| each.starts_with("ReceiverReference")).expect("a time to answer to");
    let ntp: u64 = reference.rsplit(' ').nth(1).unwrap().parse().unwrap();
    let named = (u128::from(ntp) * 1_000_000) >> 32;
    pair.world.until(named as Micros + 180 * MS);
    for (ssrc, expected) in [(77, 0), (rtcp::OWN_SSRC, 80)] {
        let mut answer = Vec::new();
        rtcp::write_dlrr(&mut answer, 1111, ssrc, (ntp >> 16) as u32, 65_536 / 10);
        pair.publisher.report(&mut pair.world, &answer);
        assert_eq!((counters.round_trip.get() + MS / 2) / MS, expected);
    }
}

#[test]
fn receivers_that_name_a_time_are_told_it_back_with_the_next_sender_report() {
    let mut pair = Pair::usual();
    pair.frames(10, false);
    sender_report(&mut pair);
    pair.receiver.got(&mut pair.world);
    let mut reference = Vec::new();
    rtcp::write_receiver_reference(&mut reference, 0x1122_3344_5566_7788);
    reference[4..8].copy_from_slice(&99_u32.to_be_bytes());
    pair.receiver.report(&mut pair.world, &reference);
    pair.frames(200, false);
    let told = pair.receiver.told(&mut pair.world);
    let answers: Vec<_> = told.iter().filter(|each| each.starts_with("Dlrr")).collect();
    assert_eq!(answers.len(), 1, "{told:?}");
    assert!(answers[0].starts_with(&format!("Dlrr {{ ssrc: 99, last: {}", 0x3344_5566)), "{answers:?}");
    assert!(told.iter().filter(|each| each.starts_with("SenderReport")).count() >= 2);
}

#[test]
fn nothing_is_reported_of_what_is_not_sent() {
    let mut pair = Pair::usual();
    pair.frames(150, false);
    sender_report(&mut pair);
    pair.frames(100, false);
    assert!(pair.receiver.told(&mut pair.world).iter().any(|each| each.starts_with("SenderReport")));
    pair.world.after(SECOND);
    pair.receiver.got(&mut pair.world);
    pair.world.after(5 * SECOND);
    assert_eq!(pair.receiver.told(&mut pair.world), Vec::<String>::new());
}

#[test]
fn pli_is_preferred_and_fir_has_numbers() {
    for (pli, fir) in [(true, true), (false, true), (true, false), (false, false)] {
        let mut pair = Pair::changed(|order| (order.pli, order.fir) = (pli, fir));
        let delta = packet(1111, 96, 1, 0, true, DELTA);
        pair.world.datagram(&pair.publisher.rtp(&delta, 1), pair.publisher.tuple);
        pair.world.after(1100 * MS);
        let told = pair.publisher.told(&mut pair.world);
        let requests: Vec<_> = told.iter().filter(|each| each.starts_with("KeyFrameRequest")).collect();
        let request = |number| format!("KeyFrameRequest {{ ssrc: 1111, full: {}, number: {number} }}", !pli);
        let expected = match (pli, fir) {
            (true, _) => vec![request(0), request(0)],
            (_, true) => vec![request(1), request(2)],
            _ => vec![],
        };
        assert_eq!(requests, expected.iter().collect::<Vec<_>>());
    }
}

/// Send stamped packets for so long, 100 a second, each `slower` microseconds later than the one before; return the REMBs.
fn estimates(pair: &mut Pair, from: u64, count: u64, slower: Micros) -> Vec<String> {
    for each in from..from + count {
        let sent = each * 10 * MS;
        let stamp = ((sent << 18) / SECOND) as u32 & 0xFF_FFFF;
        let payload = [KEY_FRAME, &[0; 1100]].concat();
        let packet = extended(1111, 96, each, 0, true, &payload, &[(5, &stamp.to_be_bytes()[1..])]);
        pair.world.datagram(&pair.publisher.rtp(&packet, each), pair.publisher.tuple);
        pair.world.after(10 * MS + slower);
    }
    pair.publisher.told(&mut pair.world).into_iter().filter(|each| each.starts_with("Remb")).collect()
}

fn remb(order: &mut AddProducer) {
    order.remb = true;
    order.extensions.push((packet_plane::extensions::ABS_SEND_TIME.into(), 5));
    order.extensions.push((packet_plane::extensions::TRANSPORT_CC.into(), 6));
}

#[test]
fn senders_that_understand_nothing_better_are_told_an_estimate_each_second_and_at_once_when_it_falls() {
    let mut pair = Pair::changed(remb);
    let told = estimates(&mut pair, 1, 500, 0);
    assert!((3..=5).contains(&told.len()), "{told:?}");
    let bitrates = |told: &[String]| -> Vec<u64> {
        told.iter().map(|each| each.split([' ', ',']).nth(3).unwrap().parse().unwrap()).collect()
    };
    let before = bitrates(&told);
    assert!(before.iter().all(|each| (900_000..2_000_000).contains(each)), "{before:?}");
    let told = estimates(&mut pair, 501, 150, 3 * MS);
    assert!(told.len() >= 3, "more than one a second: {told:?}");
    assert!(bitrates(&told).iter().min() < before.iter().min(), "{told:?} after {before:?}");
    pair.world.after(3 * SECOND);
    pair.publisher.got(&mut pair.world);
    pair.world.after(3 * SECOND);
    let told = pair.publisher.told(&mut pair.world);
    assert!(!told.is_empty() && !told.iter().any(|each| each.starts_with("Remb")), "silent: {told:?}");
}

#[test]
fn who_is_given_feedback_on_each_packet_is_told_no_estimate() {
    let mut pair = Pair::changed(|order| {
        remb(order);
        order.transport_cc = true;
    });
    assert_eq!(estimates(&mut pair, 1, 500, 0), Vec::<String>::new());
    let mut pair = Pair::changed(|order| {
        remb(order);
        order.remb = false;
    });
    assert_eq!(estimates(&mut pair, 1, 500, 0), Vec::<String>::new());
}
