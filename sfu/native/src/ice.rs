//! ICE-lite (RFC 8445 §2.5): answers authentic checks, learns 5-tuples from them, holds consent (RFC 7675).
//!
//! A check that is not authentic gets no answer, where RFC 8489 §9.1.3 would send a 401: whoever knows no password may have
//! forged the address, and a client whose credentials are just being replaced does better to repeat its check than to be
//! refused. The first valid 5-tuple is selected, then any with USE-CANDIDATE; a browser whose network gave it another port may
//! check from there without it (Firefox nominates once), so a selected 5-tuple that was quiet for 10 s gives way to any valid one.

use std::net::SocketAddr;

use crate::Micros;
use crate::stun::{Check, Password, write_role_conflict, write_success};

/// 5-tuples of one transport.
pub const MAX_TUPLES: usize = 8;
/// Credentials of one transport that are answered at a time.
pub const MAX_CREDENTIALS: usize = 4;
/// Without a check or media for so long, a 5-tuple counts as left; Firefox checks each five seconds.
pub const QUIET: Micros = 10_000_000;

/// A pair of ends: which of our sockets (or TCP connections, numbered from 0x4000 on), and the peer's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple {
    pub local: u16,
    pub remote: SocketAddr,
}

/// What a transport's checks are addressed with and authenticated by (RFC 8839 §5.4).
#[derive(Clone)]
pub struct Credentials {
    pub fragment: String,
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Credentials").field("fragment", &self.fragment).finish_non_exhaustive()
    }
}

/// What an authentic check led to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// A 5-tuple that had to go.
    pub dropped: Option<Tuple>,
    /// Username fragments that ended.
    pub retired: Vec<String>,
}

/// One transport's side of ICE.
pub struct IceLite {
    /// The first is in use; the others were made after it, and whichever is used ends those before it.
    answered: Vec<Answered>,
    /// The valid 5-tuples in the order they came, and when each last proved to be the peer's.
    tuples: Vec<(Tuple, Micros)>,
    /// Where to send to.
    pub selected: Option<Tuple>,
    /// Whether the peer ever said where to send to.
    pub nominated: bool,
    /// When the peer last proved to be there.
    pub alive_at: Option<Micros>,
}

struct Answered {
    fragment: String,
    password: Password,
}

impl Answered {
    fn new(credentials: &Credentials) -> Self {
        Self { fragment: credentials.fragment.clone(), password: Password::new(&credentials.password) }
    }
}

impl IceLite {
    pub fn new(credentials: Credentials) -> Self {
        let answered = vec![Answered::new(&credentials)];
        Self { answered, tuples: Vec::new(), selected: None, nominated: false, alive_at: None }
    }

    /// Answer to new credentials too. Returns the fragment that ended for that, if there were too many never used.
    pub fn restart(&mut self, credentials: Credentials) -> Option<String> {
        self.answered.push(Answered::new(&credentials));
        (self.answered.len() > MAX_CREDENTIALS).then(|| self.answered.remove(1).fragment)
    }

    /// The username fragments that are answered.
    pub fn fragments(&self) -> impl Iterator<Item = &str> {
        self.answered.iter().map(|each| each.fragment.as_str())
    }

    /// Judge a check that came by `from` and append the answer to `reply`; None and no answer if it is not authentic.
    pub fn check(&mut self, check: &Check, from: Tuple, now: Micros, reply: &mut Vec<u8>) -> Option<Checked> {
        let used = self.answered.iter().position(|each| each.fragment.as_bytes() == check.fragment)?;
        let password = &self.answered.get(used)?.password;
        if !check.authentic(password) {
            return None;
        }
        if check.controlled {
            write_role_conflict(reply, check, password);
            return Some(Checked::default());
        }
        write_success(reply, check, from.remote, password);
        let retired = self.answered.drain(..used).map(|each| each.fragment).collect();
        Some(Checked { dropped: self.admit(from, check.use_candidate, now), retired })
    }

    /// Take note of a sign of life from one of the 5-tuples.
    pub fn heard(&mut self, tuple: Tuple, now: Micros) {
        self.alive_at = Some(now);
        if let Some((_, at)) = self.tuples.iter_mut().find(|(each, _)| *each == tuple) {
            *at = now;
        }
    }

    /// Whether the peer was heard from there lately.
    pub fn holds(&self, tuple: Tuple, now: Micros) -> bool {
        self.tuples.iter().any(|(each, at)| *each == tuple && now.saturating_sub(*at) <= QUIET)
    }

    /// Know no 5-tuple any more.
    pub fn forget(&mut self) {
        self.tuples.clear();
        self.selected = None;
        self.alive_at = None;
    }

    /// The valid 5-tuples, the oldest first.
    pub fn tuples(&self) -> impl Iterator<Item = Tuple> {
        self.tuples.iter().map(|(tuple, _)| *tuple)
    }

    /// Whether a 5-tuple is a valid one.
    pub fn knows(&self, tuple: Tuple) -> bool {
        self.tuples().any(|each| each == tuple)
    }

    /// Know a 5-tuple no more whose TCP connection went. If it was selected, the one that was heard last takes its place, unless
    /// that is long ago: then nothing is sent until the next check. Returns whether `selected` changed.
    pub fn closed(&mut self, tuple: Tuple, now: Micros) -> bool {
        self.tuples.retain(|(each, _)| *each != tuple);
        if self.selected != Some(tuple) {
            return false;
        }
        let latest = self.tuples.iter().max_by_key(|(_, at)| *at).map(|(each, _)| *each);
        self.selected = latest.filter(|each| self.holds(*each, now));
        true
    }

    /// Keep a valid 5-tuple, select it if that is its turn, return the oldest other one if there are too many.
    fn admit(&mut self, tuple: Tuple, nominating: bool, now: Micros) -> Option<Tuple> {
        if nominating || !self.selected.is_some_and(|selected| self.holds(selected, now)) {
            self.selected = Some(tuple);
            self.nominated |= nominating;
        }
        if !self.knows(tuple) {
            self.tuples.push((tuple, now));
        }
        self.heard(tuple, now);
        let too_many = self.tuples.len() > MAX_TUPLES;
        let oldest = self.tuples().position(|each| too_many && each != tuple && Some(each) != self.selected)?;
        Some(self.tuples.remove(oldest).0)
    }
}
