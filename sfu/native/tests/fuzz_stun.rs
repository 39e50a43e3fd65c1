//! Bytes of all kinds, as STUN and as a stream: the same ones in each run, more of them with FUZZ_ITERATIONS.

mod golden;
mod peer;
mod random;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use packet_plane::framing::{Deframer, FramingError, MAX_FRAME, frame};
use packet_plane::ice::{Credentials, IceLite, Tuple};
use packet_plane::stun::{Password, fragment, parse, write_role_conflict, write_success};
use peer::Answer;
use random::Random;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

fn iterations() -> u32 {
    std::env::var("FUZZ_ITERATIONS").ok().and_then(|value| value.parse().ok()).unwrap_or(20_000)
}

impl Random {
    /// One of the corpus, changed here and there.
    fn mutated(&mut self, corpus: &[Vec<u8>]) -> Vec<u8> {
        let mut data = corpus[self.below(corpus.len())].clone();
        for _ in 0..self.below(6) {
            let at = self.below(data.len() + 1);
            match self.below(6) {
                0 => data.truncate(at),
                1 => drop(data.splice(at..at, self.bytes(24))),
                2 => drop(data.splice(at.., corpus[self.below(corpus.len())].iter().skip(at).copied())),
                3 => {
                    drop(data.splice(at..data.len().min(at + 2), [[0, 0], [0xFF, 0xFF], [0, 6], [0, 8]][self.below(4)]))
                }
                4 => drop(data.drain(at..data.len().min(at + 4))),
                _ => data.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << self.below(8)),
            }
        }
        data
    }

    /// A request around this, with a signature and a fingerprint that may be right.
    fn request(&mut self, data: &[u8]) -> Vec<u8> {
        let mut message = peer::request(&[(peer::USERNAME, b"evtj:h6vY")]);
        if self.below(2) == 0 {
            message.extend(data.get(20..data.len() / 4 * 4).unwrap_or_default());
        }
        for _ in 0..self.below(4) {
            let kind = [0x0006, 0x0008, 0x0024, 0x0025, 0x8028, 0x8029, 0x802A, 0xC057][self.below(8)];
            let length = [0, 4, 8, 20, self.below(40)][self.below(5)];
            let value = self.bytes(40).into_iter().cycle().take(length).collect::<Vec<u8>>();
            peer::append(&mut message, kind, &value);
        }
        match self.below(4) {
            0 => peer::fingerprinted(message),
            _ => peer::signed(message, PASSWORD),
        }
    }
}

/// Whatever is read is answered with something that can be read, if it is authentic, and else with nothing.
fn is_read_safely(datagram: &[u8]) -> bool {
    let named = fragment(datagram);
    let Ok(check) = parse(datagram) else { return false };
    if let Ok(named) = named {
        assert_eq!(named, check.fragment);
    }
    let password = Password::new(PASSWORD);
    let authentic = check.authentic(&password);
    let mut ice = IceLite::new(Credentials {
        fragment: String::from_utf8(check.fragment.to_vec()).expect("a username is UTF-8"),
        password: PASSWORD.into(),
    });
    let from = Tuple { local: 0, remote: "[2001:db8::1]:5000".parse().unwrap() };
    let mut reply = Vec::new();
    assert_eq!(ice.check(&check, from, 0, &mut reply).is_some(), authentic);
    assert_eq!(reply.is_empty(), !authentic);
    assert_eq!(ice.selected.is_some(), authentic && !check.controlled);
    if authentic {
        assert_eq!(Answer::read(&reply, PASSWORD).transaction, check.transaction);
        for remote in [from.remote, "192.0.2.1:1".parse().unwrap()] {
            let mut out = Vec::new();
            write_success(&mut out, &check, remote, &password);
            assert_eq!(Answer::read(&out, PASSWORD).address(), remote);
        }
        let mut out = Vec::new();
        write_role_conflict(&mut out, &check, &password);
        assert_eq!(Answer::read(&out, PASSWORD).error(), 487);
    }
    authentic
}

#[test]
fn no_datagram_makes_stun_panic_and_what_is_authentic_is_answered_well() {
    let corpus = golden::stun();
    assert!(corpus.iter().any(|datagram| is_read_safely(datagram)));
    corpus.iter().for_each(|datagram| assert!(!is_read_safely(&datagram[..datagram.len() / 2])));
    let (tried, authentic) = (AtomicU32::new(0), AtomicU32::new(0));
    bolero::check!().exhaustive().with_generator(0..iterations()).for_each(|number| {
        let mut random = Random(u64::from(*number));
        let datagram = match random.below(4) {
            0 => random.bytes(200),
            1 => random.mutated(&corpus),
            _ => {
                let data = random.mutated(&corpus);
                random.request(&data)
            }
        };
        tried.fetch_add(1, Relaxed);
        authentic.fetch_add(u32::from(is_read_safely(&datagram)), Relaxed);
    });
    assert_eq!(tried.load(Relaxed), iterations());
    assert!(authentic.load(Relaxed) > iterations() / 20, "only {} were authentic", authentic.load(Relaxed));
}

/// What a stream yields that comes in these pieces; the sizes repeat.
fn deframed(stream: &[u8], sizes: &[usize]) -> (Vec<Vec<u8>>, Option<FramingError>) {
    let (mut deframer, mut out, mut rest) = (Deframer::default(), Vec::new(), stream);
    for size in sizes.iter().cycle() {
        let (piece, later) = rest.split_at((*size).clamp(1, rest.len().max(1)).min(rest.len()));
        rest = later;
        deframer.push(piece);
        while let Some(next) = deframer.next_datagram() {
            match next {
                Ok(datagram) => out.push(datagram.to_vec()),
                Err(error) => return (out, Some(error)),
            }
        }
        if rest.is_empty() {
            break;
        }
    }
    (out, None)
}

#[test]
fn no_stream_makes_the_deframer_panic_and_its_pieces_do_not_matter() {
    let corpus = golden::stun();
    let tried = AtomicU32::new(0);
    bolero::check!().exhaustive().with_generator(0..iterations()).for_each(|number| {
        let mut random = Random(u64::from(*number));
        let mut stream = Vec::new();
        let mut sent: Vec<Vec<u8>> = (0..random.below(5)).map(|_| random.mutated(&corpus)).collect();
        sent.iter().for_each(|datagram| frame(&mut stream, datagram));
        sent.retain(|datagram| !datagram.is_empty());
        let sizes: Vec<usize> = (0..4).map(|_| 1 + random.below(300)).collect();
        assert!(sent.iter().all(|datagram| datagram.len() <= MAX_FRAME));
        assert_eq!(deframed(&stream, &sizes), (sent, None));
        stream = random.mutated(&[stream, random_stream(*number)]);
        assert_eq!(deframed(&stream, &sizes), deframed(&stream, &[usize::MAX]));
        tried.fetch_add(1, Relaxed);
    });
    assert_eq!(tried.load(Relaxed), iterations());
}

fn random_stream(number: u32) -> Vec<u8> {
    Random(!u64::from(number)).bytes(300)
}
