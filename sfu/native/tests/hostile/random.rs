//! Random numbers, and what is made of them.

use std::net::SocketAddr;

use packet_plane::ice::Tuple;

/// Random numbers that are the same for the same seed (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.number() >> 11) as usize % bound.max(1)
    }

    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn of<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).cloned()
    }

    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most + 1)).map(|_| self.number() as u8).collect()
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
