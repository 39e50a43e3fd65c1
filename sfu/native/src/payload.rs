//! Where a key frame begins, read from the first bytes of a payload, per codec; and how loud an audio packet is.

/// A video codec whose key frames can be told from other frames, or any other codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// RTP payload format for AV1.
    Av1,
    /// Audio, or a video codec that is forwarded unread.
    Other,
}

impl Codec {
    /// Return the codec of a MIME type, in any case.
    pub fn from_mime(mime_type: &str) -> Self {
        let known =
            [("video/vp8", Self::Vp8), ("video/vp9", Self::Vp9), ("video/h264", Self::H264), ("video/av1", Self::Av1)];
        let found = known.into_iter().find(|(name, _)| mime_type.eq_ignore_ascii_case(name));
        found.map_or(Self::Other, |(_, codec)| codec)
    }

    /// Return whether this codec's key frames can be told from the others.
    pub fn recognizable(&self) -> bool {
        *self != Self::Other
    }

    /// Return whether a key frame begins in this packet; false for what is cut short.
    pub fn begins_key_frame(&self, payload: &[u8]) -> bool {
        let begins = match self {
            Self::Vp8 => vp8(payload),
            Self::Vp9 => vp9(payload),
            Self::H264 => h264(payload),
            Self::Av1 => av1(payload),
            Self::Other => None,
        };
        begins.unwrap_or(false)
    }
}

/// Read an audio level (RFC 6464 §3): whether it is voice, and how far below full scale in dB, 0 to 127.
pub fn audio_level(value: &[u8]) -> Option<(bool, u8)> {
    value.first().map(|level| (level & 0x80 != 0, level & 0x7F))
}

/// RFC 7741 §4.2: the first partition's start, then the frame's P bit is 0.
fn vp8(payload: &[u8]) -> Option<bool> {
    let first = payload.first()?;
    if first & 0x17 != 0x10 {
        return Some(false);
    }
    let mut at = 1;
    if first & 0x80 != 0 {
        let extensions = payload.get(1)?;
        at += 1;
        if extensions & 0x80 != 0 {
            at += picture_id_length(payload, at)?;
        }
        at += usize::from(extensions & 0x40 != 0) + usize::from(extensions & 0x30 != 0);
    }
    Some(payload.get(at)? & 0x01 == 0)
}

/// RFC 9628 §4.2: not inter-predicted, begins a frame, of the lowest spatial layer.
fn vp9(payload: &[u8]) -> Option<bool> {
    let first = payload.first()?;
    if first & 0x48 != 0x08 {
        return Some(false);
    }
    if first & 0x20 == 0 {
        return Some(true);
    }
    let at = 1 + if first & 0x80 != 0 { picture_id_length(payload, 1)? } else { 0 };
    Some(payload.get(at)? >> 1 & 0x07 == 0)
}

/// The picture id at a place has 7 bits, or 15 if its first bit says so.
fn picture_id_length(payload: &[u8], at: usize) -> Option<usize> {
    Some(if payload.get(at)? & 0x80 != 0 { 2 } else { 1 })
}

/// RFC 6184: an SPS alone, in a STAP-A, or beginning as FU-A.
fn h264(payload: &[u8]) -> Option<bool> {
    let kind = payload.first()? & 0x1F;
    match kind {
        24 => {
            let mut rest = payload.get(1..)?;
            while let [high, low, unit, ..] = rest {
                if unit & 0x1F == 7 {
                    return Some(true);
                }
                rest = rest.get(2 + usize::from(u16::from_be_bytes([*high, *low]))..)?;
            }
            Some(false)
        }
        28 => payload.get(1).map(|head| head & 0x9F == 0x87),
        _ => Some(kind == 7),
    }
}

/// RTP payload format for AV1 §4.4: N, the first packet of a coded video sequence.
fn av1(payload: &[u8]) -> Option<bool> {
    Some(payload.first()? & 0x08 != 0)
}
