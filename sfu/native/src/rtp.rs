//! RTP packets (RFC 3550 §5.1) and their header extensions (RFC 8285, both forms): read as offsets, written anew.
//!
//! A packet that contradicts its own length is an error. Padding is counted on reading and never written: it cost the
//! sender's link, not the receivers'.

#[path = "rtp/write.rs"]
mod write;

pub use write::write_header;

/// Elements that are read of a packet. Browsers send up to ten; hundreds would be written anew for each receiver.
pub const MAX_EXTENSIONS: usize = 20;
/// Bytes of a header without sources and extensions.
const FIXED: usize = 12;
const ONE_BYTE: u16 = 0xBEDE;
const TWO_BYTE: u16 = 0x1000;
const TWO_BYTE_MASK: u16 = 0xFFF0;

/// Why bytes are no RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RtpError {
    /// The version is not 2.
    Version,
    /// The header goes beyond the end.
    Short,
    /// More bytes than a UDP datagram holds.
    Long,
    /// The padding is said to be nothing, or more than follows the header.
    Padding,
}

/// What a packet's header says; places are offsets from the packet's first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Set on a frame's last packet (video) or a talk spurt's first (audio).
    pub marker: bool,
    /// Seven bits.
    pub payload_type: u8,
    /// The sequence number as sent, not extended.
    pub sequence: u16,
    /// In ticks of the codec's clock.
    pub timestamp: u32,
    /// The stream's source.
    pub ssrc: u32,
    /// How many contributing sources follow the fixed header, four bytes each.
    pub csrcs: u8,
    /// Where the payload begins: at most the packet's length.
    pub payload_at: usize,
    /// Bytes of padding at the end, its count included: at most what follows the header.
    pub padding: usize,
    /// Where the header extensions are.
    pub extensions: Extensions,
}

/// Where the elements of an extension block are; their values stay in the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions {
    elements: [Element; MAX_EXTENSIONS],
    count: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Element {
    at: u16,
    id: u8,
    len: u8,
}

impl Header {
    /// Return the payload of the packet this header was read from, without its padding.
    pub fn payload<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let end = packet.len().saturating_sub(self.padding);
        packet.get(self.payload_at..end).unwrap_or_default()
    }

    /// Return the contributing sources of the packet this header was read from, four bytes each.
    pub fn csrc_bytes<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        packet.get(FIXED..FIXED + 4 * usize::from(self.csrcs)).unwrap_or_default()
    }
}

impl Extensions {
    /// No extension at all.
    pub const NONE: Self = Self { elements: [Element { at: 0, id: 0, len: 0 }; MAX_EXTENSIONS], count: 0 };

    /// Return the value of the first element with this id in the packet these were read from.
    pub fn get<'a>(&self, id: u8, packet: &'a [u8]) -> Option<&'a [u8]> {
        self.elements().iter().find(|each| each.id == id).map(|each| each.value(packet))
    }

    /// Go through the elements of the packet these were read from: ids and values, in their order.
    pub fn iter<'a>(&'a self, packet: &'a [u8]) -> impl Iterator<Item = (u8, &'a [u8])> + Clone {
        self.elements().iter().map(|each| (each.id, each.value(packet)))
    }

    /// Return how many elements there are.
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// Return whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn elements(&self) -> &[Element] {
        self.elements.get(..self.len()).unwrap_or_default()
    }

    /// Read the elements of `packet[at..]`, a block; from the first that does not fit on, nothing; nor what is too much.
    fn read(&mut self, packet: &[u8], mut at: usize, two_byte: bool) {
        while let Some(&first) = packet.get(at) {
            if first == 0 {
                at += 1; // Padding between elements.
                continue;
            }
            let (id, len) = if two_byte {
                let Some(&len) = packet.get(at + 1) else { return };
                at += 2;
                (first, len)
            } else {
                if first >> 4 == 15 {
                    return;
                }
                at += 1;
                (first >> 4, (first & 0x0F) + 1)
            };
            let end = at + usize::from(len);
            let (Some(free), Ok(from)) = (self.elements.get_mut(usize::from(self.count)), u16::try_from(at)) else {
                return;
            };
            if end > packet.len() {
                return;
            }
            *free = Element { at: from, id, len };
            self.count += 1;
            at = end;
        }
    }
}

impl Element {
    fn value<'a>(&self, packet: &'a [u8]) -> &'a [u8] {
        let at = usize::from(self.at);
        packet.get(at..at + usize::from(self.len)).unwrap_or_default()
    }
}

/// Return how long a packet's header is with its sources and extension block: the part that SRTP leaves readable.
///
/// Looks at the version and the lengths only.
pub fn header_length(packet: &[u8]) -> Result<usize, RtpError> {
    extension_block(packet).map(|(_, _, end)| end)
}

/// Return an extension block's profile, where its elements begin and where the header ends.
fn extension_block(packet: &[u8]) -> Result<(u16, usize, usize), RtpError> {
    let fixed: &[u8; FIXED] = packet.first_chunk().ok_or(RtpError::Short)?;
    if fixed[0] >> 6 != 2 {
        return Err(RtpError::Version);
    }
    let at = FIXED + 4 * usize::from(fixed[0] & 0x0F);
    if fixed[0] & 0x10 == 0 {
        return if at <= packet.len() { Ok((0, at, at)) } else { Err(RtpError::Short) };
    }
    let head: &[u8; 4] = packet.get(at..).and_then(|rest| rest.first_chunk()).ok_or(RtpError::Short)?;
    let end = at + 4 + 4 * usize::from(u16::from_be_bytes([head[2], head[3]]));
    if end > packet.len() {
        return Err(RtpError::Short);
    }
    Ok((u16::from_be_bytes([head[0], head[1]]), at + 4, end))
}

/// Read a packet's header; `plain` is what SRTP protected.
pub fn parse(plain: &[u8]) -> Result<Header, RtpError> {
    if plain.len() > usize::from(u16::MAX) {
        return Err(RtpError::Long);
    }
    let (profile, block, payload_at) = extension_block(plain)?;
    let fixed: &[u8; FIXED] = plain.first_chunk().ok_or(RtpError::Short)?;
    let padding = match plain.last() {
        Some(&last) if fixed[0] & 0x20 != 0 => usize::from(last),
        _ => 0,
    };
    if fixed[0] & 0x20 != 0 && (padding == 0 || payload_at + padding > plain.len()) {
        return Err(RtpError::Padding);
    }
    let mut header = Header {
        marker: fixed[1] & 0x80 != 0,
        payload_type: fixed[1] & 0x7F,
        sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
        timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
        ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
        csrcs: fixed[0] & 0x0F,
        payload_at,
        padding,
        extensions: Extensions::NONE,
    };
    let two_byte = profile & TWO_BYTE_MASK == TWO_BYTE;
    if two_byte || profile == ONE_BYTE {
        header.extensions.read(plain.get(..payload_at).unwrap_or_default(), block, two_byte);
    }
    Ok(header)
}
