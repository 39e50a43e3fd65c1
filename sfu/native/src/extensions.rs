//! Header extensions that the plane itself reads or writes: their URIs, and the ids that one peer gave them.

use crate::payload;
use crate::rtp::Header;

pub const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
pub const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
pub const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
pub const ABS_SEND_TIME: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
pub const AUDIO_LEVEL: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";

/// The ids of what the plane reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadExtensions {
    pub mid: Option<u8>,
    pub rid: Option<u8>,
    pub repaired_rid: Option<u8>,
    pub transport_cc: Option<u8>,
    pub abs_send_time: Option<u8>,
    pub audio_level: Option<u8>,
}

impl ReadExtensions {
    /// Find them among (URI, id).
    pub fn of(extensions: &[(String, u8)]) -> Self {
        Self {
            mid: id(extensions, MID),
            rid: id(extensions, RID),
            repaired_rid: id(extensions, REPAIRED_RID),
            transport_cc: id(extensions, TRANSPORT_CC),
            abs_send_time: id(extensions, ABS_SEND_TIME),
            audio_level: id(extensions, AUDIO_LEVEL),
        }
    }

    /// The audio level that a packet names, in −dBov (RFC 6464).
    pub fn level(&self, header: &Header, packet: &[u8]) -> Option<u8> {
        let value = self.audio_level.and_then(|id| header.extensions.get(id, packet))?;
        payload::audio_level(value).map(|(_, level)| level)
    }
}

/// The id of an extension.
pub fn id(extensions: &[(String, u8)], uri: &str) -> Option<u8> {
    extensions.iter().find(|(each, _)| each == uri).map(|(_, id)| *id)
}
