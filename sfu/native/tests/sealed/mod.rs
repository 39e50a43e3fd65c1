//! Small packets, and both ends of SRTP with the same master key; each test file uses a part of this.

#![allow(dead_code)]

use packet_plane::srtp::{Opener, Profile, Sealer};

pub const SSRC: u32 = 0xcafe_babe;
pub const HEADER: usize = 12;

pub fn master(profile: Profile) -> Vec<u8> {
    (1..=profile.key_length() as u8).collect()
}

pub fn pair(profile: Profile) -> (Sealer, Opener) {
    let master = master(profile);
    (Sealer::new(profile, &master).unwrap(), Opener::new(profile, &master).unwrap())
}

pub fn rtp(ssrc: u32, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 96];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

pub fn rtcp(ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 201, 0, 1];
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(&[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
    packet
}

pub fn seal(sealer: &Sealer, index: u64, plain: &[u8]) -> Vec<u8> {
    let mut out = vec![0; plain.len() + 32];
    out[..HEADER].copy_from_slice(&plain[..HEADER]);
    let length = sealer.seal_rtp(index, &mut out, HEADER, &plain[HEADER..]).unwrap();
    out.truncate(length);
    out
}

pub fn sealed_rtcp(sealer: &mut Sealer, plain: &[u8]) -> Vec<u8> {
    let mut packet = plain.to_vec();
    sealer.seal_rtcp(&mut packet).unwrap();
    packet
}
