//! AES in counter mode with HMAC-SHA1, cut to 80 bits, as the transform of SRTP and SRTCP (RFC 3711, 4.1 and 4.2).

use aws_lc_rs::cipher::{EncryptingKey, EncryptionContext};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::srtp::{ENCRYPTED, SrtpError};
use crate::srtp_keys::{SessionKeys, counter_mode};

pub(crate) const TAG: usize = 10;

/// One cached context: both keys with the salt.
pub(crate) struct Cm {
    key: EncryptingKey,
    salt: Zeroizing<[u8; 14]>,
    authentication: hmac::Key,
}

impl Cm {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, SrtpError> {
        let salt = keys.salt.as_slice().try_into().map_err(|_| SrtpError::Keys)?;
        Ok(Self {
            key: counter_mode(&keys.key)?,
            salt: Zeroizing::new(salt),
            authentication: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &keys.authentication),
        })
    }

    /// Encryption and decryption are the same.
    pub(crate) fn crypt(&self, ssrc: u32, index: u64, bytes: &mut [u8]) -> Result<(), SrtpError> {
        let mut counter = [0; 16];
        counter[4..8].copy_from_slice(&ssrc.to_be_bytes());
        counter[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        counter.iter_mut().zip(self.salt.iter()).for_each(|(byte, salt)| *byte ^= salt);
        let context = EncryptionContext::Iv128(FixedLength::from(counter));
        self.key.less_safe_encrypt(bytes, context).map_err(|_| SrtpError::Length)?;
        Ok(())
    }

    /// The tag over a packet and what is authenticated behind it.
    fn tag(&self, packet: &[u8], behind: &[u8]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.authentication);
        context.update(packet);
        context.update(behind);
        let mut tag = [0; TAG];
        tag.iter_mut().zip(context.sign().as_ref()).for_each(|(byte, signed)| *byte = *signed);
        tag
    }

    /// `out` holds the header, up to `header`; the payload comes behind it, then the tag over both and the ROC.
    pub(crate) fn seal_rtp(
        &self,
        ssrc: u32,
        index: u64,
        out: &mut [u8],
        header: usize,
        payload: &[u8],
    ) -> Result<usize, SrtpError> {
        let end = header + payload.len();
        let (sealed, rest) = out.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let tag = rest.get_mut(..TAG).ok_or(SrtpError::Length)?;
        let body = sealed.get_mut(header..).ok_or(SrtpError::Length)?;
        body.copy_from_slice(payload);
        self.crypt(ssrc, index, body)?;
        tag.copy_from_slice(&self.tag(sealed, &roc(index)));
        Ok(end + TAG)
    }

    pub(crate) fn open_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize) -> Result<usize, SrtpError> {
        let end = packet.len().checked_sub(TAG).ok_or(SrtpError::Length)?;
        let (sealed, tag) = packet.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let body_at = Some(header).filter(|&header| header <= end).ok_or(SrtpError::Length)?;
        verify_slices_are_equal(&self.tag(sealed, &roc(index)), tag).map_err(|_| SrtpError::Forged)?;
        self.crypt(ssrc, index, sealed.get_mut(body_at..).ok_or(SrtpError::Length)?)?;
        Ok(end)
    }

    /// Encrypt from the ninth byte on; append E‖index, then the tag over all.
    pub(crate) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let body = packet.get_mut(8..).ok_or(SrtpError::Length)?;
        self.crypt(ssrc, u64::from(index), body)?;
        packet.extend_from_slice(&(ENCRYPTED | index).to_be_bytes());
        let tag = self.tag(packet, &[]);
        packet.extend_from_slice(&tag);
        Ok(())
    }

    /// A packet without E is authentic, but was not encrypted.
    pub(crate) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let at = packet.len().checked_sub(TAG).ok_or(SrtpError::Length)?;
        let end = at.checked_sub(4).filter(|&end| end >= 8).ok_or(SrtpError::Length)?;
        let (signed, tag) = packet.split_at_mut_checked(at).ok_or(SrtpError::Length)?;
        verify_slices_are_equal(&self.tag(signed, &[]), tag).map_err(|_| SrtpError::Forged)?;
        let (sealed, word) = signed.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        if word & ENCRYPTED != 0 {
            let body = sealed.get_mut(8..).ok_or(SrtpError::Length)?;
            self.crypt(ssrc, u64::from(word & !ENCRYPTED), body)?;
        }
        Ok(end)
    }
}

fn roc(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_keystream_is_the_one_of_appendix_b2() {
        let keys = SessionKeys {
            key: Zeroizing::new(0x2b7e1516_28aed2a6_abf71588_09cf4f3c_u128.to_be_bytes().to_vec()),
            salt: Zeroizing::new((0xf0..=0xfd).collect()),
            authentication: Zeroizing::new(vec![0; 20]),
        };
        let mut stream = vec![0; 65_282 * 16];
        Cm::new(&keys).unwrap().crypt(0, 0, &mut stream).unwrap();
        let start = "e03ead0935c95e80e166b16dd92b4eb4d23513162b02d0f72a43a2fe4a5f97ab41e95b3bb0a2e8dd477901e4fca894c0";
        let end = "ec8cdf7398607cb0f2d21675ea9ea1e4362b7c3c6773516318a077d7fc5073ae6a2cc3787889374fbeb4c81b17ba6c44";
        assert_eq!(hex(&stream[..48]), start);
        assert_eq!(hex(&stream[stream.len() - 48..]), end);
    }
}
