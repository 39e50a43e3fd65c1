//! Transport-wide feedback, gathered, written and read. Vectors: twcc_receiver_feedback.json (all of it).

mod golden;

use golden::{bytes, cases};
use packet_plane::Micros;
use packet_plane::twcc::*;
use serde_json::{Value, json};

/// Read a body's packets: number, whether it came, and when in microseconds (0: not).
fn packets(body: &[u8]) -> Vec<Value> {
    let feedback = parse_feedback(body).unwrap();
    let mut at = i64::from(feedback.reference) * 64_000;
    let row = |(sequence, delta): (u16, Option<i16>)| {
        at += i64::from(delta.unwrap_or(0)) * TICK as i64;
        json!([sequence, delta.is_some(), if delta.is_some() { at } else { 0 }])
    };
    feedback.iter().map(row).collect()
}

fn bodies(transport: &mut TransportCc, now: Micros) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    transport.feedback(now, &mut |body| all.push(body.to_vec()));
    assert!(!transport.pending());
    all
}

#[test]
fn golden_arrivals_are_reported() {
    for case in cases("twcc_receiver_feedback.json") {
        let (mut transport, mut feedbacks, mut began, mut last) = (TransportCc::new(), Vec::new(), None, 0);
        for arrival in case["arrivals[wideSeq,nowUs]"].as_array().unwrap() {
            let now = arrival[1].as_u64().unwrap();
            if now - *began.get_or_insert(now) >= INTERVAL {
                feedbacks.extend(bodies(&mut transport, now));
                began = Some(now);
            }
            transport.received(arrival[0].as_u64().unwrap() as u16, now);
            last = now;
        }
        feedbacks.extend(bodies(&mut transport, last));
        let read: Vec<Value> = feedbacks.iter().map(|body| packets(body).into()).collect();
        assert_eq!(Value::from(read), case["feedbacks[wideSeq,received,timestampUs]"], "{}", case["name"]);
    }
}

#[test]
fn runs_vectors_and_deltas_of_both_sizes_are_written_as_the_reference_does() {
    let mut body = Vec::new();
    let near = [Some(1000), Some(1004), None, Some(1003)];
    write_feedback(&mut body, 65535, near.into_iter(), 7);
    // Statuses: small, small, none, large (backwards); reference 3 · 64 ms; deltas 232, 4, -1.
    assert_eq!(body, bytes("ffff000400000307d480e804ffff0000"));
    body.clear();
    write_feedback(&mut body, 1, (0..9).map(|_| None).chain([Some(512)]), 0);
    assert_eq!(body, bytes("0001000a000002000009d00000000000"));
}

#[test]
fn a_pause_longer_than_a_delta_begins_another_feedback() {
    let mut transport = TransportCc::new();
    transport.received(10, 1_000_000);
    transport.received(11, 10_000_000);
    let written = bodies(&mut transport, 10_000_000);
    let read: Vec<_> = written.iter().map(|body| packets(body)).collect();
    assert_eq!(read, [[json!([10, true, 1_000_000])], [json!([11, true, 10_000_000])]]);
    assert_eq!((written[0][7], written[1][7]), (0, 1));
}

#[test]
fn numbers_wrap_and_a_late_packet_before_the_first_counts() {
    let mut transport = TransportCc::new();
    for sequence in [0, 65535, 1] {
        transport.received(sequence, 64_000);
    }
    let feedback = bodies(&mut transport, 100_000);
    assert_eq!(packets(&feedback[0]), [json!([65535, true, 64000]), json!([0, true, 64000]), json!([1, true, 64000])]);
}

#[test]
fn what_was_reported_half_a_second_ago_is_forgotten() {
    let mut transport = TransportCc::new();
    transport.received(1, 1_000_000);
    transport.received(3, 1_000_000);
    bodies(&mut transport, 1_100_000);
    transport.received(1, 1_200_000);
    assert!(!transport.pending(), "it came before");
    bodies(&mut transport, 1_600_000);
    transport.received(2, 1_600_000);
    assert_eq!(packets(&bodies(&mut transport, 1_600_000)[0]), [json!([2, true, 1_600_000])]);
}

#[test]
fn a_jump_begins_anew_and_bodies_stay_under_a_thousand_bytes() {
    let mut transport = TransportCc::new();
    transport.received(0, 0);
    transport.received(2000, 0);
    assert_eq!(packets(&bodies(&mut transport, 0)[0]), [json!([2000, true, 0])]);
    for step in 1..=4 {
        transport.received(2000 + 999 * step, u64::from(step) * 1_000_000);
    }
    let written = bodies(&mut transport, 4_000_000);
    assert_eq!(written.len(), 10);
    assert!(written.iter().all(|body| body.len() < 1000));
    // Whoever goes on skipping is not told of what he skipped.
    for step in 5..=9 {
        transport.received(2000 + 999 * step, u64::from(step) * 1_000_000);
    }
    assert_eq!(packets(&bodies(&mut transport, 9_000_000)[0]).len(), 1);
}

#[test]
fn what_is_not_all_there_is_no_feedback() {
    let whole = bytes("ffff000400000307d480e804ffff0000");
    let feedback = parse_feedback(&whole).unwrap();
    assert_eq!(feedback.iter().collect::<Vec<_>>(), [(65535, Some(232)), (0, Some(4)), (1, None), (2, Some(-1))]);
    for cut in 0..14 {
        assert_eq!(parse_feedback(&whole[..cut]), Err(FeedbackError::Short));
    }
    assert_eq!(
        parse_feedback(&bytes("0000000100000000c00000ffffff3000")),
        Ok(parse_feedback(&bytes("0000000100000000c000")).unwrap())
    );
    assert_eq!(parse_feedback(&bytes("00000001000000006001000000000000")), Err(FeedbackError::Reserved));
    assert_eq!(parse_feedback(&bytes("0000000100000000f000000000000000")), Err(FeedbackError::Reserved));
    assert_eq!(parse_feedback(&bytes("0000ffff000000001fff1fff1fff")), Err(FeedbackError::Short));
}
