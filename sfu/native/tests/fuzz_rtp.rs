//! RTP and RTCP under whatever a network brings: nothing panics, what is read is written and read again equal, no length goes
//! beyond its packet. Seeds: tests/corpora and fuzzer_crash_inputs.json.
//!
//! bolero draws its seeds anew in each run and prints the one that failed; the same mutations are made with a fixed seed, too.

mod golden;

use packet_plane::payload::Codec;
use packet_plane::{rtcp, rtp, twcc};
use std::collections::BTreeSet;

fn corpus(kind: &str) -> Vec<Vec<u8>> {
    let mut seeds: Vec<_> = golden::folder(kind).into_iter().map(|(_, packet)| packet).collect();
    seeds.extend(golden::cases("fuzzer_crash_inputs.json").iter().map(golden::packet));
    assert!(seeds.len() > 10);
    seeds
}

/// Make a packet of random bytes: a seed with some bytes changed and its end cut or grown, or those bytes themselves.
fn mutated(random: &[u8], seeds: &[Vec<u8>]) -> Vec<u8> {
    let Some((&[kind, which, cut], edits)) = random.split_first_chunk() else {
        return random.to_vec();
    };
    if kind < 32 {
        return edits.to_vec();
    }
    let mut packet = seeds[usize::from(which) % seeds.len()].clone();
    if kind < 96 {
        packet.truncate(usize::from(cut));
    } else if kind < 128 {
        packet.resize(packet.len() + usize::from(cut) % 32, cut);
    }
    for edit in edits.chunks_exact(3).take(usize::from(kind % 8)) {
        let at = usize::from(u16::from_be_bytes([edit[0], edit[1]])) % packet.len().clamp(1, 64);
        if let Some(byte) = packet.get_mut(at) {
            *byte = edit[2];
        }
    }
    packet
}

fn fixed(seeds: &[Vec<u8>], each: fn(&[u8])) {
    seeds.iter().for_each(|seed| each(seed));
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..20_000 {
        let random: [u8; 32] = std::array::from_fn(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        });
        each(&mutated(&random, seeds));
    }
}

fn rtp_holds(packet: &[u8]) {
    let length = rtp::header_length(packet);
    assert!(length.is_err() || length.unwrap() <= packet.len());
    let Ok(header) = rtp::parse(packet) else { return };
    assert_eq!(length, Ok(header.payload_at));
    assert!(header.payload_at + header.padding <= packet.len());
    assert_eq!(header.payload(packet).len(), packet.len() - header.payload_at - header.padding);
    let header_end = packet.as_ptr_range().start.wrapping_add(header.payload_at);
    assert!(header.extensions.iter(packet).all(|(_, value)| value.as_ptr_range().end <= header_end));
    for codec in [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1] {
        codec.begins_key_frame(header.payload(packet));
    }

    let written = rewrite(&header, packet);
    let again = rtp::parse(&written).unwrap();
    let said =
        |header: &rtp::Header| (header.marker, header.payload_type, header.sequence, header.timestamp, header.ssrc);
    assert_eq!(said(&again), said(&header));
    assert_eq!(again.csrc_bytes(&written), header.csrc_bytes(packet));
    assert!(again.extensions.iter(&written).eq(header.extensions.iter(packet)));
    assert_eq!(again.payload(&written), header.payload(packet));
    assert_eq!(rewrite(&again, &written), written);
}

fn rewrite(header: &rtp::Header, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (extensions, csrcs) = (header.extensions.iter(packet), header.csrc_bytes(packet));
    let (marker, payload_type) = (header.marker, header.payload_type);
    rtp::write_header(
        &mut out,
        marker,
        payload_type,
        header.sequence,
        header.timestamp,
        header.ssrc,
        csrcs,
        extensions,
    );
    out.extend_from_slice(header.payload(packet));
    out
}

fn rtcp_holds(compound: &[u8]) {
    rtcp::parse(compound, &mut |packet| {
        let mut out = Vec::new();
        match packet.clone() {
            rtcp::Packet::SenderReport { ssrc, ntp, timestamp, packets, octets } => {
                rtcp::write_sender_report(&mut out, ssrc, ntp, timestamp, packets, octets, "name");
            }
            rtcp::Packet::Report(report) => rtcp::write_receiver_reports(&mut out, &[report]),
            rtcp::Packet::Nack(nack) => {
                assert!(nack.iter().count() <= rtcp::MAX_NACKED);
                rtcp::write_nack(&mut out, nack.ssrc, nack.iter());
            }
            rtcp::Packet::KeyFrameRequest { ssrc, full: true, number } => rtcp::write_fir(&mut out, ssrc, number),
            rtcp::Packet::KeyFrameRequest { ssrc, .. } => rtcp::write_pli(&mut out, ssrc),
            rtcp::Packet::Goodbye { ssrcs } => return assert!(4 * ssrcs.count() <= compound.len()),
            rtcp::Packet::TransportCc(body) => {
                feedback_holds(body);
                rtcp::write_transport_cc(&mut out, 1, body);
            }
            rtcp::Packet::Remb { bitrate, ssrcs } => rtcp::write_remb(&mut out, bitrate, &ssrcs.collect::<Vec<_>>()),
            // Ours are from OWN_SSRC alone.
            rtcp::Packet::ReceiverReference { ssrc, .. } if ssrc != rtcp::OWN_SSRC => return,
            rtcp::Packet::ReceiverReference { ntp, .. } => rtcp::write_receiver_reference(&mut out, ntp),
            rtcp::Packet::Dlrr { ssrc, last, delay } => rtcp::write_dlrr(&mut out, 1, ssrc, last, delay),
        }
        assert_eq!(out.len() % 4, 0);
        let mut read = 0;
        rtcp::parse(&out, &mut |again| {
            read += 1;
            match (&packet, &again) {
                // The order of what is named twice or backwards is not kept.
                (rtcp::Packet::Nack(before), rtcp::Packet::Nack(after)) => {
                    assert_eq!(before.ssrc, after.ssrc);
                    assert_eq!(before.iter().collect::<BTreeSet<_>>(), after.iter().collect());
                }
                (rtcp::Packet::TransportCc(before), rtcp::Packet::TransportCc(after)) => {
                    assert!(after.starts_with(before))
                }
                _ => assert_eq!(packet, again),
            }
        });
        assert_eq!(read, 1);
    });
}

/// Hold that a feedback which is read tells of as many packets as it says, and is written and read again equal.
fn feedback_holds(body: &[u8]) {
    let Ok(feedback) = twcc::parse_feedback(body) else {
        return;
    };
    assert_eq!(feedback.iter().count(), usize::from(feedback.statuses));
    let arrivals = arrivals(&feedback);
    let negative = feedback.reference < 0 || arrivals.iter().flatten().any(|at| *at < 0);
    if negative || feedback.reference >= 1 << 22 || arrivals.len() > 400 {
        return;
    }
    let mut out = Vec::new();
    let ticks = arrivals.iter().map(|arrival| arrival.map(|at| at as u64));
    twcc::write_feedback(&mut out, feedback.base, ticks, feedback.count);
    let again = twcc::parse_feedback(&out).unwrap();
    assert_eq!((again.base, again.statuses, again.count), (feedback.base, feedback.statuses, feedback.count));
    assert_eq!(self::arrivals(&again), arrivals);
}

fn arrivals(feedback: &twcc::Feedback<'_>) -> Vec<Option<i64>> {
    let mut at = i64::from(feedback.reference) * 256;
    let row = |(_, delta): (u16, Option<i16>)| {
        at += i64::from(delta.unwrap_or(0));
        delta.map(|_| at)
    };
    feedback.iter().map(row).collect()
}

#[test]
fn rtp_of_the_corpora_and_around_it() {
    fixed(&corpus("rtp"), rtp_holds);
}

#[test]
fn rtcp_of_the_corpora_and_around_it() {
    fixed(&corpus("rtcp"), |packet| {
        rtcp_holds(packet);
        feedback_holds(packet);
    });
}

#[test]
fn rtp_of_any_bytes() {
    let seeds = corpus("rtp");
    bolero::check!().with_iterations(20_000).for_each(|random: &[u8]| rtp_holds(&mutated(random, &seeds)));
}

#[test]
fn rtcp_of_any_bytes() {
    let seeds = corpus("rtcp");
    bolero::check!().with_iterations(20_000).for_each(|random: &[u8]| {
        let packet = mutated(random, &seeds);
        rtcp_holds(&packet);
        feedback_holds(&packet);
    });
}
