//! SRTP and SRTCP with AES-128-GCM (RFC 3711 §4.3, RFC 7714), written apart from the plane's: each checks the other.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;

/// Bytes of an authentication tag.
pub const TAG: usize = 16;
/// Bytes that follow a sealed RTCP packet: its tag and its index.
pub const RTCP_TRAILER: usize = TAG + 4;

const RTCP_HEADER: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

/// One direction's keys of one transport.
pub struct Keys {
    rtp: LessSafeKey,
    rtcp: LessSafeKey,
    rtp_salt: [u8; 12],
    rtcp_salt: [u8; 12],
    reports: u32,
}

impl Keys {
    /// Derive them from a master key and its salt.
    pub fn new(master: &[u8; 16], salt: &[u8; 12]) -> Self {
        let key = |label| {
            let derived: [u8; 16] = derive(master, salt, label);
            LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &derived).expect("16 bytes are a key of AES-128"))
        };
        Self {
            rtp: key(0),
            rtcp: key(3),
            rtp_salt: derive(master, salt, 2),
            rtcp_salt: derive(master, salt, 5),
            reports: 0,
        }
    }

    /// Seal an RTP packet: `packet` ends with 16 bytes of room, `header` bytes of it stay in clear, `index` is ROC and number.
    pub fn seal_rtp(&self, packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        let at = packet.len() - TAG;
        let (clear, rest) = packet.split_at_mut(header);
        let (payload, room) = rest.split_at_mut(at - header);
        let nonce = rtp_nonce(&self.rtp_salt, ssrc, index);
        let tag = self
            .rtp
            .seal_in_place_separate_tag(nonce, Aad::from(clear), payload)
            .expect("a packet is short");
        room.copy_from_slice(tag.as_ref());
    }

    /// Seal a payload into `packet`, which begins with `header` bytes and has room for the payload and its tag.
    pub fn seal_rtp_from(&self, payload: &[u8], packet: &mut [u8], header: usize, ssrc: u32, index: u64) {
        let (clear, rest) = packet.split_at_mut(header);
        let (sealed, tag) = rest.split_at_mut(payload.len());
        let nonce = rtp_nonce(&self.rtp_salt, ssrc, index);
        self.rtp
            .seal_out_of_place_scatter(nonce, Aad::from(clear), payload, sealed, &[], tag)
            .expect("the lengths fit");
    }

    /// Open an RTP packet in place; return its payload, None if it is not authentic.
    pub fn open_rtp<'a>(&self, packet: &'a mut [u8], header: usize, ssrc: u32, index: u64) -> Option<&'a mut [u8]> {
        let (clear, sealed) = packet.split_at_mut_checked(header)?;
        self.rtp
            .open_in_place(rtp_nonce(&self.rtp_salt, ssrc, index), Aad::from(clear), sealed)
            .ok()
    }

    /// Seal an RTCP packet in place.
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) {
        let ssrc = u32::from_be_bytes(packet[4..8].try_into().expect("four bytes"));
        let word = (ENCRYPTED | self.reports).to_be_bytes();
        let mut clear = [0; RTCP_HEADER + 4];
        clear[..RTCP_HEADER].copy_from_slice(&packet[..RTCP_HEADER]);
        clear[RTCP_HEADER..].copy_from_slice(&word);
        let nonce = rtcp_nonce(&self.rtcp_salt, ssrc, self.reports);
        let tag = self
            .rtcp
            .seal_in_place_separate_tag(nonce, Aad::from(clear), &mut packet[RTCP_HEADER..])
            .expect("a packet is short");
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&word);
        self.reports += 1;
    }

    /// Open an RTCP packet in place; return it in plain, None if it is not authentic.
    pub fn open_rtcp<'a>(&self, packet: &'a mut [u8]) -> Option<&'a [u8]> {
        let end = packet.len().checked_sub(4).filter(|&end| end >= RTCP_HEADER + TAG)?;
        let (body, word) = packet.split_at_mut(end);
        let mut clear = [0; RTCP_HEADER + 4];
        clear[..RTCP_HEADER].copy_from_slice(&body[..RTCP_HEADER]);
        clear[RTCP_HEADER..].copy_from_slice(word);
        let ssrc = u32::from_be_bytes(body[4..8].try_into().ok()?);
        let index = u32::from_be_bytes((&*word).try_into().ok()?);
        let nonce = rtcp_nonce(&self.rtcp_salt, ssrc, index & !ENCRYPTED);
        self.rtcp
            .open_in_place(nonce, Aad::from(clear), &mut body[RTCP_HEADER..])
            .ok()?;
        Some(&body[..end - TAG])
    }
}

fn rtp_nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let number = (u128::from(ssrc) << 48) | u128::from(index);
    nonce(salt, number)
}

fn rtcp_nonce(salt: &[u8; 12], ssrc: u32, index: u32) -> Nonce {
    nonce(salt, (u128::from(ssrc) << 48) | u128::from(index))
}

fn nonce(salt: &[u8; 12], number: u128) -> Nonce {
    let mut bytes = *salt;
    for (byte, other) in bytes.iter_mut().zip(&number.to_be_bytes()[4..]) {
        *byte ^= other;
    }
    Nonce::assume_unique_for_key(bytes)
}

fn derive<const N: usize>(master: &[u8; 16], salt: &[u8; 12], label: u8) -> [u8; N] {
    let mut counter = [0; 16];
    counter[..12].copy_from_slice(salt);
    counter[7] ^= label;
    let mut derived = [0; N];
    let key = UnboundCipherKey::new(&AES_128, master)
        .and_then(EncryptingKey::ctr)
        .expect("16 bytes are a key of AES-128");
    key.less_safe_encrypt(&mut derived, EncryptionContext::Iv128(FixedLength::from(counter)))
        .expect("CTR takes any length");
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_and_what_is_changed_does_not() {
        let mut keys = Keys::new(&[1; 16], &[2; 12]);
        let mut packet = vec![7; 12 + 100 + TAG];
        keys.seal_rtp(&mut packet, 12, 9, 70_000);
        let mut changed = packet.clone();
        changed[50] ^= 1;
        assert!(keys.open_rtp(&mut changed, 12, 9, 70_000).is_none());
        assert_eq!(keys.open_rtp(&mut packet, 12, 9, 70_000).unwrap(), &[7; 100]);
        let plain = vec![0x81, 201, 0, 7, 0, 0, 0, 1, 5, 5, 5, 5];
        let mut sealed = plain.clone();
        keys.seal_rtcp(&mut sealed);
        assert_eq!(keys.open_rtcp(&mut sealed).unwrap(), plain);
    }
}
