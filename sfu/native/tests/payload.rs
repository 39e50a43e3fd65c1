//! Where key frames begin. Vectors: codec_payload_descriptors.json, raw_files.json.
//!
//! Of codec_payload_descriptors.json not used: "NALU 5" is a key frame to a reader of H264_SVC layers, while ours begins at
//! the SPS before it; "X flag is not set" (5080 11) was refused by an older reader and is read by the newer case of the same
//! name; picture ids and layers are the next version's.

mod golden;

use golden::{bytes, cases, packet};
use packet_plane::payload::{Codec, audio_level};
use packet_plane::rtp;

#[test]
fn golden_descriptors_tell_key_frames() {
    let mut compared = 0;
    for case in cases("codec_payload_descriptors.json") {
        let name = case["name"].as_str().unwrap();
        if name.ends_with("NALU 5") || case["hex"] == "508011" {
            continue;
        }
        let codec = if name.contains("VP8") { Codec::Vp8 } else { Codec::H264 };
        let expect = &case["expect"];
        let key_frame = match expect["isKeyFrame"].as_bool() {
            Some(key_frame) => key_frame,
            None => expect["$parsed"] == true && case["hex"] == "07801100",
        };
        assert_eq!(codec.begins_key_frame(&packet(&case)), key_frame, "{name}");
        compared += 1;
    }
    assert_eq!(compared, 8);
}

#[test]
fn of_captured_h264_only_the_sps_begins_a_key_frame() {
    for case in cases("raw_files.json") {
        let file = case["file"].as_str().unwrap();
        if file.starts_with("H264") {
            let data = packet(&case);
            let header = rtp::parse(&data).unwrap();
            assert_eq!(Codec::H264.begins_key_frame(header.payload(&data)), file.ends_with("I0-7.bin"), "{file}");
        }
    }
}

#[test]
fn codecs_are_known_by_their_mime_type_in_any_case() {
    assert_eq!(Codec::from_mime("VIDEO/h264"), Codec::H264);
    assert_eq!(["video/VP8", "video/VP9", "video/AV1"].map(Codec::from_mime), [Codec::Vp8, Codec::Vp9, Codec::Av1]);
    assert_eq!(Codec::from_mime("audio/opus"), Codec::Other);
    assert!(Codec::Av1.recognizable() && !Codec::Other.recognizable());
    assert!(!Codec::Other.begins_key_frame(&[0x10, 0]));
}

/// Hold that payloads begin a key frame, and that others do not.
fn begin_a_key_frame(codec: Codec, payloads: &[&str], others: &[&str]) {
    for hex in payloads {
        assert!(codec.begins_key_frame(&bytes(hex)), "{hex}");
    }
    for hex in others {
        assert!(!codec.begins_key_frame(&bytes(hex)), "{hex}");
    }
}

#[test]
fn vp8_begins_after_a_descriptor_of_any_length() {
    let others = ["", "1001", "0000", "1100", "90", "9080", "908080", "90808000"];
    begin_a_key_frame(Codec::Vp8, &["1000", "90800000", "9080800000", "90f08000000000", "90100000"], &others);
}

#[test]
fn vp9_begins_in_the_lowest_spatial_layer() {
    let others = ["", "48", "00", "28", "2802", "a8", "a885", "a80502"];
    begin_a_key_frame(Codec::Vp9, &["08", "2800", "28e1", "a80500", "a8850500"], &others);
}

#[test]
fn h264_begins_at_an_sps_alone_together_or_in_pieces() {
    let others = ["", "65", "78", "7800", "780001", "78000168", "78ffff6867", "7c07", "7c85", "7c"];
    begin_a_key_frame(Codec::H264, &["67", "780001670001", "7800026801000167", "7c87", "1c87"], &others);
}

#[test]
fn av1_says_it_itself() {
    assert!(Codec::Av1.begins_key_frame(&[0x18]));
    assert!(!Codec::Av1.begins_key_frame(&[0x10]) && !Codec::Av1.begins_key_frame(&[]));
}

#[test]
fn an_audio_level_is_a_voice_flag_and_decibels_below_full_scale() {
    assert_eq!(audio_level(&[0x80 | 30]), Some((true, 30)));
    assert_eq!(audio_level(&[127, 0]), Some((false, 127)));
    assert_eq!(audio_level(&[]), None);
}
