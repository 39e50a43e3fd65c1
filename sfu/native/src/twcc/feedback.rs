//! The body of transport-wide feedback, written and read.

use super::MAX_PACKETS;

/// Ticks of the unit of a feedback's reference time, 64 ms.
const REFERENCE: u64 = 256;
/// A packet's status, which is how many bytes its delta has.
const NOT_RECEIVED: u8 = 0;
const SMALL: u8 = 1;
const LARGE: u8 = 2;

/// Append a feedback on the packets from `base` on: their arrivals in ticks, None for what did not come; at most 400.
///
/// No two neighbours among the arrivals may be further apart than 0x7FFF ticks.
pub fn write_feedback(out: &mut Vec<u8>, base: u16, arrivals: impl Iterator<Item = Option<u64>> + Clone, count: u8) {
    let start = out.len();
    let arrivals = arrivals.take(MAX_PACKETS);
    let reference = arrivals.clone().flatten().next().unwrap_or(0) / REFERENCE;
    let mut symbols = [NOT_RECEIVED; MAX_PACKETS];
    let mut statuses = 0;
    for (symbol, delta) in symbols.iter_mut().zip(deltas(arrivals.clone(), reference)) {
        *symbol = delta.map_or(NOT_RECEIVED, |delta| if (0..=255).contains(&delta) { SMALL } else { LARGE });
        statuses += 1;
    }
    out.extend_from_slice(&base.to_be_bytes());
    out.extend_from_slice(&(statuses as u16).to_be_bytes());
    out.extend_from_slice(&((reference as u32) << 8 | u32::from(count)).to_be_bytes());
    write_chunks(out, symbols.get(..statuses).unwrap_or_default());
    for delta in deltas(arrivals, reference).flatten() {
        match u8::try_from(delta) {
            Ok(small) => out.push(small),
            Err(_) => out.extend_from_slice(&(delta as i16).to_be_bytes()),
        }
    }
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
}

/// Turn arrivals into what lies between them, from the reference time on.
fn deltas(arrivals: impl Iterator<Item = Option<u64>>, reference: u64) -> impl Iterator<Item = Option<i64>> {
    let mut previous = reference * REFERENCE;
    arrivals.map(move |arrival| arrival.map(|at| at as i64 - std::mem::replace(&mut previous, at) as i64))
}

/// Append packet statuses: a run where at least seven are equal, else seven two-bit symbols a chunk.
fn write_chunks(out: &mut Vec<u8>, mut symbols: &[u8]) {
    while let Some(&first) = symbols.first() {
        let run = symbols.iter().take_while(|symbol| **symbol == first).count();
        let (chunk, taken) = if run >= 7 {
            (u16::from(first) << 13 | run as u16, run)
        } else {
            let padded = symbols.iter().copied().chain([NOT_RECEIVED; 7]).take(7);
            (padded.fold(0b11, |vector, symbol| vector << 2 | u16::from(symbol)), symbols.len().min(7))
        };
        out.extend_from_slice(&chunk.to_be_bytes());
        symbols = symbols.get(taken..).unwrap_or_default();
    }
}

/// Why bytes are no feedback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeedbackError {
    /// It ends before the statuses or the deltas that it announces.
    Short,
    /// A packet's status is the symbol that has no meaning.
    Reserved,
}

/// A feedback that was read, all its statuses and deltas there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    /// The first packet's transport-wide sequence number.
    pub base: u16,
    /// How many packets it tells of.
    pub statuses: u16,
    /// The time its first delta counts from, in 64 ms; 24 bits, signed.
    pub reference: i32,
    /// The feedback's own number.
    pub count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// Read a feedback's body, what follows the two SSRCs.
pub fn parse_feedback(body: &[u8]) -> Result<Feedback<'_>, FeedbackError> {
    let (&[b0, b1, s0, s1, r0, r1, r2, count], rest) = body.split_first_chunk().ok_or(FeedbackError::Short)?;
    let statuses = u16::from_be_bytes([s0, s1]);
    let (mut left, mut needed, mut unread) = (usize::from(statuses), 0, rest);
    while left > 0 {
        let (chunk, after) = unread.split_first_chunk().ok_or(FeedbackError::Short)?;
        let chunk = u16::from_be_bytes(*chunk);
        let length = chunk_length(chunk).min(left);
        // A run's symbols are all the same: one tells of all, and a few bytes cannot make us count to 65,535.
        let (looked_at, each) = if chunk >> 15 == 0 { (length.min(1), length) } else { (length, 1) };
        for index in 0..looked_at {
            let bytes = symbol(chunk, index);
            if bytes > LARGE {
                return Err(FeedbackError::Reserved);
            }
            needed += each * usize::from(bytes);
        }
        (left, unread) = (left - length, after);
    }
    let chunks = rest.get(..rest.len() - unread.len()).unwrap_or_default();
    let deltas = unread.get(..needed).ok_or(FeedbackError::Short)?;
    let reference = i32::from_be_bytes([r0, r1, r2, 0]) >> 8;
    Ok(Feedback { base: u16::from_be_bytes([b0, b1]), statuses, reference, count, chunks, deltas })
}

fn chunk_length(chunk: u16) -> usize {
    match chunk >> 14 {
        0b10 => 14,
        0b11 => 7,
        _ => usize::from(chunk & 0x1FFF),
    }
}

/// Return one of a chunk's symbols: how many bytes its delta has.
fn symbol(chunk: u16, index: usize) -> u8 {
    let bits = match chunk >> 14 {
        0b10 => chunk >> (13 - index) & 1,
        0b11 => chunk >> (12 - 2 * index) & 3,
        _ => chunk >> 13 & 3,
    };
    bits as u8
}

impl<'a> Feedback<'a> {
    /// Go through the packets: sequence numbers, and ticks since the arrival before; None for what did not come.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Option<i16>)> + use<'a> {
        let (base, mut deltas) = (self.base, self.deltas);
        let chunks =
            self.chunks.chunks_exact(2).map(|chunk| chunk.iter().fold(0, |high, low| high << 8 | u16::from(*low)));
        let symbols = chunks.flat_map(|chunk| (0..chunk_length(chunk)).map(move |index| symbol(chunk, index)));
        symbols.take(usize::from(self.statuses)).enumerate().map(move |(index, symbol)| {
            let (delta, rest) = deltas.split_at_checked(usize::from(symbol)).unwrap_or_default();
            deltas = rest;
            let delta = match *delta {
                [small] => Some(i16::from(small)),
                [high, low] => Some(i16::from_be_bytes([high, low])),
                _ => None,
            };
            (base.wrapping_add(index as u16), delta)
        })
    }
}
