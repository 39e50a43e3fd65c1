//! RTP headers (RFC 3550 §5.1) with their extensions (RFC 8285), written.

use super::{ONE_BYTE, TWO_BYTE};

/// Append a header: the payload follows it. No padding; the one-byte form if all extensions fit it, no block without any.
///
/// `csrcs` are four bytes each, at most fifteen; extension values have at most 255 bytes: what is more is left out.
#[allow(clippy::too_many_arguments)]
pub fn write_header<'a>(
    out: &mut Vec<u8>,
    marker: bool,
    payload_type: u8,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    csrcs: &[u8],
    extensions: impl Iterator<Item = (u8, &'a [u8])> + Clone,
) {
    let start = out.len();
    let sources = (csrcs.len() / 4).min(15);
    out.extend_from_slice(&[0x80 | sources as u8, payload_type & 0x7F | u8::from(marker) << 7]);
    out.extend_from_slice(&sequence.to_be_bytes());
    out.extend_from_slice(&timestamp.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    out.extend_from_slice(csrcs.get(..4 * sources).unwrap_or_default());
    let extended =
        write_extensions(out, extensions.take(255).map(|(id, value)| (id, value.get(..255).unwrap_or(value))));
    if let Some(first) = out.get_mut(start) {
        *first |= u8::from(extended) << 4;
    }
}

/// Append an extension block with its head; return whether there is any. At most 255 elements of at most 255 bytes.
fn write_extensions<'a>(out: &mut Vec<u8>, elements: impl Iterator<Item = (u8, &'a [u8])> + Clone) -> bool {
    if elements.clone().next().is_none() {
        return false;
    }
    let one_byte = elements.clone().all(|(id, value)| id < 15 && (1..=16).contains(&value.len()));
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for (id, value) in elements {
        if one_byte {
            out.push(id << 4 | (value.len() - 1) as u8);
        } else {
            out.extend_from_slice(&[id, value.len() as u8]);
        }
        out.extend_from_slice(value);
    }
    out.resize(start + (out.len() - start).next_multiple_of(4), 0);
    let profile = if one_byte { ONE_BYTE } else { TWO_BYTE };
    let words = ((out.len() - start) / 4 - 1) as u16;
    if let Some(head) = out.get_mut(start..start + 4) {
        head.copy_from_slice(&(u32::from(profile) << 16 | u32::from(words)).to_be_bytes());
    }
    true
}
