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
mod tests {
    use super::*;
    use crate::reception::Reception;
    use crate::rtp::Extensions;

    const MS: Micros = 1000;

    fn packet(extended: u64, arrived: Micros, timestamp: u32, pool: &mut Pool) -> Packet {
        let header = Header {
            marker: false,
            payload_type: 96,
            sequence: extended as u16,
            timestamp,
            ssrc: 7,
            csrcs: 0,
            payload_at: 8,
            padding: 0,
            extensions: Extensions::NONE,
        };
        let data = pool.copy(&extended.to_be_bytes());
        Packet { extended, arrived, timestamp, marker: false, payload_type: 96, key_frame: false, data, header }
    }

    fn insert(history: &mut History, extended: u64, arrived: Micros, pool: &mut Pool) {
        let packet = packet(extended, arrived, extended as u32 * 90, pool);
        history.insert(packet, pool);
    }

    fn kept(history: &History, numbers: impl Iterator<Item = u64>, now: Micros) -> Vec<u64> {
        numbers.filter(|each| history.get(*each, now).is_some_and(|packet| packet.data == each.to_be_bytes())).collect()
    }

    #[test]
    fn a_packet_is_there_until_it_is_too_old() {
        let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
        insert(&mut history, 70_000, 0, &mut pool);
        insert(&mut history, 70_002, 500 * MS, &mut pool);
        insert(&mut history, 70_001, 600 * MS, &mut pool);
        assert_eq!(kept(&history, 69_990..70_010, 2000 * MS), [70_000, 70_001, 70_002]);
        assert_eq!(kept(&history, 69_990..70_010, 2001 * MS), [70_001, 70_002]);
        assert_eq!(kept(&history, 69_990..70_010, 2501 * MS), [70_001], "late, so younger than the next");
        assert_eq!(history.len(), 3);
        history.expire(2001 * MS, &mut pool);
        assert_eq!(history.len(), 2);
        history.expire(2601 * MS, &mut pool);
        assert_eq!((history.len(), history.bytes()), (0, 0));
    }

    #[test]
    fn the_newest_thousand_are_kept() {
        let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
        for each in 65_536..70_000 {
            insert(&mut history, each, 0, &mut pool);
        }
        assert_eq!(kept(&history, 65_536..70_100, 0), (69_000..70_000).collect::<Vec<_>>());
        insert(&mut history, 68_500, 0, &mut pool);
        assert_eq!((history.len(), history.get(68_500, 0).is_some()), (1000, true), "late");
        assert_eq!(kept(&history, 68_501..70_000, 0), (69_001..70_000).collect::<Vec<_>>());
        insert(&mut history, 67_900, 0, &mut pool);
        assert!(history.get(67_900, 0).is_none(), "far too late");
        insert(&mut history, 73_000, 0, &mut pool);
        assert_eq!((history.len(), history.get(73_000, 0).is_some()), (1, true), "nothing before the gap is in reach");
    }

    #[test]
    fn a_second_packet_with_a_number_replaces_the_first() {
        let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
        insert(&mut history, 70_000, 0, &mut pool);
        insert(&mut history, 70_000, 9, &mut pool);
        assert_eq!((history.len(), history.get(70_000, 9).map(|packet| packet.arrived)), (1, Some(9)));
        insert(&mut history, 69_999, 9, &mut pool);
        assert_eq!(kept(&history, 69_990..70_010, 9), [69_999, 70_000], "one from before the first");
    }

    #[test]
    fn memory_follows_what_is_kept() {
        let (mut history, mut pool) = (History::new(1000 * MS), Pool::default());
        assert_eq!(history.bytes(), 0);
        insert(&mut history, 70_000, 0, &mut pool);
        let small = history.bytes();
        for each in 1..2000 {
            insert(&mut history, 70_000 + each, each * MS, &mut pool);
        }
        let large = history.bytes();
        assert!(large > 50 * small && history.len() == 1000, "{small} {large}");
        insert(&mut history, 72_000, 2990 * MS, &mut pool);
        history.expire(2990 * MS, &mut pool);
        assert!(history.bytes() < large / 20 && history.len() == 11, "{small} {}", history.bytes());
        assert_eq!(kept(&history, 71_000..73_000, 2990 * MS), (71_990..72_001).collect::<Vec<_>>());
        history.clear(&mut pool);
        assert_eq!((history.len(), history.bytes(), history.get(72_000, 0).is_none()), (0, 0, true));
        assert!(pool.bytes() > 0, "buffers go back");
    }

    #[test]
    fn a_stream_that_begins_anew_replaces_the_old_one() {
        let (mut history, mut pool) = (History::new(2000 * MS), Pool::default());
        insert(&mut history, 70_000, 0, &mut pool);
        let anew = packet(150_000, 0, 5, &mut pool); // its timestamps are older
        history.insert(anew, &mut pool);
        assert_eq!(kept(&history, 60_000..160_000, 0), [150_000]);
    }

    #[test]
    fn any_order_leaves_what_is_young_and_within_reach() {
        let (mut history, mut pool, mut random) = (History::bounded(50, 10), Pool::default(), 1_u64);
        for now in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let extended = 70_000 + now / 3 + (random >> 33) % 12;
            insert(&mut history, extended, now, &mut pool);
            assert_eq!(history.get(extended, now).map(|packet| packet.arrived), Some(now));
            assert!(history.len() <= 10 && history.slots.len() <= 32);
            assert_eq!(history.len(), history.slots.iter().flatten().count());
            if random >> 60 == 0 {
                history.expire(now + (random >> 40) % 60, &mut pool);
            }
        }
    }

    /// mediasoup's buffer is of 16-bit numbers: here each is taken for the one nearest to the newest. Its buffer refuses a number
    /// that is far ahead with an older timestamp; in this plane `Reception` has refused that before (RFC 3550 A.1), and what it
    /// takes for a stream that begins anew must be kept.
    #[test]
    fn the_vectors_hold() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/retransmission_buffer.json")).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let age = case["maxRetransmissionDelayMs"].as_u64().unwrap() * MS;
            let mut history = History::bounded(age, case["maxItems"].as_u64().unwrap() as usize);
            let (mut pool, mut reception) = (Pool::default(), Reception::new());
            for step in case["steps"].as_array().unwrap() {
                let number = |value: &serde_json::Value, key: &str| value[key].as_u64().unwrap();
                let extend = |sequence: u64| {
                    let newest = if history.is_empty() { sequence + 0x20000 } else { history.newest };
                    newest.wrapping_add_signed(i64::from((sequence as u16).wrapping_sub(newest as u16) as i16))
                };
                if let Some(insert) = step.get("insert") {
                    let extended = extend(number(insert, "seq"));
                    let taken = reception.received(number(insert, "seq") as u16, 0, 90_000, 0);
                    if case["name"] == "packet with too old sequence number is discarded" && taken.is_none() {
                        continue;
                    }
                    let packet = packet(extended, 0, number(insert, "timestamp") as u32, &mut pool);
                    history.insert(packet, &mut pool);
                } else {
                    let slots = step["expect_slots"].as_array().unwrap();
                    assert_eq!(history.len(), slots.len(), "{case}");
                    for slot in slots {
                        let packet = history.get(extend(number(slot, "seq")), 0);
                        assert_eq!(
                            packet.map(|each| u64::from(each.timestamp)),
                            Some(number(slot, "timestamp")),
                            "{case}"
                        );
                    }
                }
            }
        }
    }
}
