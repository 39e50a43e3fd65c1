//! What came lately of one producer, in plain, shared by all its consumers: each sends again from it what its receiver missed.
//!
//! Bounded by age and count; it grows with what is kept and shrinks with it, to nothing when nothing comes.

use crate::Micros;
use crate::pool::Pool;
use crate::rtp::Header;

/// Packets kept at most.
pub const MAX_PACKETS: usize = 1000;
const MIN_SLOTS: usize = 16;

/// A packet in plain, its padding cut.
#[derive(Debug)]
pub struct Packet {
    pub extended: u64,
    pub arrived: Micros,
    pub timestamp: u32,
    pub marker: bool,
    pub payload_type: u8,
    /// Whether a key frame begins with it.
    pub key_frame: bool,
    pub data: Vec<u8>,
    pub header: Header,
}

/// The packets of one stream by extended number: a ring whose slot for a number is the number modulo its size.
#[derive(Debug)]
pub struct History {
    max_age: Micros,
    max_packets: usize,
    slots: Vec<Option<Packet>>, // none, or a power of two of them
    oldest: u64,                // nothing older is kept
    newest: u64,                // nothing newer is kept; the span between the two fits the slots
    len: usize,
    bytes: usize,
}

impl History {
    /// Keep packets for `max_age`.
    pub fn new(max_age: Micros) -> Self {
        Self::bounded(max_age, MAX_PACKETS)
    }

    /// Keep at most so many packets, at least one.
    pub fn bounded(max_age: Micros, max_packets: usize) -> Self {
        let max_packets = max_packets.max(1);
        let slots = Vec::new();
        Self { max_age, max_packets, slots, oldest: 0, newest: 0, len: 0, bytes: 0 }
    }

    /// How many packets are kept.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory held: buffers and slots.
    pub fn bytes(&self) -> usize {
        self.bytes + self.slots.capacity() * size_of::<Option<Packet>>()
    }

    /// Keep a packet; a second one with its number replaces it. Forget what is too old or too much for it, and everything if
    /// the numbers jump. One that is far too late is not kept.
    pub fn insert(&mut self, packet: Packet, pool: &mut Pool) {
        let (extended, now) = (packet.extended, packet.arrived);
        if self.len > 0 && extended.abs_diff(self.newest) >= self.max_span() {
            let newer = |newest: &Packet| packet.timestamp.wrapping_sub(newest.timestamp) < 1 << 31;
            if extended < self.newest && !self.at(self.newest).is_some_and(newer) {
                return pool.give(packet.data);
            }
            self.clear(pool);
        }
        while self.len >= self.max_packets || (self.len > 0 && extended.saturating_sub(self.oldest) >= self.max_span())
        {
            self.forget_oldest(pool);
        }
        if self.len == 0 {
            (self.oldest, self.newest) = (extended, extended);
        }
        (self.oldest, self.newest) = (self.oldest.min(extended), self.newest.max(extended));
        self.fit((self.newest - self.oldest) as usize + 1);
        self.forget(extended, pool);
        let slot = self.slot(extended);
        if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot)) {
            self.bytes += packet.data.capacity();
            self.len += 1;
            *slot = Some(packet);
        }
        self.forget_aged(now, pool);
    }

    /// Return a packet that is not too old.
    pub fn get(&self, extended: u64, now: Micros) -> Option<&Packet> {
        let packet = self.at(extended)?;
        (packet.extended == extended && now.saturating_sub(packet.arrived) <= self.max_age).then_some(packet)
    }

    /// The packets after a number, ascending.
    pub fn after(&self, extended: u64, now: Micros) -> impl Iterator<Item = &Packet> {
        (extended + 1..=self.newest).filter_map(move |each| self.get(each, now))
    }

    /// Forget what is too old, and let go of memory that is not needed any more: to be called now and then.
    pub fn expire(&mut self, now: Micros, pool: &mut Pool) {
        self.forget_aged(now, pool);
        let span = if self.len == 0 { 0 } else { (self.newest - self.oldest) as usize + 1 };
        if span == 0 {
            self.slots = Vec::new();
        } else if self.slots.len() > MIN_SLOTS && span <= self.slots.len() / 4 {
            self.resize((span * 2).next_power_of_two().max(MIN_SLOTS));
        }
    }

    /// Forget everything.
    pub fn clear(&mut self, pool: &mut Pool) {
        for packet in self.slots.drain(..).flatten() {
            pool.give(packet.data);
        }
        (self.slots, self.len, self.bytes) = (Vec::new(), 0, 0);
    }

    /// Numbers between the oldest and the newest: what was lost has one too, and any that is not far off has its place.
    fn max_span(&self) -> u64 {
        (2 * self.max_packets).next_power_of_two() as u64
    }

    fn at(&self, extended: u64) -> Option<&Packet> {
        self.slots.get(self.slot(extended)?)?.as_ref()
    }

    fn slot(&self, extended: u64) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        Some(extended as usize & mask)
    }

    fn fit(&mut self, span: usize) {
        if span > self.slots.len() {
            self.resize(span.next_power_of_two().max(MIN_SLOTS));
        }
    }

    fn resize(&mut self, slots: usize) {
        let mut resized = Vec::new();
        resized.resize_with(slots, || None);
        for packet in self.slots.drain(..).flatten() {
            let at = packet.extended as usize & (slots - 1);
            resized[at] = Some(packet);
        }
        self.slots = resized;
    }

    fn forget(&mut self, extended: u64, pool: &mut Pool) {
        let Some(at) = self.slot(extended) else { return };
        if let Some(packet) = self.slots.get_mut(at).and_then(Option::take) {
            self.len -= 1;
            self.bytes -= packet.data.capacity();
            pool.give(packet.data);
        }
    }

    /// Forget the oldest number, if there is more than one, and move on to the next that is kept.
    fn forget_oldest(&mut self, pool: &mut Pool) {
        self.forget(self.oldest, pool);
        while self.oldest < self.newest {
            self.oldest += 1;
            if self.at(self.oldest).is_some() {
                break;
            }
        }
    }

    fn forget_aged(&mut self, now: Micros, pool: &mut Pool) {
        while let Some(oldest) = self.at(self.oldest) {
            if now.saturating_sub(oldest.arrived) <= self.max_age {
                return;
            }
            self.forget_oldest(pool);
        }
    }
}

#[cfg(test)]
mod tests;
