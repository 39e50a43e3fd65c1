//! Datagrams on a stream, each behind its length in two bytes (RFC 4571), as ICE over TCP sends them (RFC 6544).

/// Bytes of one datagram that is taken from a stream; nothing that WebRTC sends is larger.
pub const MAX_FRAME: usize = 2048;
/// Bytes that may wait to be taken.
pub const MAX_WAITING: usize = 128 * 1024;

const HEAD: usize = 2;
const KEPT: usize = 4096;

/// Why nothing more can be read from a stream: close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingError {
    /// A datagram is said to be larger than any that is sent: this is another protocol.
    TooLarge,
    /// More was pushed than is held for somebody who does not take it.
    TooMuch,
}

/// Datagrams out of a stream's bytes, in whatever pieces these come.
#[derive(Debug, Default)]
pub struct Deframer {
    waiting: Vec<u8>,
    taken: usize,
    failed: Option<FramingError>,
}

impl Deframer {
    /// Add what came. Take all datagrams before the next piece: then at most one that is not whole is held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.drain(..self.taken);
        self.taken = 0;
        if self.waiting.len() + bytes.len() > MAX_WAITING {
            self.failed = self.failed.or(Some(FramingError::TooMuch));
        }
        if self.failed.is_some() {
            self.waiting = Vec::new();
            return;
        }
        if self.waiting.len() + bytes.len() <= KEPT {
            self.waiting.shrink_to(KEPT);
        }
        self.waiting.extend_from_slice(bytes);
    }

    /// Take the next whole datagram. An error is the last thing that comes. Empty datagrams are passed over.
    pub fn next_datagram(&mut self) -> Option<Result<&mut [u8], FramingError>> {
        if let Some(error) = self.failed {
            return Some(Err(error));
        }
        let (at, length) = loop {
            let head = self.waiting.get(self.taken..)?.first_chunk::<HEAD>()?;
            match usize::from(u16::from_be_bytes(*head)) {
                0 => self.taken += HEAD,
                length => break (self.taken + HEAD, length),
            }
        };
        if length > MAX_FRAME {
            self.failed = Some(FramingError::TooLarge);
            return Some(Err(FramingError::TooLarge));
        }
        let datagram = self.waiting.get_mut(at..at + length)?;
        self.taken = at + length;
        Some(Ok(datagram))
    }
}

/// Append a datagram with its length before it; one whose length two bytes cannot hold is left out.
pub fn frame(out: &mut Vec<u8>, datagram: &[u8]) {
    if let Ok(length) = u16::try_from(datagram.len()) {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(datagram);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Take all that is whole, and the error if there is one.
    fn all(deframer: &mut Deframer) -> Vec<Result<Vec<u8>, FramingError>> {
        let mut out: Vec<Result<Vec<u8>, FramingError>> = Vec::new();
        while !out.last().is_some_and(Result::is_err) {
            let Some(next) = deframer.next_datagram() else { break };
            out.push(next.map(|datagram| datagram.to_vec()));
        }
        out
    }

    fn framed(datagrams: &[&[u8]]) -> Vec<u8> {
        let mut out = Vec::new();
        datagrams.iter().for_each(|datagram| frame(&mut out, datagram));
        out
    }

    #[test]
    fn datagrams_come_out_as_they_went_in_whatever_the_pieces() {
        let largest = vec![7; MAX_FRAME];
        let stream = framed(&[b"one", b"", b"three", &largest, b"x"]);
        for size in [1, 2, 3, 1000, stream.len()] {
            let mut deframer = Deframer::default();
            let mut out = Vec::new();
            for piece in stream.chunks(size) {
                deframer.push(piece);
                out.extend(all(&mut deframer).into_iter().map(Result::unwrap));
            }
            assert_eq!(out, [b"one".to_vec(), b"three".to_vec(), largest.clone(), b"x".to_vec()]);
        }
    }

    #[test]
    fn a_datagram_that_is_too_large_ends_the_stream() {
        let mut deframer = Deframer::default();
        deframer.push(&framed(&[b"good", &[0; MAX_FRAME + 1], b"good"]));
        assert_eq!(all(&mut deframer), [Ok(b"good".to_vec()), Err(FramingError::TooLarge)]);
        deframer.push(&framed(&[b"good"]));
        assert_eq!(all(&mut deframer), [Err(FramingError::TooLarge)]);
    }

    #[test]
    fn what_nobody_takes_is_not_held_for_ever() {
        let mut deframer = Deframer::default();
        for _ in 0..1000 {
            deframer.push(&framed(&[&[1; 1000]]));
        }
        assert!(deframer.waiting.capacity() <= MAX_WAITING);
        assert_eq!(all(&mut deframer), [Err(FramingError::TooMuch)]);
    }

    #[test]
    fn the_memory_of_a_large_piece_is_given_back() {
        let mut deframer = Deframer::default();
        deframer.push(&framed(&[[1; 1000].as_slice(); 60]));
        assert_eq!(all(&mut deframer).len(), 60);
        deframer.push(&[0]);
        assert!(deframer.waiting.capacity() <= KEPT);
    }

    #[test]
    fn what_two_bytes_cannot_count_is_not_framed() {
        assert_eq!(framed(&[&[0; 65_536]]), b"");
        assert_eq!(framed(&[&[0; 65_535]]).len(), 65_537);
    }
}
