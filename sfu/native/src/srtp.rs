//! SRTP and SRTCP (RFC 3711, RFC 7714), one direction each: an `Opener` for what comes, a `Sealer` for what goes.
//!
//! Nothing changes and nothing is allocated before a packet is authentic. Replays are refused (window 1,024). The same index
//! may be sealed twice only with the same bytes, else a nonce would serve two messages: who resends takes the packet from its
//! history, and an SSRC that was sent with is never given out again under the same keys.

use std::fmt;

use crate::srtp_cm::Cm;
use crate::srtp_gcm::Gcm;
pub use crate::srtp_keys::{Profile, SessionKeys};
use crate::srtp_streams::Streams;

/// The flag E, which stands before the index of an RTCP packet: it is encrypted, not only authenticated.
pub(crate) const ENCRYPTED: u32 = 1 << 31;

/// Why a packet, or a key, is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpError {
    /// The keys do not have the length of their profile.
    Keys,
    /// The packet is too short for what it has to hold, the buffer too small, or the index not the header's.
    Length,
    /// The tag is not right: forged, damaged, under other keys, or with a rollover counter that was not guessed.
    Forged,
    /// The packet was accepted before.
    Replayed,
    /// The packet is more than a window behind.
    Old,
    /// The peer has as many SSRCs as may be, and each is kept.
    Full,
    /// All indices are used up: only new keys help.
    Exhausted,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Keys => "keys of another length than the profile's",
            Self::Length => "too short",
            Self::Forged => "not authentic",
            Self::Replayed => "replayed",
            Self::Old => "too old",
            Self::Full => "too many SSRCs",
            Self::Exhausted => "no index is left",
        })
    }
}

impl std::error::Error for SrtpError {}

/// The transform of a profile with its session keys.
enum Cipher {
    Gcm(Gcm),
    Cm(Box<Cm>),
}

impl Cipher {
    fn new(profile: Profile, keys: &SessionKeys) -> Result<Self, SrtpError> {
        Ok(match profile {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => Self::Gcm(Gcm::new(keys)?),
            Profile::Aes128CmSha1_80 => Self::Cm(Box::new(Cm::new(keys)?)),
        })
    }
}

/// An authentic packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Bytes of the plain packet, from the buffer's start.
    pub length: usize,
    /// ROC‖SEQ, 48 bits.
    pub index: u64,
}

/// Opens what a peer seals.
pub struct Opener {
    rtp: Cipher,
    rtcp: Cipher,
    word_at: usize,
    rtp_streams: Streams,
    rtcp_streams: Streams,
    kept: Vec<u32>,
}

impl Opener {
    /// From the peer's master key‖salt.
    pub fn new(profile: Profile, master: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = SessionKeys::derive_both(profile, master)?;
        Self::with_session_keys(profile, &rtp, &rtcp)
    }

    /// From session keys that are there already.
    pub fn with_session_keys(profile: Profile, rtp: &SessionKeys, rtcp: &SessionKeys) -> Result<Self, SrtpError> {
        Ok(Self {
            rtp: Cipher::new(profile, rtp)?,
            rtcp: Cipher::new(profile, rtcp)?,
            word_at: match profile {
                Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 4,
                Profile::Aes128CmSha1_80 => profile.tag_length(true),
            },
            rtp_streams: Streams::default(),
            rtcp_streams: Streams::default(),
            kept: Vec::new(),
        })
    }

    /// Open an RTP packet in place. `header`: its bytes that are not encrypted.
    ///
    /// A packet that is refused may be left with other bytes behind its header.
    pub fn open_rtp(&mut self, packet: &mut [u8], header: usize) -> Result<Opened, SrtpError> {
        let (sequence, ssrc) = sequence_and_ssrc(packet, header)?;
        let index = match self.rtp_streams.get(ssrc) {
            Some(window) => window.guess(sequence).ok_or(SrtpError::Exhausted)?,
            None => u64::from(sequence),
        };
        self.rtp_streams.check(ssrc, index)?;
        let length = match &self.rtp {
            Cipher::Gcm(gcm) => gcm.open_rtp(ssrc, index, packet, header)?,
            Cipher::Cm(cm) => cm.open_rtp(ssrc, index, packet, header)?,
        };
        self.rtp_streams.accept(ssrc, index, &self.kept)?;
        Ok(Opened { length, index })
    }

    /// Open an RTCP compound in place, encrypted or only authenticated, and return the plain one's length.
    ///
    /// A packet that is refused may be left with other bytes behind its first eight.
    pub fn open_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let ssrc = word(packet, 4)?;
        let at = packet.len().checked_sub(self.word_at).ok_or(SrtpError::Length)?;
        let index = u64::from(word(packet, at)? & !ENCRYPTED);
        self.rtcp_streams.check(ssrc, index)?;
        let length = match &self.rtcp {
            Cipher::Gcm(gcm) => gcm.open_rtcp(ssrc, packet)?,
            Cipher::Cm(cm) => cm.open_rtcp(ssrc, packet)?,
        };
        self.rtcp_streams.accept(ssrc, index, &self.kept)?;
        Ok(length)
    }

    /// Never end the state of this SSRC, which is a stream of ours, in favour of a new one.
    pub fn keep(&mut self, ssrc: u32) {
        if !self.kept.contains(&ssrc) {
            self.kept.push(ssrc);
        }
    }

    /// Take back `keep`. The state stays until it is the oldest: the SSRC may come again, and its packets may be replayed.
    pub fn forget(&mut self, ssrc: u32) {
        self.kept.retain(|&each| each != ssrc);
    }

    /// How many SSRCs have state for RTP and for RTCP.
    pub fn ssrcs(&self) -> (usize, usize) {
        (self.rtp_streams.len(), self.rtcp_streams.len())
    }

    /// Bytes on the heap for what was heard, without the keys' contexts.
    pub fn heap_bytes(&self) -> usize {
        self.rtp_streams.heap_bytes() + self.rtcp_streams.heap_bytes() + self.kept.capacity() * size_of::<u32>()
    }
}

/// Seals what goes to a peer.
pub struct Sealer {
    rtp: Cipher,
    rtcp: Cipher,
    rtcp_index: u32,
}

impl Sealer {
    /// From our own master key‖salt.
    pub fn new(profile: Profile, master: &[u8]) -> Result<Self, SrtpError> {
        let (rtp, rtcp) = SessionKeys::derive_both(profile, master)?;
        Self::with_session_keys(profile, &rtp, &rtcp)
    }

    /// From session keys that are there already.
    pub fn with_session_keys(profile: Profile, rtp: &SessionKeys, rtcp: &SessionKeys) -> Result<Self, SrtpError> {
        Ok(Self { rtp: Cipher::new(profile, rtp)?, rtcp: Cipher::new(profile, rtcp)?, rtcp_index: 0 })
    }

    /// Seal an RTP packet and return its length. `out[..header]` holds the header; `payload` is encrypted into what follows it.
    ///
    /// `index` is ROC‖SEQ, 48 bits, and its lower half the header's sequence number. The caller keeps it: it must not come
    /// again for an SSRC, except with the same bytes.
    pub fn seal_rtp(&self, index: u64, out: &mut [u8], header: usize, payload: &[u8]) -> Result<usize, SrtpError> {
        let (sequence, ssrc) = sequence_and_ssrc(out, header)?;
        if index >> 48 != 0 {
            return Err(SrtpError::Exhausted);
        }
        if index as u16 != sequence {
            return Err(SrtpError::Length);
        }
        match &self.rtp {
            Cipher::Gcm(gcm) => gcm.seal_rtp(ssrc, index, out, header, payload),
            Cipher::Cm(cm) => cm.seal_rtp(ssrc, index, out, header, payload),
        }
    }

    /// Seal an RTCP compound in place. One index counts for all SSRCs, from 1 on.
    pub fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Result<(), SrtpError> {
        let ssrc = word(packet, 4)?;
        let index = self.rtcp_index + 1;
        if index >> 31 != 0 {
            return Err(SrtpError::Exhausted);
        }
        self.rtcp_index = index;
        match &self.rtcp {
            Cipher::Gcm(gcm) => gcm.seal_rtcp(ssrc, index, packet),
            Cipher::Cm(cm) => cm.seal_rtcp(ssrc, index, packet),
        }
    }
}

fn sequence_and_ssrc(packet: &[u8], header: usize) -> Result<(u16, u32), SrtpError> {
    match packet {
        [_, _, high, low, _, _, _, _, a, b, c, d, ..] if (12..=packet.len()).contains(&header) => {
            Ok((u16::from_be_bytes([*high, *low]), u32::from_be_bytes([*a, *b, *c, *d])))
        }
        _ => Err(SrtpError::Length),
    }
}

fn word(packet: &[u8], at: usize) -> Result<u32, SrtpError> {
    let bytes = packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u32::from_be_bytes).ok_or(SrtpError::Length)
}
