//! SRTP and SRTCP against what the network and others may do.

mod sealed;

use packet_plane::srtp::{Opened, Profile, SrtpError};
use sealed::{HEADER, SSRC, pair, rtcp, rtp, seal, sealed_rtcp};

const ALL: [Profile; 3] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80];

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
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
