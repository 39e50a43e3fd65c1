//! The streams of the tests' calls: how they are ordered, and their packets.

use std::sync::Arc;

use packet_plane::counters::StreamCounters;
use packet_plane::extensions::MID;
use packet_plane::order::{AddConsumer, AddProducer, Codec};
use packet_plane::rtp;

/// A packet in plain.
pub fn packet(ssrc: u32, payload_type: u8, number: u64, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
    extended(ssrc, payload_type, number, timestamp, marker, payload, &[])
}

/// A packet in plain with header extensions.
pub fn extended(
    ssrc: u32,
    payload_type: u8,
    number: u64,
    timestamp: u32,
    marker: bool,
    payload: &[u8],
    extensions: &[(u8, &[u8])],
) -> Vec<u8> {
    let mut out = Vec::new();
    let extensions = extensions.iter().copied();
    rtp::write_header(&mut out, marker, payload_type, number as u16, timestamp, ssrc, &[], extensions);
    out.extend_from_slice(payload);
    out
}

/// A VP8 producer: ssrc 1111, RTX 2222 with payload type 97.
pub fn video(transport: &str, producer: &str) -> AddProducer {
    AddProducer {
        transport: transport.into(),
        producer: producer.into(),
        video: true,
        codecs: vec![Codec {
            mime_type: "video/VP8".into(),
            clock_rate: 90_000,
            payload_type: 96,
            mapped_payload_type: 101,
            rtx_payload_type: Some(97),
        }],
        extensions: vec![(MID.into(), 4)],
        ssrc: Some(1111),
        rtx_ssrc: Some(2222),
        mid: Some("0".into()),
        rid: None,
        nack: true,
        pli: true,
        fir: true,
        transport_cc: false,
        remb: false,
        paused: false,
        counters: Arc::<StreamCounters>::default(),
    }
}

/// A consumer of it: `ssrc`, and the next one for RTX with payload type 102.
pub fn consumer(transport: &str, producer: &str, ssrc: u32) -> AddConsumer {
    AddConsumer {
        transport: transport.into(),
        consumer: format!("{transport} of {producer}").into(),
        producer: producer.into(),
        ssrc,
        rtx_ssrc: Some(ssrc + 1),
        payload_types: vec![(101, Some(102))],
        extensions: vec![(MID.into(), 1)],
        mid: "7".into(),
        cname: "someone".into(),
        first_sequence: 65_000,
        first_rtx_sequence: 9,
        paused: false,
        counters: Arc::<StreamCounters>::default(),
    }
}
