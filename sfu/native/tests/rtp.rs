//! RTP headers, read and written. Vectors: rtp_packets.json, raw_files.json, fuzz_corpus_rtp.json.
//!
//! Of rtp_packets.json not used: "NACK one packet" expects nothing of its packet but that it is one; "set One-Byte header
//! extensions" goes on to set extensions in place, which we never do (a header is written anew); which form a block had and
//! whether a length is a multiple of four is told to nobody. Of raw_files.json not used:
//! packet1.raw's `payloadLength` of 33 (its 54 bytes hold 20 of header and 34 of payload), H264_SVC layers.

mod golden;

use golden::{bytes, cases, packet};
use packet_plane::rtp::{Header, MAX_EXTENSIONS, RtpError, header_length, parse, write_header};
use serde_json::Value;

fn rewritten(header: &Header, packet: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (extensions, csrcs) = (header.extensions.iter(packet), header.csrc_bytes(packet));
    let (marker, payload_type) = (header.marker, header.payload_type);
    write_header(&mut out, marker, payload_type, header.sequence, header.timestamp, header.ssrc, csrcs, extensions);
    out.extend_from_slice(header.payload(packet));
    out
}

fn written(extensions: &[(u8, &[u8])]) -> Vec<u8> {
    let mut out = Vec::new();
    write_header(&mut out, true, 96, 1, 2, 3, &[], extensions.iter().copied());
    out
}

#[test]
fn golden_packets_are_read() {
    let mut compared = 0;
    for case in cases("rtp_packets.json") {
        let data = packet(&case);
        let header = parse(&data).unwrap();
        let block = header_length(&data).unwrap() - 12 - 4 * usize::from(header.csrcs);
        let says = |name: &str| -> Option<Value> {
            Some(match name {
                "payloadType" | "PayloadType" => header.payload_type.into(),
                "hasMarker" | "HasMarker" => header.marker.into(),
                "seqNumber" | "SequenceNumber" => header.sequence.into(),
                "timestamp" | "Timestamp" => header.timestamp.into(),
                "ssrc" | "Ssrc" => header.ssrc.into(),
                "hasCsrcs" => (header.csrcs > 0).into(),
                "hasHeaderExtension" | "HasHeaderExtension" => (block > 0).into(),
                "headerExtensionValueLength" | "HeaderExtensionLength" => block.saturating_sub(4).into(),
                "hasPayload" => (!header.payload(&data).is_empty()).into(),
                "payloadLength" | "PayloadLength" => header.payload(&data).len().into(),
                "hasPadding" => (header.padding > 0).into(),
                "paddingLength" | "PayloadPadding" => header.padding.into(),
                "HasExtension(1)" if block > 0 => header.extensions.get(1, &data).is_some().into(),
                "HasExtension(2)" if block > 0 => header.extensions.get(2, &data).is_some().into(),
                "HasExtension(3)" => header.extensions.get(3, &data).is_some().into(),
                "HasExtension(4)" => header.extensions.get(4, &data).is_some().into(),
                "HasExtension(5)" => header.extensions.get(5, &data).is_some().into(),
                _ => return None,
            })
        };
        let expect = case["expect"].as_object().unwrap();
        let fields = expect.get("fields").and_then(Value::as_object).into_iter().flatten();
        for (name, value) in expect.iter().chain(fields) {
            if let Some(said) = says(name) {
                assert_eq!(said, *value, "{name} of {}", case["name"]);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 49);
}

#[test]
fn captured_packets_are_read_and_written_back_byte_for_byte() {
    for case in cases("raw_files.json") {
        let data = packet(&case);
        let header = parse(&data).unwrap();
        if let Some(expect) = case["expect"].as_object() {
            assert_eq!(expect["payloadType"], header.payload_type);
            assert_eq!(expect["seq"], header.sequence);
            assert_eq!(expect["timestamp"], header.timestamp);
            assert_eq!(expect["ssrc"], header.ssrc);
            let extensions = expect["extensions"].as_object().unwrap();
            assert_eq!(header.extensions.len(), extensions.len());
            for (id, value) in extensions {
                let found = header.extensions.get(id.parse().unwrap(), &data).unwrap();
                assert_eq!(found, bytes(value.as_str().unwrap()), "{}", case["file"]);
            }
        }
        // In packet3.raw the elements end with padding, as ours do.
        assert_eq!(rewritten(&header, &data), data, "{}", case["file"]);
    }
}

#[test]
fn a_two_byte_block_of_small_values_is_written_in_the_one_byte_form() {
    let data = bytes("9001000800000004000000051000000301000201ff000304ffffffff11111111");
    let header = parse(&data).unwrap();
    // An empty value exists in the two-byte form only: without it the rest fits the shorter one.
    assert_eq!(header.extensions.get(1, &data), Some(&[][..]));
    assert_eq!(rewritten(&header, &data), bytes("9001000800000004000000051000000301000201ff0304ffffffff0011111111"));
    assert_eq!(written(&[(2, &[0xFF]), (3, &[0xFF; 4])])[12..], bytes("bede000220ff33ffffffff00"));
}

#[test]
fn the_form_follows_from_the_elements() {
    assert_eq!(written(&[]), bytes("80e000010000000200000003"));
    assert_eq!(written(&[(14, &[7; 16])])[12..17], bytes("bede0005ef"));
    assert_eq!(written(&[(15, &[7])])[12..], bytes("100000010f010700"));
    assert_eq!(written(&[(1, &[7; 17])])[12..18], bytes("100000050111"));
    assert_eq!(written(&[(1, &[])])[12..], bytes("1000000101000000"));
}

#[test]
fn values_and_sources_that_no_header_holds_are_cut() {
    let mut out = vec![9];
    write_header(&mut out, false, 0xFF, 0, 0, 0, &[1; 70], [(1, &[5; 300][..])].into_iter());
    assert_eq!(out.remove(0), 9);
    let header = parse(&out).unwrap();
    assert_eq!((header.payload_type, header.marker, header.csrcs), (127, false, 15));
    assert_eq!(header.extensions.get(1, &out), Some(&[5; 255][..]));
    assert_eq!(header.payload_at, out.len());
}

#[test]
fn padding_is_counted_and_not_written() {
    let data = bytes("a0010008000000040000000511223300000003");
    let header = parse(&data).unwrap();
    assert_eq!((header.payload(&data), header.padding), (&[0x11, 0x22, 0x33, 0][..], 3));
    assert_eq!(rewritten(&header, &data), bytes("80010008000000040000000511223300"));
}

#[test]
fn padding_that_contradicts_the_length_is_an_error() {
    assert_eq!(parse(&bytes("a001000800000004000000051100")), Err(RtpError::Padding));
    assert_eq!(parse(&bytes("a001000800000004000000051103")), Err(RtpError::Padding));
    assert_eq!(parse(&bytes("a00100080000000400000005")), Err(RtpError::Padding));
    assert!(parse(&bytes("a001000800000004000000051102")).unwrap().payload(&[0; 14]).is_empty());
}

#[test]
fn a_header_that_goes_beyond_the_end_is_an_error() {
    for hex in ["", "80", "8001000800000004000000", "810100080000000400000005", "900100080000000400000005bede00"] {
        assert_eq!(parse(&bytes(hex)), Err(RtpError::Short), "{hex}");
    }
    assert_eq!(header_length(&bytes("900100080000000400000005bede000110ff00")), Err(RtpError::Short));
    assert_eq!(header_length(&bytes("900100080000000400000005bede000110ff0000aa")), Ok(20));
    assert_eq!(parse(&bytes("400100080000000400000005")), Err(RtpError::Version));
    assert_eq!(parse(&vec![0x80; 65536]), Err(RtpError::Long));
}

#[test]
fn elements_end_at_the_first_that_does_not_fit() {
    let read = |hex: &str| {
        let data = bytes(hex);
        let header = parse(&data).unwrap();
        header.extensions.iter(&data).map(|(id, value)| (id, value.to_vec())).collect::<Vec<_>>()
    };
    assert_eq!(read("900100080000000400000005bede000110aa3fbb"), [(1, vec![0xAA])]);
    assert_eq!(read("900100080000000400000005bede000110aaf010"), [(1, vec![0xAA])]);
    assert_eq!(read("9001000800000004000000051005000101000209"), [(1, vec![])]);
    assert_eq!(read("900100080000000400000005beef000110aa0000"), []);
}

#[test]
fn no_more_elements_are_read_than_a_header_has_room_for() {
    let elements: Vec<(u8, &[u8])> = (1..=30).map(|id| (id, &[1][..])).collect();
    let data = written(&elements);
    let header = parse(&data).unwrap();
    assert_eq!(header.extensions.len(), MAX_EXTENSIONS);
    assert!(header.extensions.get(20, &data).is_some() && header.extensions.get(21, &data).is_none());
    assert_eq!(header.payload_at, data.len());
}
