//! The controlling side's connectivity checks (RFC 8445 §7.2, RFC 8489): a request that nominates, and its answer.

use aws_lc_rs::hmac;

const COOKIE: u32 = 0x2112_A442;
const REQUEST: u16 = 0x0001;
const SUCCESS: u16 = 0x0101;
const USERNAME: u16 = 0x0006;
const INTEGRITY: u16 = 0x0008;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const CONTROLLING: u16 = 0x802A;

/// A peer that is checked: its credentials, and the check that waits for an answer.
pub struct Checks {
    username: String,
    key: hmac::Key,
    transaction: [u8; 12],
    sent: u64,
    tie: u64,
}

impl Checks {
    /// Get ready to check a peer; `tie` is any number that others do not have.
    pub fn new(fragment: &str, password: &str, tie: u64) -> Self {
        Self {
            username: format!("{fragment}:load"),
            key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()),
            transaction: [0; 12],
            sent: 0,
            tie,
        }
    }

    /// Write the next check.
    pub fn write(&mut self, out: &mut Vec<u8>) {
        self.sent += 1;
        self.transaction[..8].copy_from_slice(&self.tie.to_be_bytes());
        self.transaction[8..].copy_from_slice(&(self.sent as u32).to_be_bytes());
        out.clear();
        out.extend_from_slice(&REQUEST.to_be_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&COOKIE.to_be_bytes());
        out.extend_from_slice(&self.transaction);
        attribute(out, USERNAME, self.username.as_bytes());
        attribute(out, PRIORITY, &0x6E00_01FFu32.to_be_bytes());
        attribute(out, CONTROLLING, &self.tie.to_be_bytes());
        attribute(out, USE_CANDIDATE, &[]);
        set_length(out, 24);
        let tag = hmac::sign(&self.key, out);
        attribute(out, INTEGRITY, tag.as_ref());
        set_length(out, 8);
        let sum = crc32fast::hash(out) ^ 0x5354_554E;
        attribute(out, FINGERPRINT, &sum.to_be_bytes());
    }

    /// Say whether a datagram is the authentic answer to the last check.
    pub fn answered_by(&self, datagram: &[u8]) -> bool {
        let kind = datagram.get(..2).map(|two| u16::from_be_bytes([two[0], two[1]]));
        if kind != Some(SUCCESS) || datagram.get(8..20) != Some(&self.transaction) {
            return false;
        }
        let mut at = 20;
        while let Some(head) = datagram.get(at..at + 4) {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            if u16::from_be_bytes([head[0], head[1]]) == INTEGRITY {
                let mut covered = datagram[..at].to_vec();
                set_length(&mut covered, 24);
                return datagram
                    .get(at + 4..at + 4 + length)
                    .is_some_and(|tag| hmac::verify(&self.key, &covered, tag).is_ok());
            }
            at += 4 + length.next_multiple_of(4);
        }
        false
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Write the length of a message that `more` bytes will be appended to.
fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - 20 + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}
