//! AES-GCM as the transform of SRTP and SRTCP (RFC 7714).

use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::srtp::{ENCRYPTED, SrtpError};
use crate::srtp_keys::SessionKeys;

pub(crate) const TAG: usize = 16;

/// One cached context: a key with its salt.
pub(crate) struct Gcm {
    key: LessSafeKey,
    salt: Zeroizing<[u8; 12]>,
}

impl Gcm {
    pub(crate) fn new(keys: &SessionKeys) -> Result<Self, SrtpError> {
        let algorithm = if keys.key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, &keys.key).map_err(|_| SrtpError::Keys)?;
        let salt = keys.salt.as_slice().try_into().map_err(|_| SrtpError::Keys)?;
        Ok(Self { key: LessSafeKey::new(key), salt: Zeroizing::new(salt) })
    }

    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        nonce.iter_mut().zip(self.salt.iter()).for_each(|(byte, salt)| *byte ^= salt);
        Nonce::assume_unique_for_key(nonce)
    }

    /// `out` holds the header, up to `header`; the payload comes behind it, then the tag.
    pub(crate) fn seal_rtp(
        &self,
        ssrc: u32,
        index: u64,
        out: &mut [u8],
        header: usize,
        payload: &[u8],
    ) -> Result<usize, SrtpError> {
        let (head, rest) = out.split_at_mut_checked(header).ok_or(SrtpError::Length)?;
        let (body, rest) = rest.split_at_mut_checked(payload.len()).ok_or(SrtpError::Length)?;
        let tag = rest.get_mut(..TAG).ok_or(SrtpError::Length)?;
        self.key
            .seal_out_of_place_scatter(self.nonce(ssrc, index), Aad::from(&*head), payload, body, &[], tag)
            .map_err(|_| SrtpError::Length)?;
        Ok(header + payload.len() + TAG)
    }

    pub(crate) fn open_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header: usize) -> Result<usize, SrtpError> {
        let end = packet.len().checked_sub(TAG).ok_or(SrtpError::Length)?;
        let (sealed, tag) = packet.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let (head, body) = sealed.split_at_mut_checked(header).ok_or(SrtpError::Length)?;
        self.key
            .open_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(&*head), tag, body)
            .map_err(|_| SrtpError::Forged)?;
        Ok(end)
    }

    /// Encrypt from the ninth byte on; append the tag, then E‖index.
    pub(crate) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let word = (ENCRYPTED | index).to_be_bytes();
        let (head, body) = packet.split_at_mut_checked(8).ok_or(SrtpError::Length)?;
        let mut data = [0; 12];
        data[..8].copy_from_slice(head);
        data[8..].copy_from_slice(&word);
        let nonce = self.nonce(ssrc, u64::from(index));
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::from(data), body).map_err(|_| SrtpError::Length)?;
        packet.extend_from_slice(tag.as_ref());
        packet.extend_from_slice(&word);
        Ok(())
    }

    /// With E the packet is encrypted; without it, it is all associated data, and so is the word.
    pub(crate) fn open_rtcp(&self, ssrc: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let at = packet.len().checked_sub(4).ok_or(SrtpError::Length)?;
        let end = at.checked_sub(TAG).filter(|&end| end >= 8).ok_or(SrtpError::Length)?;
        let (rest, word) = packet.split_at_mut_checked(at).ok_or(SrtpError::Length)?;
        let (sealed, tag) = rest.split_at_mut_checked(end).ok_or(SrtpError::Length)?;
        let mut data = [0; 12];
        data[8..].copy_from_slice(word);
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        let nonce = self.nonce(ssrc, u64::from(word & !ENCRYPTED));
        if word & ENCRYPTED != 0 {
            let (head, body) = sealed.split_at_mut_checked(8).ok_or(SrtpError::Length)?;
            data[..8].copy_from_slice(head);
            self.key.open_in_place_separate_tag(nonce, Aad::from(data), tag, body).map_err(|_| SrtpError::Forged)?;
        } else {
            let mut copy = [0; TAG];
            copy.copy_from_slice(tag);
            tag[..4].copy_from_slice(&word.to_be_bytes());
            let data = packet.get(..end + 4).ok_or(SrtpError::Length)?;
            self.key
                .open_in_place_separate_tag(nonce, Aad::from(data), &copy, &mut [])
                .map_err(|_| SrtpError::Forged)?;
        }
        Ok(end)
    }
}
