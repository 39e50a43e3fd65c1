//! The replay windows of one direction's SSRCs: found by bisection, bounded, the oldest that nobody needs goes.

use crate::replay::{Refused, Window};
use crate::srtp::SrtpError;

/// How many SSRCs of a peer have a window at once.
pub const MAX_SSRCS: usize = 1024;

struct Stream {
    ssrc: u32,
    since: u64,
    window: Box<Window>,
}

/// Windows by SSRC. An SSRC is here from its first authentic packet on.
#[derive(Default)]
pub struct Streams {
    sorted: Vec<Stream>,
    begun: u64,
}

impl Streams {
    /// The window of an SSRC, if it has one.
    pub fn get(&self, ssrc: u32) -> Option<&Window> {
        let at = self.find(ssrc).ok()?;
        self.sorted.get(at).map(|stream| &*stream.window)
    }

    /// Say whether a packet with this index may still be accepted. Changes nothing.
    pub fn check(&self, ssrc: u32, index: u64) -> Result<(), SrtpError> {
        match self.get(ssrc).map_or(Ok(()), |window| window.check(index)) {
            Ok(()) => Ok(()),
            Err(Refused::Replayed) => Err(SrtpError::Replayed),
            Err(Refused::Old) => Err(SrtpError::Old),
        }
    }

    /// Remember an authentic packet, whose index `check` let pass. An SSRC without a window gets one.
    ///
    /// `Full`: there is no room for it, as all are in `kept`.
    pub fn accept(&mut self, ssrc: u32, index: u64, kept: &[u32]) -> Result<(), SrtpError> {
        if let Ok(at) = self.find(ssrc) {
            self.sorted.get_mut(at).into_iter().for_each(|stream| stream.window.accept(index));
            return Ok(());
        }
        if self.sorted.len() >= MAX_SSRCS && !self.drop_oldest(kept) {
            return Err(SrtpError::Full);
        }
        let (Ok(at) | Err(at)) = self.find(ssrc);
        self.begun += 1;
        let stream = Stream { ssrc, since: self.begun, window: Box::new(Window::new(index)) };
        self.sorted.insert(at, stream);
        Ok(())
    }

    /// How many SSRCs have a window.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        self.sorted.capacity() * size_of::<Stream>() + self.sorted.len() * size_of::<Window>()
    }

    fn find(&self, ssrc: u32) -> Result<usize, usize> {
        self.sorted.binary_search_by_key(&ssrc, |stream| stream.ssrc)
    }

    fn drop_oldest(&mut self, kept: &[u32]) -> bool {
        let needless = self.sorted.iter().enumerate();
        let needless = needless.filter(|(_, stream)| !kept.contains(&stream.ssrc));
        let oldest = needless.min_by_key(|(_, stream)| stream.since).map(|(at, _)| at);
        oldest.map(|at| self.sorted.remove(at)).is_some()
    }
}
