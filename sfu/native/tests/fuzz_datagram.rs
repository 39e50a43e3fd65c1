//! Everything that a network and control may bring, through the whole core: forged and authentic garbage, in any order, at any time.
//!
//! Nothing panics, what is sent is authentic and can be read, no nonce serves twice, a turn leaves nothing due, and memory stays bounded. The
//! same calls in each run, more of them with FUZZ_ITERATIONS.

mod golden;
mod hostile;
mod peer;
mod random;

use std::fs;

use hostile::World;
use hostile::corpora::Corpora;

const STEPS: u32 = 2000;

fn iterations() -> u32 {
    std::env::var("FUZZ_ITERATIONS").ok().and_then(|value| value.parse().ok()).unwrap_or(500_000)
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0) * 4096
}

#[test]
fn nothing_that_comes_does_harm() {
    let (corpora, mut authentic, mut before) = (Corpora::read(), 0, 0);
    let calls = iterations().div_ceil(STEPS);
    for seed in 0..calls {
        println!("call {seed}");
        let mut world = World::new(seed, &corpora);
        (0..STEPS).for_each(|_| world.step());
        authentic += world.authentic;
        if seed == 10 {
            before = resident();
        }
    }
    assert!(authentic > u64::from(calls * STEPS / 5), "{authentic} packets came out");
    if before > 0 {
        assert!(resident() < before + 32_000_000, "{} bytes after {before}", resident());
    }
    println!("{authentic} packets, {} bytes", resident());
}
