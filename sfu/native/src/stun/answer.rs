//! The answers to checks (RFC 8489 §7.3.1.1, RFC 8445 §7.3): an address or an error, signed and with a fingerprint.

use std::net::{IpAddr, SocketAddr};

use aws_lc_rs::hmac;

use super::{
    COOKIE, Check, FINGERPRINT, FINGERPRINT_LENGTH, FINGERPRINT_XOR, HEADER, INTEGRITY, INTEGRITY_LENGTH, Password,
    padding,
};

const SUCCESS: [u8; 2] = [0x01, 0x01];
const ERROR: [u8; 2] = [0x01, 0x11];
const ERROR_CODE: u16 = 0x0009;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ROLE_CONFLICT: &[u8] = b"\x00\x00\x04\x57Role Conflict";

/// Append the answer to an authentic check that came from this address.
pub fn write_success(out: &mut Vec<u8>, check: &Check, from: SocketAddr, password: &Password) {
    let mut value = [0; 20];
    let [_, family, port @ ..] = &mut value;
    let (port, address) = port.split_at_mut(2);
    port.copy_from_slice(&from.port().to_be_bytes());
    let length = match from.ip().to_canonical() {
        IpAddr::V4(ip) => {
            *family = 1;
            address[..4].copy_from_slice(&ip.octets());
            8
        }
        IpAddr::V6(ip) => {
            *family = 2;
            address.copy_from_slice(&ip.octets());
            20
        }
    };
    port.iter_mut().zip(COOKIE).for_each(|(byte, mask)| *byte ^= mask);
    address.iter_mut().zip(COOKIE.into_iter().chain(check.transaction)).for_each(|(byte, mask)| *byte ^= mask);
    write(out, SUCCESS, check, XOR_MAPPED_ADDRESS, &value[..length], password);
}

/// Append the answer to an authentic check of a peer that takes us for controlling (RFC 8445 §7.3.1.1).
pub fn write_role_conflict(out: &mut Vec<u8>, check: &Check, password: &Password) {
    write(out, ERROR, check, ERROR_CODE, ROLE_CONFLICT, password);
}

fn write(out: &mut Vec<u8>, kind: [u8; 2], check: &Check, attribute: u16, value: &[u8], password: &Password) {
    let start = out.len();
    out.extend_from_slice(&kind);
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(&COOKIE);
    out.extend_from_slice(&check.transaction);
    write_attribute(out, attribute, value);
    set_length(out, start, INTEGRITY_LENGTH);
    let tag = hmac::sign(&password.0, &out[start..]);
    write_attribute(out, INTEGRITY, tag.as_ref());
    set_length(out, start, FINGERPRINT_LENGTH);
    let sum = crc32fast::hash(&out[start..]) ^ FINGERPRINT_XOR;
    write_attribute(out, FINGERPRINT, &sum.to_be_bytes());
}

fn write_attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len() + padding(value.len()), 0);
}

/// Let the header say how long the message is once `more` bytes follow.
fn set_length(out: &mut [u8], start: usize, more: usize) {
    let length = (out.len() - start - HEADER + more) as u16;
    out[start + 2..start + 4].copy_from_slice(&length.to_be_bytes());
}
