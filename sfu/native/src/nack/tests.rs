//! What is asked for and when, beside mediasoup's vectors.

use super::*;

const MS: Micros = 1000;

fn asked(nack: &mut NackGenerator, now: Micros, round_trip: Option<Micros>) -> (Vec<u64>, bool) {
    let mut numbers = Vec::new();
    let in_vain = nack.due(now, round_trip, &mut numbers);
    (numbers, in_vain)
}

#[test]
fn a_late_packet_is_not_asked_for() {
    let mut nack = NackGenerator::new();
    assert!(nack.received(10, false, 0) && nack.received(12, false, 0));
    assert!(nack.misses(11) && !nack.misses(10) && nack.next_due() == Some(10 * MS));
    assert_eq!(asked(&mut nack, 9 * MS, None), (vec![], false));
    assert!(nack.received(11, false, 9 * MS), "late, and passed on");
    assert!(!nack.received(11, false, 9 * MS), "but once");
    assert!(!nack.received(12, false, 9 * MS) && !nack.received(3, false, 9 * MS));
    assert!(nack.is_empty() && nack.next_due().is_none() && nack.missing.capacity() == 0);
    assert_eq!(asked(&mut nack, 50 * MS, None), (vec![], false));
}

#[test]
fn a_lost_packet_is_asked_for_ten_times_and_then_given_up() {
    let mut nack = NackGenerator::new();
    nack.received(10, false, 0);
    nack.received(13, false, 0);
    let mut times = Vec::new();
    let given_up = loop {
        let now = nack.next_due().expect("something is missing");
        match asked(&mut nack, now, None) {
            (numbers, false) => assert_eq!(numbers, [11, 12]),
            (numbers, true) => break (numbers, now),
        }
        times.push(now);
    };
    assert_eq!(times, (0..10).map(|each| (10 + 40 * each) * MS).collect::<Vec<_>>());
    assert_eq!(given_up, (vec![], 410 * MS));
    assert!(nack.is_empty() && nack.missing.capacity() == 0);
}

#[test]
fn a_long_round_trip_spaces_the_requests() {
    for (round_trip, pause) in [(0, 40), (40, 40), (41, 51), (100, 125), (320, 400), (90_000, 400)] {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(12, false, 0);
        asked(&mut nack, 10 * MS, Some(round_trip * MS));
        assert_eq!(nack.next_due().map(|at| at / MS), Some(10 + pause), "round trip {round_trip} ms");
    }
    let mut nack = NackGenerator::new();
    nack.received(10, false, 0);
    nack.received(12, false, 0);
    asked(&mut nack, 10 * MS, Some(Micros::MAX));
    assert_eq!(nack.next_due(), Some(410 * MS));
}

#[test]
fn over_a_long_round_trip_it_is_too_late_after_two_seconds() {
    for (round_trip, requests, given_up) in [(40, 10, 410), (160, 10, 2010), (320, 5, 2010), (2000, 5, 2010)] {
        let mut nack = NackGenerator::new();
        nack.received(10, false, 0);
        nack.received(12, false, 0);
        let mut times = Vec::new();
        while let Some(now) = nack.next_due() {
            asked(&mut nack, now, Some(round_trip * MS));
            times.push(now / MS);
        }
        assert_eq!((times.len() - 1, times.last()), (requests, Some(&given_up)), "round trip {round_trip} ms");
    }
}

#[test]
fn only_a_key_frame_helps_after_a_large_gap() {
    let mut nack = NackGenerator::new();
    nack.received(10, false, 0);
    assert!(!nack.overflows(1011) && nack.overflows(1012) && !nack.overflows(9));
    nack.received(12, false, 0);
    assert!(!nack.overflows(1012) && nack.overflows(1013), "what is missing already counts");
    assert!(nack.received(1013, false, 0));
    assert!(nack.is_empty() && !nack.received(500, false, 0));
}

#[test]
fn what_was_before_the_last_key_frame_is_moot_with_the_next() {
    let mut nack = NackGenerator::new();
    nack.received(10, false, 0);
    nack.received(12, true, 0);
    nack.received(14, false, 0);
    assert!(nack.misses(11) && nack.misses(13));
    nack.received(15, true, 0);
    assert!(!nack.misses(11) && nack.misses(13));
    assert!(!nack.received(11, false, 0), "moot, so it is not passed on either");
}

#[test]
fn what_was_before_a_key_frame_is_given_up_without_regret() {
    for (key_frame, regret) in [(12, false), (10, true)] {
        let mut nack = NackGenerator::new();
        nack.received(10, key_frame == 10, 0);
        nack.received(12, key_frame == 12, 0);
        let in_vain: Vec<bool> = (0..11).map(|each| asked(&mut nack, (10 + 40 * each) * MS, None).1).collect();
        assert_eq!((in_vain[10], nack.is_empty()), (regret, true), "key frame {key_frame}");
    }
}

#[test]
fn numbers_that_become_missing_later_are_asked_for_later() {
    let mut nack = NackGenerator::new();
    nack.received(10, false, 0);
    nack.received(12, false, 0);
    nack.received(14, false, 5 * MS);
    assert_eq!(asked(&mut nack, 10 * MS, None).0, [11]);
    assert_eq!(nack.next_due(), Some(15 * MS));
    assert_eq!(asked(&mut nack, 50 * MS, None).0, [11, 13]);
}

/// mediasoup's cases ask without a delay: here the question is put when the delay is over and the interval is not.
#[test]
fn the_vectors_hold() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/nack_generator.json")).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let (mut nack, mut highest) = (NackGenerator::new(), None);
        for packet in case["packets"].as_array().unwrap() {
            let number = |key: &str| packet[key].as_u64().unwrap();
            let nearest = |highest: u64| {
                highest.wrapping_add_signed(i64::from((number("seq") as u16).wrapping_sub(highest as u16) as i16))
            };
            let extended = highest.map_or(number("seq") + 0x10000, nearest);
            highest = highest.max(Some(extended));
            let flag = |key: &str| packet[key].as_bool().unwrap();
            assert_eq!(nack.overflows(extended), flag("keyFrameRequired"), "{case} at {packet}");
            nack.received(extended, flag("isKeyFrame"), 1000 * MS);
            let (numbers, _) = asked(&mut nack, 1010 * MS, None);
            assert_eq!(numbers.len() as u64, number("numNacked"), "{case} at {packet}");
            assert_eq!(numbers.first().map_or(0, |each| each & 0xFFFF), number("firstNacked"), "{case} at {packet}");
            assert_eq!(nack.len() as u64, number("nackListSize"), "{case} at {packet}");
        }
    }
}
