//! Protection profiles (RFC 5764, RFC 7714), and session keys from a master key (RFC 3711, 4.3; RFC 7714, 11).

use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::Zeroizing;

use crate::srtp::SrtpError;
use crate::{srtp_cm, srtp_gcm};

/// What DTLS agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// AES-GCM with a key of 128 bits.
    AeadAes128Gcm,
    /// AES-GCM with a key of 256 bits.
    AeadAes256Gcm,
    /// AES in counter mode with a key of 128 bits, and HMAC-SHA1 cut to 80 bits.
    Aes128CmSha1_80,
}

impl Profile {
    /// The profile that OpenSSL calls so.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "SRTP_AEAD_AES_128_GCM" => Some(Self::AeadAes128Gcm),
            "SRTP_AEAD_AES_256_GCM" => Some(Self::AeadAes256Gcm),
            "SRTP_AES128_CM_SHA1_80" => Some(Self::Aes128CmSha1_80),
            _ => None,
        }
    }

    /// Bytes of master key‖salt for one direction.
    pub fn key_length(self) -> usize {
        self.cipher_key_length() + self.salt_length()
    }

    /// Bytes that sealing adds to a packet: the tag, and with RTCP the word of E and index.
    pub fn tag_length(self, rtcp: bool) -> usize {
        let tag = match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => srtp_gcm::TAG,
            Self::Aes128CmSha1_80 => srtp_cm::TAG,
        };
        if rtcp { tag + 4 } else { tag }
    }

    fn cipher_key_length(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::Aes128CmSha1_80 => 16,
            Self::AeadAes256Gcm => 32,
        }
    }

    fn salt_length(self) -> usize {
        match self {
            Self::AeadAes128Gcm | Self::AeadAes256Gcm => 12,
            Self::Aes128CmSha1_80 => 14,
        }
    }

    fn is_cm(self) -> bool {
        self == Self::Aes128CmSha1_80
    }
}

/// The session keys of RTP or of RTCP in one direction. Wiped when dropped.
#[derive(Clone)]
pub struct SessionKeys {
    /// AES key: 16 or 32 bytes.
    pub key: Zeroizing<Vec<u8>>,
    /// Salt: 12 bytes with GCM, 14 with CM.
    pub salt: Zeroizing<Vec<u8>>,
    /// HMAC key: 20 bytes with CM, none with GCM.
    pub authentication: Zeroizing<Vec<u8>>,
}

impl SessionKeys {
    /// Derive the keys of RTP and those of RTCP.
    pub fn derive_both(profile: Profile, master: &[u8]) -> Result<(Self, Self), SrtpError> {
        Ok((Self::derive(profile, master, false)?, Self::derive(profile, master, true)?))
    }

    /// Derive the keys of RTP or RTCP from master key‖salt; the key derivation rate is 0.
    pub fn derive(profile: Profile, master: &[u8], rtcp: bool) -> Result<Self, SrtpError> {
        if master.len() != profile.key_length() {
            return Err(SrtpError::Keys);
        }
        let (key, salt) = master.split_at_checked(profile.cipher_key_length()).ok_or(SrtpError::Keys)?;
        let first = if rtcp { 3 } else { 0 };
        Ok(Self {
            key: prf(key, salt, first, key.len())?,
            authentication: prf(key, salt, first + 1, if profile.is_cm() { 20 } else { 0 })?,
            salt: prf(key, salt, first + 2, salt.len())?,
        })
    }
}

/// AES in counter mode over zeros, from the label XOR the salt: `length` bytes.
pub(crate) fn prf(key: &[u8], salt: &[u8], label: u8, length: usize) -> Result<Zeroizing<Vec<u8>>, SrtpError> {
    let mut counter = [0; 16];
    let salted = counter.get_mut(..salt.len()).ok_or(SrtpError::Keys)?;
    salted.copy_from_slice(salt);
    counter[7] ^= label;
    let mut bytes = Zeroizing::new(vec![0; length]);
    counter_mode(key)?
        .less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(counter)))
        .map_err(|_| SrtpError::Keys)?;
    Ok(bytes)
}

/// AES in counter mode with a key of 16 or 32 bytes.
pub(crate) fn counter_mode(key: &[u8]) -> Result<EncryptingKey, SrtpError> {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    let key = UnboundCipherKey::new(algorithm, key).map_err(|_| SrtpError::Keys)?;
    EncryptingKey::ctr(key).map_err(|_| SrtpError::Keys)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: [u8; 30] = *b"\xe1\xf9\x7a\x0d\x3e\x01\x8b\xe0\xd6\x4f\xa3\x2c\x06\xde\x41\x39\
        \x0e\xc6\x75\xad\x49\x8a\xfe\xeb\xb6\x96\x0b\x3a\xab\xe6";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn keys_are_derived_as_in_appendix_b3() {
        let keys = SessionKeys::derive(Profile::Aes128CmSha1_80, &MASTER, false).unwrap();
        assert_eq!(hex(&keys.key), "c61e7a93744f39ee10734afe3ff7a087");
        assert_eq!(hex(&keys.salt), "30cbbc08863d8c85d49db34a9ae1");
        assert_eq!(hex(&keys.authentication), "cebe321f6ff7716b6fd4ab49af256a156d38baa4");
        let long = prf(&MASTER[..16], &MASTER[16..], 1, 94).unwrap();
        let right = "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbcee049646c43d9327ad175578ef7227098\
            6371c10c9a369ac2f94a8c5fbcdddc256d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2";
        assert_eq!(hex(&long), right);
    }

    #[test]
    fn keys_of_another_length_are_refused() {
        for profile in [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::Aes128CmSha1_80] {
            for length in (0..64).filter(|&length| length != profile.key_length()) {
                assert!(SessionKeys::derive(profile, &[7; 64][..length], false).is_err());
            }
        }
    }
}
