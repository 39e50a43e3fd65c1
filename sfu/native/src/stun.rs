//! STUN binding requests as ICE sends them, and the answers to them (RFC 8489, RFC 8445 §7.3).
//!
//! A request is read in three steps, each dearer than the one before it: whom it names, whether it is whole, whether it is
//! authentic. The first two need no key and allocate nothing. Attributes that ICE does not know are passed over, whether
//! they have to be understood or not: a 420 would answer somebody who may have forged his address.

mod answer;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

pub use answer::{write_role_conflict, write_success};

const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const REQUEST: [u8; 2] = [0x00, 0x01];

const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;

const INTEGRITY_LENGTH: usize = 4 + 20;
const FINGERPRINT_LENGTH: usize = 4 + 4;
const FINGERPRINT_HEAD: [u8; 4] = [0x80, 0x28, 0x00, 0x04];
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Attributes that are looked at in search of USERNAME; browsers write it first.
const MAX_BEFORE_USERNAME: usize = 8;
/// Bytes of a username fragment that are looked up. Ours have 16; RFC 8839 §5.4 would allow 256, for a stranger to fill.
pub const MAX_FRAGMENT: usize = 64;

/// Why a datagram is no check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StunError {
    /// No binding request, or its length is not the datagram's.
    NotARequest,
    /// An attribute is cut off, in the wrong place or of the wrong length.
    Malformed,
    /// There is no USERNAME, or not where it is looked for.
    NoUsername,
    /// There is no MESSAGE-INTEGRITY.
    NoIntegrity,
    /// It does not end with FINGERPRINT.
    NoFingerprint,
    /// Its FINGERPRINT is another datagram's.
    WrongFingerprint,
}

/// The username fragment that a datagram seems to name: what stands before the colon. Nothing of it is verified.
///
/// Most of what strangers send ends here, so few attributes are looked at, however many there are.
pub fn fragment(datagram: &[u8]) -> Result<&[u8], StunError> {
    for attribute in Attributes::of(datagram)?.take(MAX_BEFORE_USERNAME) {
        let attribute = attribute?;
        if attribute.kind == USERNAME {
            return before_colon(attribute.value);
        }
    }
    Err(StunError::NoUsername)
}

/// A binding request that is whole. Whose it is only `authentic` says.
#[derive(Clone, Copy, Debug)]
pub struct Check<'a> {
    /// What the answer must repeat.
    pub transaction: [u8; 12],
    /// Which credentials it claims to know.
    pub fragment: &'a [u8],
    /// Whether the sender takes itself for controlled, as we do.
    pub controlled: bool,
    /// Whether it nominates the 5-tuple that it came by.
    pub use_candidate: bool,
    /// The priority that a candidate learned from it would have.
    pub priority: Option<u32>,
    datagram: &'a [u8],
    integrity: usize,
}

/// Read a binding request with USERNAME, MESSAGE-INTEGRITY and, at its end, a right FINGERPRINT.
///
/// What stands between the last two is not authenticated and counts for nothing; of an attribute that is there twice the first
/// counts (RFC 8489 §14, §14.5).
pub fn parse(datagram: &[u8]) -> Result<Check<'_>, StunError> {
    Attributes::of(datagram)?;
    let signed = without_fingerprint(datagram)?;
    let (mut username, mut integrity, mut priority) = (None, None, None);
    let (mut controlled, mut use_candidate) = (false, false);
    for attribute in (Attributes { datagram: signed, at: HEADER }) {
        let Attribute { kind, at, value } = attribute?;
        match kind {
            FINGERPRINT => return Err(StunError::Malformed),
            _ if integrity.is_some() => {}
            USERNAME => username = username.or(Some(value)),
            INTEGRITY if value.len() + 4 == INTEGRITY_LENGTH => integrity = Some(at),
            PRIORITY => priority = priority.or(Some(u32::from_be_bytes(exactly(value)?))),
            USE_CANDIDATE => use_candidate = true,
            ICE_CONTROLLED => controlled = exactly::<8>(value).map(|_| true)?,
            INTEGRITY => return Err(StunError::Malformed),
            _ => {}
        }
    }
    let username = username.ok_or(StunError::NoUsername)?;
    std::str::from_utf8(username).map_err(|_| StunError::Malformed)?;
    Ok(Check {
        transaction: datagram.get(8..HEADER).ok_or(StunError::NotARequest).and_then(exactly)?,
        fragment: before_colon(username)?,
        controlled,
        use_candidate,
        priority,
        datagram,
        integrity: integrity.ok_or(StunError::NoIntegrity)?,
    })
}

impl Check<'_> {
    /// Whether it was written by somebody who knows the password. Takes the same time for any wrong answer.
    pub fn authentic(&self, password: &Password) -> bool {
        let Some((signed, rest)) = self.datagram.split_at_checked(self.integrity) else {
            return false;
        };
        let (Some(after_length), Some(given)) = (signed.get(4..), rest.get(4..INTEGRITY_LENGTH)) else {
            return false;
        };
        let length = (signed.len() - HEADER + INTEGRITY_LENGTH) as u16;
        let mut context = hmac::Context::with_key(&password.0);
        context.update(&REQUEST);
        context.update(&length.to_be_bytes());
        context.update(after_length);
        verify_slices_are_equal(context.sign().as_ref(), given).is_ok()
    }
}

/// A password, ready to verify and to sign with (short-term credentials, RFC 8489 §9.1).
pub struct Password(hmac::Key);

impl Password {
    /// Prepare a password; ICE's are ASCII, so none needs the preparation of RFC 8265.
    pub fn new(password: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()))
    }
}

struct Attribute<'a> {
    kind: u16,
    at: usize,
    value: &'a [u8],
}

/// The attributes of a message, one after another; the first that is cut off ends them.
struct Attributes<'a> {
    datagram: &'a [u8],
    at: usize,
}

impl<'a> Attributes<'a> {
    fn of(datagram: &'a [u8]) -> Result<Self, StunError> {
        match datagram {
            [0, 1, high, low, 0x21, 0x12, 0xA4, 0x42, ..]
                if usize::from(u16::from_be_bytes([*high, *low])) + HEADER == datagram.len() && low % 4 == 0 =>
            {
                Ok(Self { datagram, at: HEADER })
            }
            _ => Err(StunError::NotARequest),
        }
    }

    fn read(&self) -> Option<(Attribute<'a>, usize)> {
        let (head, rest) = self.datagram.get(self.at..)?.split_first_chunk::<4>()?;
        let [kind_high, kind_low, high, low] = *head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        let value = rest.get(..length + padding(length))?.get(..length)?;
        let kind = u16::from_be_bytes([kind_high, kind_low]);
        Some((Attribute { kind, at: self.at, value }, self.at + 4 + length + padding(length)))
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<Attribute<'a>, StunError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.datagram.len() {
            return None;
        }
        let read = self.read();
        self.at = read.as_ref().map_or(self.datagram.len(), |(_, next)| *next);
        Some(read.map(|(attribute, _)| attribute).ok_or(StunError::Malformed))
    }
}

/// What a message's FINGERPRINT is about, if it is right.
fn without_fingerprint(datagram: &[u8]) -> Result<&[u8], StunError> {
    let (signed, last) = datagram.split_last_chunk::<FINGERPRINT_LENGTH>().ok_or(StunError::NoFingerprint)?;
    let [head @ .., a, b, c, d] = *last;
    if signed.len() < HEADER || head != FINGERPRINT_HEAD {
        return Err(StunError::NoFingerprint);
    }
    let right = crc32fast::hash(signed) ^ FINGERPRINT_XOR == u32::from_be_bytes([a, b, c, d]);
    right.then_some(signed).ok_or(StunError::WrongFingerprint)
}

fn before_colon(username: &[u8]) -> Result<&[u8], StunError> {
    let colon = username.iter().take(MAX_FRAGMENT + 1).position(|byte| *byte == b':');
    let fragment = username.get(..colon.unwrap_or(username.len())).unwrap_or_default();
    if fragment.len() > MAX_FRAGMENT { Err(StunError::Malformed) } else { Ok(fragment) }
}

fn exactly<const LENGTH: usize>(value: &[u8]) -> Result<[u8; LENGTH], StunError> {
    value.try_into().map_err(|_| StunError::Malformed)
}

fn padding(length: usize) -> usize {
    length.wrapping_neg() % 4
}
