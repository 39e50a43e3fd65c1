//! A peer that checks: writes binding requests and reads their answers, by RFC 8489 and without the crate's own code.

#![allow(dead_code)]

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use aws_lc_rs::hmac;

pub const USERNAME: u16 = 0x0006;
pub const INTEGRITY: u16 = 0x0008;
pub const ERROR_CODE: u16 = 0x0009;
pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
pub const PRIORITY: u16 = 0x0024;
pub const USE_CANDIDATE: u16 = 0x0025;
pub const FINGERPRINT: u16 = 0x8028;
pub const ICE_CONTROLLED: u16 = 0x8029;
pub const ICE_CONTROLLING: u16 = 0x802A;
pub const TRANSACTION: [u8; 12] = *b"transaction!";

const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];

/// Write a check with a username and more attributes, signed.
pub fn check(name: &str, password: &str, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = request(&[(USERNAME, name.as_bytes())]);
    attributes.iter().for_each(|(kind, value)| append(&mut message, *kind, value));
    signed(message, password)
}

/// Write a request with these attributes and no others.
pub fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut message = [[0, 1, 0, 0], COOKIE].concat();
    message.extend(TRANSACTION);
    attributes.iter().for_each(|(kind, value)| append(&mut message, *kind, value));
    message
}

/// Append an attribute, padded with what is no zero.
pub fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), b' ');
    set_length(message, 0);
}

/// Append MESSAGE-INTEGRITY and FINGERPRINT.
pub fn signed(mut message: Vec<u8>, password: &str) -> Vec<u8> {
    let tag = integrity(&message, password);
    append(&mut message, INTEGRITY, &tag);
    fingerprinted(message)
}

/// Append FINGERPRINT.
pub fn fingerprinted(mut message: Vec<u8>) -> Vec<u8> {
    set_length(&mut message, 8);
    let sum = crc32fast::hash(&message) ^ 0x5354_554E;
    append(&mut message, FINGERPRINT, &sum.to_be_bytes());
    message
}

/// An answer whose integrity and fingerprint are right.
#[derive(Debug)]
pub struct Answer {
    pub kind: u16,
    pub transaction: [u8; 12],
    pub attributes: Vec<(u16, Vec<u8>)>,
}

impl Answer {
    /// Read an answer; panics if there is anything wrong with it.
    pub fn read(data: &[u8], password: &str) -> Self {
        assert_eq!(usize::from(u16::from_be_bytes([data[2], data[3]])) + 20, data.len());
        assert_eq!(data[4..8], COOKIE);
        let mut attributes = Vec::new();
        let mut at = 20;
        while at < data.len() {
            let kind = u16::from_be_bytes([data[at], data[at + 1]]);
            let end = at + 4 + usize::from(u16::from_be_bytes([data[at + 2], data[at + 3]]));
            let value = data[at + 4..end].to_vec();
            match kind {
                INTEGRITY => assert_eq!(value, integrity(&data[..at], password)),
                FINGERPRINT => assert_eq!(fingerprinted(data[..at].to_vec()), data),
                _ => {}
            }
            attributes.push((kind, value));
            at = end.next_multiple_of(4);
        }
        assert_eq!(attributes.iter().map(|(kind, _)| *kind).collect::<Vec<_>>()[1..], [INTEGRITY, FINGERPRINT]);
        let kind = u16::from_be_bytes([data[0], data[1]]);
        Self { kind, transaction: data[8..20].try_into().unwrap(), attributes }
    }

    /// The address that a success tells.
    pub fn address(&self) -> SocketAddr {
        let (kind, value) = &self.attributes[0];
        assert_eq!((self.kind, *kind, value[0]), (0x0101, XOR_MAPPED_ADDRESS, 0));
        let mask = [COOKIE.as_slice(), &self.transaction].concat();
        let port = u16::from_be_bytes([value[2] ^ mask[0], value[3] ^ mask[1]]);
        let ip: Vec<u8> = value[4..].iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect();
        match (value[1], ip.len()) {
            (1, 4) => SocketAddr::new(IpAddr::from([ip[0], ip[1], ip[2], ip[3]]), port),
            (2, 16) => SocketAddr::new(Ipv6Addr::from(<[u8; 16]>::try_from(ip).unwrap()).into(), port),
            other => panic!("no family and length of an address: {other:?}"),
        }
    }

    /// The code that an error tells.
    pub fn error(&self) -> u16 {
        let (kind, value) = &self.attributes[0];
        assert_eq!((self.kind, *kind, value[0], value[1]), (0x0111, ERROR_CODE, 0, 0));
        u16::from(value[2]) * 100 + u16::from(value[3])
    }
}

fn integrity(message: &[u8], password: &str) -> Vec<u8> {
    let mut message = message.to_vec();
    set_length(&mut message, 24);
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
    hmac::sign(&key, &message).as_ref().to_vec()
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}
