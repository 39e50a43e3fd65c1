//! SRTP and SRTCP against the vectors of RFC 7714 and of libsrtp's own tests.

mod golden;
mod sealed;

use golden::bytes;
use packet_plane::srtp::{Opened, Opener, Profile, Sealer, SessionKeys, SrtpError};
use sealed::{HEADER, SSRC, master, rtcp, seal, sealed_rtcp};

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
fn profiles_have_openssls_names() {
    assert_eq!(Profile::from_name("SRTP_AEAD_AES_128_GCM"), Some(Profile::AeadAes128Gcm));
    assert_eq!(Profile::from_name("SRTP_AEAD_AES_256_GCM"), Some(Profile::AeadAes256Gcm));
    assert_eq!(Profile::from_name("SRTP_AES128_CM_SHA1_80"), Some(Profile::Aes128CmSha1_80));
    assert_eq!(Profile::from_name("SRTP_AES128_CM_SHA1_32"), None);
}
