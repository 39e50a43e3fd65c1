//! What goes out: datagrams back to back in one buffer, those of one receiver as equal pieces that the kernel takes as one message.

use crate::ice::Tuple;

/// Bytes after which a batch is taken to the sockets: it must stay in a core's cache.
pub const FULL_BYTES: usize = 192 * 1024;
/// Messages after which it is taken there.
pub const FULL_MESSAGES: usize = 64;
/// Pieces of one message (the kernel takes at least 64) and their bytes together (one IP packet's).
pub const MAX_PIECES: usize = 40;
pub const MAX_BYTES: usize = 60_000;

/// Datagrams for one receiver: `len` bytes from `at` on, in pieces of `segment`; only the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    pub to: Tuple,
    pub at: usize,
    pub len: usize,
    pub segment: usize,
}

/// Where full batches go.
pub trait Sink {
    /// Send all messages; what the network does not take is dropped.
    fn send(&mut self, batch: &Batch);
}

/// Datagrams that wait to be sent, in order.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    used: usize,
    pub messages: Vec<Message>,
}

impl Batch {
    /// Whether it should be sent before more is added.
    pub fn full(&self) -> bool {
        self.used >= FULL_BYTES || self.messages.len() >= FULL_MESSAGES
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forget what was sent; the memory stays.
    pub fn clear(&mut self) {
        self.used = 0;
        self.messages.clear();
    }

    /// Room for a datagram of at most `size` bytes; what it holds is not defined. `commit` takes it in.
    pub fn piece(&mut self, size: usize) -> &mut [u8] {
        if self.bytes.len() < self.used + size {
            self.bytes.resize((self.used + size).next_multiple_of(64 * 1024), 0);
        }
        &mut self.bytes[self.used..self.used + size]
    }

    /// Take the first `len` bytes of the piece given last as one datagram to `to`. It joins the message before it if that goes
    /// to the same receiver in pieces that it fits.
    pub fn commit(&mut self, to: Tuple, len: usize) {
        let at = self.used;
        self.used += len;
        if let Some(last) = self.messages.last_mut() {
            let whole = last.len % last.segment == 0;
            let room = last.len / last.segment < MAX_PIECES && last.len + len <= MAX_BYTES;
            if last.to == to && whole && len <= last.segment && room && len > 0 {
                last.len += len;
                return;
            }
        }
        self.messages.push(Message { to, at, len, segment: len.max(1) });
    }

    /// Append one datagram.
    pub fn datagram(&mut self, to: Tuple, data: &[u8]) {
        self.piece(data.len()).copy_from_slice(data);
        self.commit(to, data.len());
    }

    /// The bytes of a message.
    pub fn bytes(&self, message: &Message) -> &[u8] {
        self.bytes.get(message.at..message.at + message.len).unwrap_or_default()
    }

    /// The datagrams one by one.
    pub fn datagrams(&self) -> impl Iterator<Item = (Tuple, &[u8])> {
        self.messages
            .iter()
            .flat_map(|message| self.bytes(message).chunks(message.segment).map(|piece| (message.to, piece)))
    }

    /// How many datagrams wait, and their bytes.
    pub fn count(&self) -> (u64, u64) {
        let pieces: usize = self.messages.iter().map(|message| message.len.div_ceil(message.segment)).sum();
        (pieces as u64, self.used as u64)
    }
}

/// What a step of the plane leads to: datagrams, which `sink` takes when there are many, and events.
pub struct Output<'a> {
    pub batch: &'a mut Batch,
    pub events: &'a mut Vec<crate::order::Event>,
    pub sink: &'a mut dyn Sink,
    pub counters: &'a crate::counters::PlaneCounters,
}

impl Output<'_> {
    /// Make room for another receiver's datagrams.
    pub fn make_room(&mut self) {
        if self.batch.full() {
            self.flush();
        }
    }

    /// Send what waits.
    pub fn flush(&mut self) {
        if !self.batch.is_empty() {
            let (packets, bytes) = self.batch.count();
            self.counters.packets_sent.add(packets);
            self.counters.bytes_sent.add(bytes);
            self.sink.send(self.batch);
            self.batch.clear();
        }
    }
}
