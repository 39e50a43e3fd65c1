//! SRTP and SRTCP against the vectors of RFC 7714 and libsrtp's own, and against what the network and others may do.

use packet_plane::srtp::{Opened, Opener, Profile, Sealer, SessionKeys, SrtpError};

const ALL: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];
const SSRC: u32 = 0xcafe_babe;
const HEADER: usize = 12;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn master(profile: Profile) -> Vec<u8> {
    (1..=profile.key_length() as u8).collect()
}

fn pair(profile: Profile) -> (Sealer, Opener) {
    let master = master(profile);
    (Sealer::new(profile, &master).unwrap(), Opener::new(profile, &master).unwrap())
}

fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet
}

fn seal(sealer: &Sealer, index: u64, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 32];
    out[..HEADER].copy_from_slice(&plain[..HEADER]);
    let length = sealer.seal_rtp(index, &mut out, HEADER, &plain[HEADER..]).unwrap();
    out.truncate(length);
    out
}

fn sealed_rtcp(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    sealer.seal_rtcp(&mut packet).unwrap();
    packet
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

fn rfc_7714(profile: Profile) -> SessionKeys {
    let length = profile.key_length() - 12;
    SessionKeys {
        key: (0..length as u8).collect::<Vec<u8>>().into(),
        salt: b"Quid pro quo".to_vec().into(),
        authentication: Vec::new().into(),
    }
}

#[test]
fn rtp_is_sealed_and_opened_as_in_rfc_7714_section_16() {
    let plain =
        bytes("8040f17b8041f8d35501a0b2 47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573");
    let vectors = [
        (
            Profile::AeadAes128Gcm,
            "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833 899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            Profile::AeadAes256Gcm,
            "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b 7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ];
    for (profile, sealed) in vectors {
        let keys = rfc_7714(profile);
        let sealer = Sealer::with_session_keys(profile, &keys, &keys).unwrap();
        let mut packet = seal(&sealer, 0xf17b, &plain);
        assert_eq!(packet[..HEADER], plain[..HEADER]);
        assert_eq!(packet[HEADER..], bytes(sealed));
        let mut opener = Opener::with_session_keys(profile, &keys, &keys).unwrap();
        let opened = opener.open_rtp(&mut packet, HEADER).unwrap();
        assert_eq!(opened, Opened { length: plain.len(), index: 0xf17b });
        assert_eq!(packet[..opened.length], plain);
    }
}

const RTCP_7714: &str =
    "81c8000d4d617273 4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

#[test]
fn rtcp_is_sealed_and_opened_as_in_rfc_7714_sections_17_1_and_17_2() {
    let plain = bytes(RTCP_7714);
    let vectors = [
        (
            Profile::AeadAes128Gcm,
            "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b \
             c84aa45896cf4d2fc5abf87245d9eade 800005d4",
        ),
        (
            Profile::AeadAes256Gcm,
            "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad \
             1d1eb30c4446839f57ff6f6cb26ac3be 800005d4",
        ),
    ];
    for (profile, sealed) in vectors {
        let keys = rfc_7714(profile);
        let mut sealer = Sealer::with_session_keys(profile, &keys, &keys).unwrap();
        (1..0x5d4).for_each(|_| drop(sealed_rtcp(&mut sealer, &plain)));
        let mut packet = sealed_rtcp(&mut sealer, &plain);
        assert_eq!(packet[..8], plain[..8]);
        assert_eq!(packet[8..], bytes(sealed));
        let mut opener = Opener::with_session_keys(profile, &keys, &keys).unwrap();
        assert_eq!(opener.open_rtcp(&mut packet), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn rtcp_that_is_only_authenticated_is_opened_as_in_rfc_7714_sections_17_3_and_17_4() {
    let plain = bytes(RTCP_7714);
    let vectors = [
        (Profile::AeadAes128Gcm, "841dd9683dd78ec92ae58790125f62b3"),
        (Profile::AeadAes256Gcm, "91db4afbfeee5a978fab4393ed2615fe"),
    ];
    for (profile, tag) in vectors {
        let keys = rfc_7714(profile);
        let sealed = [plain.clone(), bytes(tag), bytes("000005d4")].concat();
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            let mut opener = Opener::with_session_keys(profile, &keys, &keys).unwrap();
            assert_eq!(opener.open_rtcp(&mut forged), Err(SrtpError::Forged), "{at}");
        }
        let mut opener = Opener::with_session_keys(profile, &keys, &keys).unwrap();
        let mut packet = sealed.clone();
        assert_eq!(opener.open_rtcp(&mut packet), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
        assert_eq!(opener.open_rtcp(&mut sealed.clone()), Err(SrtpError::Replayed));
    }
}

#[test]
fn packets_are_the_ones_of_libsrtps_test_driver() {
    let rtp = bytes("800f1234decafbadcafebabe abababababababababababababababab");
    let rtcp = bytes("81c8000bcafebabe abababababababababababababababab");
    let vectors = [
        (
            Profile::Aes128CmSha1_80,
            "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
            "800f1234decafbadcafebabe 4e55dc4ce79978d88ca4d215949d2402 b78d6acc99ea179b8dbb",
            "81c8000bcafebabe 7128035be487b9bdbef89041f977a5a8 80000001 993e08cd54d6c1230798",
        ),
        (
            Profile::AeadAes128Gcm,
            "000102030405060708090a0b0c0d0e0fa0a1a2a3a4a5a6a7a8a9aaab",
            "800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e d2976826f796b201df3131a127e8a392",
            "81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025 c52c6fbea2b3b446ea31123ba88ce61e 80000001",
        ),
    ];
    for (profile, master, sealed_rtp, sealed_control) in vectors {
        let mut sealer = Sealer::new(profile, &bytes(master)).unwrap();
        let mut opener = Opener::new(profile, &bytes(master)).unwrap();
        let mut packet = seal(&sealer, 0x1234, &rtp);
        assert_eq!(packet, bytes(sealed_rtp), "{profile:?}");
        let opened = opener.open_rtp(&mut packet, HEADER).unwrap();
        assert_eq!(packet[..opened.length], rtp);
        let mut packet = sealed_rtcp(&mut sealer, &rtcp);
        assert_eq!(packet, bytes(sealed_control), "{profile:?}");
        assert_eq!(opener.open_rtcp(&mut packet), Ok(rtcp.len()));
        assert_eq!(packet[..rtcp.len()], rtcp);
    }
}

#[test]
fn cm_rtcp_without_e_is_authentic_and_plain() {
    use aws_lc_rs::hmac;
    let profile = Profile::Aes128CmSha1_80;
    let keys = SessionKeys::derive(profile, &master(profile), true).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.authentication);
    let mut packet = [rtcp(SSRC), vec![0, 0, 0, 7]].concat();
    let tag = hmac::sign(&key, &packet);
    packet.extend_from_slice(&tag.as_ref()[..10]);
    let mut opener = Opener::new(profile, &master(profile)).unwrap();
    let mut forged = packet.clone();
    forged[10] ^= 1;
    assert_eq!(opener.open_rtcp(&mut forged), Err(SrtpError::Forged));
    assert_eq!(opener.open_rtcp(&mut packet.clone()), Ok(rtcp(SSRC).len()));
    assert_eq!(opener.open_rtcp(&mut packet), Err(SrtpError::Replayed));
    assert_eq!(packet[..rtcp(SSRC).len()], rtcp(SSRC));
}

#[test]
fn header_extensions_and_empty_payloads_survive() {
    for profile in ALL {
        let (sealer, mut opener) = pair(profile);
        let mut plain = rtp(SSRC, 9, &[0xbe, 0xde, 0, 1, 0x10, 0xff, 0, 0, 1, 2, 3]);
        plain[0] |= 0x10;
        let mut out = vec![0; 64];
        out[..20].copy_from_slice(&plain[..20]);
        let length = sealer.seal_rtp(9, &mut out, 20, &plain[20..]).unwrap();
        assert_eq!(length, plain.len() + profile.tag_length(false));
        assert_eq!(out[..20], plain[..20]);
        let opened = opener.open_rtp(&mut out[..length], 20).unwrap();
        assert_eq!(out[..opened.length], plain);
        let mut empty = seal(&sealer, 10, &rtp(SSRC, 10, &[]));
        assert_eq!(opener.open_rtp(&mut empty, HEADER), Ok(Opened { length: HEADER, index: 10 }));
    }
}

#[test]
fn the_rollover_counter_follows_loss_and_reordering_across_wraps() {
    for (profile, seed) in ALL.into_iter().zip([0x9e37_79b9_7f4a_7c15, 0xdead_beef, 0x1234_5678]) {
        let (sealer, mut opener) = pair(profile);
        let mut random = random(seed);
        let (mut sent, mut highest) = (random() % 0x8000, None::<u64>);
        let mut accepted = std::collections::HashSet::new();
        for _ in 0..60_000 {
            sent += match random() % 200 {
                0 => random() % 20_000,
                _ => 1 + random() % 30,
            };
            let index = sent.saturating_sub(random() % 1200 * (random() % 2));
            let mut packet = seal(&sealer, index, &rtp(SSRC, index as u16, &index.to_be_bytes()));
            let right = match highest {
                Some(highest) if index + 1024 <= highest => Err(SrtpError::Old),
                _ if accepted.contains(&index) => Err(SrtpError::Replayed),
                _ => Ok(index),
            };
            if highest.is_none() && index > 0xffff {
                continue;
            }
            let got = opener.open_rtp(&mut packet, HEADER).map(|opened| opened.index);
            assert_eq!(got, right, "{index:x} {highest:x?}");
            if right.is_ok() {
                assert_eq!(packet[HEADER..HEADER + 8], index.to_be_bytes());
                accepted.insert(index);
                highest = highest.max(Some(index));
            }
        }
        assert!(highest.unwrap() >> 16 > 15, "it wrapped");
    }
}

#[test]
fn a_packet_from_before_the_wrap_is_opened_after_it() {
    for profile in ALL {
        let (sealer, mut opener) = pair(profile);
        for index in [0xfffe_u64, 0x1_0001, 0xffff, 0x1_0000, 0x1_7fff, 0x1_ffff, 0x2_0000, 0x1_fffe] {
            let mut packet = seal(&sealer, index, &rtp(SSRC, index as u16, b"payload"));
            assert_eq!(opener.open_rtp(&mut packet, HEADER).map(|opened| opened.index), Ok(index));
        }
    }
}

#[test]
fn a_streams_first_packet_has_rollover_counter_0() {
    for profile in ALL {
        let (sealer, mut opener) = pair(profile);
        let mut later = seal(&sealer, 0x1_0005, &rtp(SSRC, 5, b"payload"));
        assert_eq!(opener.open_rtp(&mut later, HEADER), Err(SrtpError::Forged));
        let mut first = seal(&sealer, 0xfff0, &rtp(SSRC, 0xfff0, b"payload"));
        assert!(opener.open_rtp(&mut first, HEADER).is_ok());
        let mut later = seal(&sealer, 0x1_0005, &rtp(SSRC, 5, b"payload"));
        assert!(opener.open_rtp(&mut later, HEADER).is_ok());
    }
}

#[test]
fn replays_are_refused() {
    for profile in ALL {
        let (mut sealer, mut opener) = pair(profile);
        let packets: Vec<Vec<u8>> =
            (0..1100).map(|index| seal(&sealer, index, &rtp(SSRC, index as u16, b"payload"))).collect();
        packets.iter().for_each(|packet| assert!(opener.open_rtp(&mut packet.clone(), HEADER).is_ok()));
        for (index, packet) in packets.iter().enumerate() {
            let right = if index < 1100 - 1024 { SrtpError::Old } else { SrtpError::Replayed };
            assert_eq!(opener.open_rtp(&mut packet.clone(), HEADER), Err(right));
        }
        let packets: Vec<Vec<u8>> = (0..1100).map(|_| sealed_rtcp(&mut sealer, &rtcp(SSRC))).collect();
        packets[..1099]
            .iter()
            .rev()
            .take(1023)
            .for_each(|packet| assert!(opener.open_rtcp(&mut packet.clone()).is_ok()));
        for packet in packets[..1099].iter().rev().take(1023) {
            assert_eq!(opener.open_rtcp(&mut packet.clone()), Err(SrtpError::Replayed));
        }
        assert!(opener.open_rtcp(&mut packets[1099].clone()).is_ok());
        assert_eq!(opener.open_rtcp(&mut packets[0].clone()), Err(SrtpError::Old));
    }
}

#[test]
fn what_is_forged_changes_nothing() {
    for profile in ALL {
        let (mut sealer, mut opener) = pair(profile);
        let good = seal(&sealer, 100, &rtp(SSRC, 100, b"payload"));
        let control = sealed_rtcp(&mut sealer, &rtcp(SSRC));
        for at in 0..good.len() {
            let mut forged = good.clone();
            forged[at] ^= 0x40;
            assert_eq!(opener.open_rtp(&mut forged, HEADER), Err(SrtpError::Forged), "{at}");
        }
        for at in 0..control.len() {
            let mut forged = control.clone();
            forged[at] ^= 0x40;
            assert_eq!(opener.open_rtcp(&mut forged), Err(SrtpError::Forged), "{at}");
        }
        for ssrc in 0..5000_u32 {
            let mut forged = rtp(ssrc, 1, &[0; 40]);
            assert_eq!(opener.open_rtp(&mut forged, HEADER), Err(SrtpError::Forged));
        }
        assert_eq!((opener.ssrcs(), opener.heap_bytes()), ((0, 0), 0));
        assert!(opener.open_rtp(&mut good.clone(), HEADER).is_ok());
        assert_eq!(opener.open_rtcp(&mut control.clone()), Ok(rtcp(SSRC).len()));
        for ahead in [1_u16, 1023, 1024, 20_000, 32_767, 40_000] {
            let mut forged = good.clone();
            forged[2..4].copy_from_slice(&(100 + ahead).to_be_bytes());
            assert_eq!(opener.open_rtp(&mut forged, HEADER), Err(SrtpError::Forged));
        }
        let mut next = seal(&sealer, 99, &rtp(SSRC, 99, b"payload"));
        assert!(opener.open_rtp(&mut next, HEADER).is_ok());
    }
}

#[test]
fn anything_may_come_without_a_panic() {
    let mut random = random(0x5eed);
    for profile in ALL {
        let (_, mut opener) = pair(profile);
        for length in (0..100).cycle().take(20_000) {
            let mut packet: Vec<u8> = (0..length).map(|_| random() as u8).collect();
            let header = random() as usize % 110;
            assert!(opener.open_rtp(&mut packet, header).is_err());
            assert!(opener.open_rtcp(&mut packet).is_err());
        }
        assert!(opener.open_rtp(&mut [0x80; 60], usize::MAX).is_err());
    }
}

#[test]
fn at_the_cap_the_oldest_ssrc_that_is_not_kept_goes() {
    for profile in [Profile::AeadAes128Gcm, Profile::Aes128CmSha1_80] {
        let (mut sealer, mut opener) = pair(profile);
        let first = seal(&sealer, 7, &rtp(0, 7, b"payload"));
        let second = seal(&sealer, 7, &rtp(1, 7, b"payload"));
        opener.keep(0);
        opener.open_rtp(&mut first.clone(), HEADER).unwrap();
        opener.open_rtp(&mut second.clone(), HEADER).unwrap();
        for ssrc in 2..3000 {
            opener.open_rtp(&mut seal(&sealer, 7, &rtp(ssrc, 7, b"payload")), HEADER).unwrap();
            opener.open_rtcp(&mut sealed_rtcp(&mut sealer, &rtcp(ssrc))).unwrap();
        }
        assert_eq!(opener.ssrcs(), (1024, 1024));
        assert_eq!(opener.open_rtp(&mut first.clone(), HEADER), Err(SrtpError::Replayed));
        assert!(opener.open_rtp(&mut second.clone(), HEADER).is_ok(), "its window had gone");
        opener.forget(0);
        opener.open_rtp(&mut seal(&sealer, 7, &rtp(5000, 7, b"payload")), HEADER).unwrap();
        assert!(opener.open_rtp(&mut first.clone(), HEADER).is_ok(), "it was the oldest");
    }
}

#[test]
fn where_all_are_kept_a_new_ssrc_is_refused() {
    let (sealer, mut opener) = pair(Profile::AeadAes128Gcm);
    for ssrc in 0..1024 {
        opener.keep(ssrc);
        opener.open_rtp(&mut seal(&sealer, 7, &rtp(ssrc, 7, b"payload")), HEADER).unwrap();
    }
    let more = seal(&sealer, 7, &rtp(5000, 7, b"payload"));
    assert_eq!(opener.open_rtp(&mut more.clone(), HEADER), Err(SrtpError::Full));
    opener.forget(512);
    assert!(opener.open_rtp(&mut more.clone(), HEADER).is_ok());
}

#[test]
fn a_sealer_refuses_what_nobody_could_open() {
    for profile in ALL {
        let (mut sealer, _) = pair(profile);
        let mut out = rtp(SSRC, 5, &[0; 40]);
        assert_eq!(sealer.seal_rtp(6, &mut out, HEADER, b"payload"), Err(SrtpError::Length));
        assert_eq!(sealer.seal_rtp(5 + (1 << 48), &mut out, HEADER, b"payload"), Err(SrtpError::Exhausted));
        assert_eq!(sealer.seal_rtp(5, &mut out, 11, b"payload"), Err(SrtpError::Length));
        assert_eq!(sealer.seal_rtp(5, &mut out, HEADER, &[0; 40]), Err(SrtpError::Length));
        assert_eq!(sealer.seal_rtp(5, &mut out[..8], HEADER, b"payload"), Err(SrtpError::Length));
        assert_eq!(sealer.seal_rtp(5, &mut out, usize::MAX, b"payload"), Err(SrtpError::Length));
        assert_eq!(sealer.seal_rtcp(&mut vec![0x80; 7]), Err(SrtpError::Length));
    }
}

#[test]
fn profiles_have_openssls_names() {
    assert_eq!(Profile::from_name("SRTP_AEAD_AES_128_GCM"), Some(Profile::AeadAes128Gcm));
    assert_eq!(Profile::from_name("SRTP_AEAD_AES_256_GCM"), Some(Profile::AeadAes256Gcm));
    assert_eq!(Profile::from_name("SRTP_AES128_CM_SHA1_80"), Some(Profile::Aes128CmSha1_80));
    assert_eq!(Profile::from_name("SRTP_AES128_CM_SHA1_32"), None);
}
