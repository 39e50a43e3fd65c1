//! Packet buffers that are used again instead of allocated again. What is kept is bounded, and let go when a worker has no use for it.

/// Bytes that a buffer of each class holds: audio and what is as small, and any datagram of an Ethernet.
const CLASSES: [usize; 2] = [256, 1536];
/// Buffers kept of each class.
const MAX_KEPT: usize = 128;

/// Buffers that wait for their next packet. Those larger than a datagram are not kept.
#[derive(Debug, Default)]
pub struct Pool {
    kept: [Vec<Vec<u8>>; CLASSES.len()],
}

impl Pool {
    /// Return an empty buffer with room for `len` bytes.
    pub fn take(&mut self, len: usize) -> Vec<u8> {
        for (kept, room) in self.kept.iter_mut().zip(CLASSES) {
            if len <= room {
                return kept.pop().unwrap_or_else(|| Vec::with_capacity(room));
            }
        }
        Vec::with_capacity(len)
    }

    /// Return a buffer with these bytes, one part behind the other.
    pub fn join(&mut self, first: &[u8], second: &[u8]) -> Vec<u8> {
        let mut buffer = self.take(first.len() + second.len());
        buffer.extend_from_slice(first);
        buffer.extend_from_slice(second);
        buffer
    }

    /// Keep a buffer for the next packet, or free it.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        for (kept, room) in self.kept.iter_mut().zip(CLASSES) {
            if buffer.capacity() == room && kept.len() < MAX_KEPT {
                buffer.clear();
                kept.push(buffer);
                return;
            }
        }
    }

    /// Free half of what is kept, all of it in the end: to be called now and then.
    pub fn trim(&mut self) {
        for kept in &mut self.kept {
            kept.truncate(kept.len() / 2);
            kept.shrink_to_fit();
        }
    }

    /// Bytes that are kept.
    pub fn bytes(&self) -> usize {
        self.kept.iter().flatten().map(Vec::capacity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_for_packets_of_its_class() {
        let mut pool = Pool::default();
        let small = pool.take(120);
        let large = pool.take(1200);
        let (at, room) = (small.as_ptr(), large.capacity());
        assert!(small.capacity() < 1200 && room >= 1200 && large.is_empty());
        pool.give(small);
        pool.give(large);
        assert_eq!(pool.take(1200).capacity(), room);
        let again = pool.join(&[9; 20], &[9; 30]);
        assert_eq!((again.as_ptr(), again.as_slice()), (at, [9; 50].as_slice()));
        assert_eq!(pool.bytes(), 0);
    }

    #[test]
    fn what_is_kept_is_bounded_and_let_go() {
        let mut pool = Pool::default();
        let taken: Vec<_> = (0..1000).map(|each| pool.take(if each % 2 == 0 { 100 } else { 1400 })).collect();
        taken.into_iter().for_each(|each| pool.give(each));
        pool.give(vec![0; 5000]);
        assert_eq!(pool.bytes(), 128 * (256 + 1536));
        (0..8).for_each(|_| pool.trim());
        assert_eq!(pool.bytes(), 0);
        assert!(pool.take(9000).capacity() >= 9000);
    }
}
