//! What of a producer's packets a receiver gets, and under which numbers: between the shared history and the sender.
//!
//! Forwarding begins with a key frame (where the codec shows one); what is late for that is dropped. Numbers
//! go on without a hole over pause and resume, and what was sent before is not sent again after: the receiver begins anew.

/// A gap after which numbers go on as if there were none, and nothing from before is sent again: it cannot be repaired.
const MAX_JUMP: u64 = 3000;
/// How far back a packet may be asked for: receivers take none that is older, their replay windows have 1,024.
const MAX_BEHIND: u16 = 1000;

/// What came of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Send it under this number (its lower 16 bits are the sequence number, the others count its wraps).
    Send(u64),
    /// Not for this receiver, or too late.
    Drop,
    /// A key frame must come before anything can be sent.
    NeedsKeyFrame,
}

/// What was sent under a sequence number: the whole number, and the producer's packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub number: u64,
    pub extended: u64,
}

/// One receiver's view of one producer: `first` to `last` of its packets, with `offset` (modulo 2^64) added to their numbers.
#[derive(Debug)]
pub struct Selector {
    synced: bool,
    first: u64,
    last: u64,
    next: u64,
    offset: u64,
}

impl Selector {
    /// Begin with this number.
    pub fn new(first_number: u16) -> Self {
        Self { synced: false, first: 0, last: 0, next: first_number.into(), offset: 0 }
    }

    /// The newest of the producer's packets that were chosen.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Begin anew at the next key frame.
    pub fn desync(&mut self) {
        self.synced = false;
    }

    /// Choose for the packet `extended`; `newest`: none after it came yet; `may_begin`: a receiver can begin there.
    pub fn choose(&mut self, extended: u64, newest: bool, may_begin: bool) -> Choice {
        if !self.synced {
            if !may_begin {
                return Choice::NeedsKeyFrame;
            }
            self.synced = true;
            self.begin(extended);
        } else if newest && extended.saturating_sub(self.last) > MAX_JUMP {
            self.begin(extended);
        }
        if extended < self.first {
            return Choice::Drop;
        }
        self.last = self.last.max(extended);
        let number = extended.wrapping_add(self.offset);
        self.next = self.next.max(number + 1);
        Choice::Send(number)
    }

    fn begin(&mut self, extended: u64) {
        (self.first, self.last, self.offset) = (extended, extended, self.next.wrapping_sub(extended));
    }

    /// Whether this is the first packet since it began, and no other was sent yet.
    pub fn just_began(&self, extended: u64) -> bool {
        self.synced && (self.first, self.last) == (extended, extended)
    }

    /// What a receiver means by a sequence number.
    pub fn sent(&self, sequence: u16) -> Option<Sent> {
        let newest = self.next.checked_sub(1).filter(|_| self.synced)?;
        let behind = Some((newest as u16).wrapping_sub(sequence)).filter(|behind| *behind < MAX_BEHIND)?;
        let number = newest.checked_sub(behind.into())?;
        let extended = number.wrapping_sub(self.offset);
        (self.first..=self.last).contains(&extended).then_some(Sent { number, extended })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_without_a_hole_over_a_pause() {
        let mut selector = Selector::new(65_534);
        assert_eq!(selector.choose(70_000, true, false), Choice::NeedsKeyFrame);
        assert_eq!(selector.choose(70_001, true, true), Choice::Send(65_534));
        assert_eq!(selector.choose(70_003, true, false), Choice::Send(65_536));
        assert_eq!(selector.choose(70_000, false, false), Choice::Drop);
        let sent = |number, extended| Some(Sent { number, extended });
        assert_eq!(selector.sent(65_535), sent(65_535, 70_002));
        selector.desync();
        assert_eq!(selector.sent(65_535), None);
        assert_eq!(selector.choose(70_009, true, true), Choice::Send(65_537));
        assert_eq!(selector.choose(70_010, true, true), Choice::Send(65_538));
        assert_eq!(selector.sent(1), sent(65_537, 70_009));
        assert_eq!((selector.sent(0), selector.sent(3)), (None, None));
        assert_eq!(selector.choose(80_000, true, false), Choice::Send(65_539));
        assert_eq!((selector.sent(2), selector.sent(3)), (None, sent(65_539, 80_000)));
    }
}
