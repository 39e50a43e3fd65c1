//! What is kept of a stream and for how long, beside mediasoup's vectors.

use super::*;
use crate::reception::Reception;
use crate::rtp::Extensions;

const MS: Micros = 1000;

fn packet(extended: u64, arrived: Micros, timestamp: u32, pool: &mut Pool) -> Packet {
    let header = Header {
        marker: false,
        payload_type: 96,
        sequence: extended as u16,
        timestamp,
        ssrc: 7,
        csrcs: 0,
        payload_at: 8,
        padding: 0,
        extensions: Extensions::NONE,
    };
    let data = pool.join(&extended.to_be_bytes(), &[]);
    Packet { extended, arrived, timestamp, marker: false, payload_type: 96, key_frame: false, data, header }
}

fn insert(history: &mut History, extended: u64, arrived: Micros, pool: &mut Pool) {
    let packet = packet(extended, arrived, extended as u32 * 90, pool);
    history.insert(packet, pool);
}

fn kept(history: &History, numbers: impl Iterator<Item = u64>, now: Micros) -> Vec<u64> {
    numbers.filter(|each| history.get(*each, now).is_some_and(|packet| packet.data == each.to_be_bytes())).collect()
}

#[test]
fn a_packet_is_there_until_it_is_too_old() {
    let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
    insert(&mut history, 70_000, 0, &mut pool);
    insert(&mut history, 70_002, 500 * MS, &mut pool);
    insert(&mut history, 70_001, 600 * MS, &mut pool);
    assert_eq!(kept(&history, 69_990..70_010, 2000 * MS), [70_000, 70_001, 70_002]);
    assert_eq!(kept(&history, 69_990..70_010, 2001 * MS), [70_001, 70_002]);
    assert_eq!(kept(&history, 69_990..70_010, 2501 * MS), [70_001], "late, so younger than the next");
    assert_eq!(history.len(), 3);
    history.expire(2001 * MS, &mut pool);
    assert_eq!(history.len(), 2);
    history.expire(2601 * MS, &mut pool);
    assert_eq!((history.len(), history.bytes()), (0, 0));
}

#[test]
fn the_newest_thousand_are_kept() {
    let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
    for each in 65_536..70_000 {
        insert(&mut history, each, 0, &mut pool);
    }
    assert_eq!(kept(&history, 65_536..70_100, 0), (69_000..70_000).collect::<Vec<_>>());
    insert(&mut history, 68_500, 0, &mut pool);
    assert_eq!((history.len(), history.get(68_500, 0).is_some()), (1000, true), "late");
    assert_eq!(kept(&history, 68_501..70_000, 0), (69_001..70_000).collect::<Vec<_>>());
    insert(&mut history, 67_900, 0, &mut pool);
    assert!(history.get(67_900, 0).is_none(), "far too late");
    insert(&mut history, 73_000, 0, &mut pool);
    assert_eq!((history.len(), history.get(73_000, 0).is_some()), (1, true), "nothing before the gap is in reach");
}

#[test]
fn a_second_packet_with_a_number_replaces_the_first() {
    let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
    insert(&mut history, 70_000, 0, &mut pool);
    insert(&mut history, 70_000, 9, &mut pool);
    assert_eq!((history.len(), history.get(70_000, 9).map(|packet| packet.arrived)), (1, Some(9)));
    insert(&mut history, 69_999, 9, &mut pool);
    assert_eq!(kept(&history, 69_990..70_010, 9), [69_999, 70_000], "one from before the first");
}

#[test]
fn memory_follows_what_is_kept() {
    let (mut history, mut pool) = (History::new(1000 * MS), Pool::default());
    assert_eq!(history.bytes(), 0);
    insert(&mut history, 70_000, 0, &mut pool);
    let small = history.bytes();
    for each in 1..2000 {
        insert(&mut history, 70_000 + each, each * MS, &mut pool);
    }
    let large = history.bytes();
    assert!(large > 50 * small && history.len() == 1000, "{small} {large}");
    insert(&mut history, 72_000, 2990 * MS, &mut pool);
    history.expire(2990 * MS, &mut pool);
    assert!(history.bytes() < large / 20 && history.len() == 11, "{small} {}", history.bytes());
    assert_eq!(kept(&history, 71_000..73_000, 2990 * MS), (71_990..72_001).collect::<Vec<_>>());
    history.clear(&mut pool);
    assert_eq!((history.len(), history.bytes(), history.get(72_000, 0).is_none()), (0, 0, true));
    assert!(pool.bytes() > 0, "buffers go back");
}

#[test]
fn a_stream_that_begins_anew_replaces_the_old_one() {
    let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
    insert(&mut history, 70_000, 0, &mut pool);
    let anew = packet(150_000, 0, 5, &mut pool); // its timestamps are older
    history.insert(anew, &mut pool);
    assert_eq!(kept(&history, 60_000..160_000, 0), [150_000]);
}

#[test]
fn any_order_leaves_what_is_young_and_within_reach() {
    let (mut history, mut pool, mut random) = (History::bounded(50, 10), Pool::default(), 1_u64);
    for now in 0..20_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let extended = 70_000 + now / 3 + (random >> 33) % 12;
        insert(&mut history, extended, now, &mut pool);
        assert_eq!(history.get(extended, now).map(|packet| packet.arrived), Some(now));
        assert!(history.len() <= 10 && history.slots.len() <= 32);
        assert_eq!(history.len(), history.slots.iter().flatten().count());
        if random >> 60 == 0 {
            history.expire(now + (random >> 40) % 60, &mut pool);
        }
    }
}

/// mediasoup's buffer is of 16-bit numbers: here each is taken for the one nearest to the newest. Its buffer refuses a number
/// that is far ahead with an older timestamp; in this plane `Reception` has refused that before (RFC 3550 A.1), and what it
/// takes for a stream that begins anew must be kept.
#[test]
fn the_vectors_hold() {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../../tests/vectors/retransmission_buffer.json")).unwrap();
    for case in vectors["cases"].as_array().unwrap() {
        let age = case["maxRetransmissionDelayMs"].as_u64().unwrap() * MS;
        let mut history = History::bounded(age, case["maxItems"].as_u64().unwrap() as usize);
        let (mut pool, mut reception) = (Pool::default(), Reception::new());
        for step in case["steps"].as_array().unwrap() {
            let number = |value: &serde_json::Value, key: &str| value[key].as_u64().unwrap();
            let extend = |sequence: u64| {
                let newest = if history.is_empty() { sequence + 0x20000 } else { history.newest };
                newest.wrapping_add_signed(i64::from((sequence as u16).wrapping_sub(newest as u16) as i16))
            };
            if let Some(insert) = step.get("insert") {
                let extended = extend(number(insert, "seq"));
                let taken = reception.received(number(insert, "seq") as u16, 0, 90_000, 0);
                if case["name"] == "packet with too old sequence number is discarded" && taken.is_none() {
                    continue;
                }
                let packet = packet(extended, 0, number(insert, "timestamp") as u32, &mut pool);
                history.insert(packet, &mut pool);
            } else {
                let slots = step["expect_slots"].as_array().unwrap();
                assert_eq!(history.len(), slots.len(), "{case}");
                for slot in slots {
                    let packet = history.get(extend(number(slot, "seq")), 0);
                    assert_eq!(packet.map(|each| u64::from(each.timestamp)), Some(number(slot, "timestamp")), "{case}");
                }
            }
        }
    }
}
