//! What is made of random numbers.

use std::net::SocketAddr;

use packet_plane::ice::Tuple;

use crate::random::Random;

impl Random {
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).cloned()
    }

    /// Change bytes, or the length.
    pub fn mutate(&mut self, data: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(data.len().min(64) + 1);
            match self.below(5) {
                0 => data.truncate(at),
                1 => drop(data.splice(at..at, self.bytes(12))),
                2 => drop(data.drain(at..data.len().min(at + 4))),
                3 => data.iter_mut().skip(at).take(1).for_each(|byte| *byte = [0, 0xFF, 0x7F][self.below(3)]),
                _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            }
        }
    }
}

/// One of a few addresses, over UDP or TCP.
pub fn address(random: &mut Random) -> Tuple {
    let remote = [[10, 0, 0, 7].into(), [10, 0, 0, 8].into(), [0x2001, 0xDB8, 0, 0, 0, 0, 0, 7].into()];
    Tuple {
        local: [0, 1, 0x4000][random.below(3)],
        remote: SocketAddr::new(remote[random.below(3)], 1000 + random.below(20) as u16),
    }
}
