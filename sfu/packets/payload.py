"""Where a key frame begins, read from the first bytes of a payload, per codec."""

from collections.abc import Callable


def _vp8(payload: bytes) -> bool:
    """RFC 7741 §4.2: first partition's start, then the frame's P bit is 0."""
    if payload[0] & 0x17 != 0x10:
        return False
    at = 1
    if payload[0] & 0x80:
        extensions = payload[1]
        at += 1
        if extensions & 0x80:
            at += 2 if payload[at] & 0x80 else 1
        at += bool(extensions & 0x40) + bool(extensions & 0x30)
    return not payload[at] & 0x01


def _vp9(payload: bytes) -> bool:
    """RFC 9628 §4.2: not inter-predicted, begins a frame, of the lowest spatial layer."""
    if payload[0] & 0x48 != 0x08:
        return False
    if not payload[0] & 0x20:
        return True
    at = 1 + ((2 if payload[1] & 0x80 else 1) if payload[0] & 0x80 else 0)
    return not payload[at] >> 1 & 0x07


def _h264(payload: bytes) -> bool:
    """RFC 6184: an SPS alone, in a STAP-A, or beginning as FU-A."""
    kind = payload[0] & 0x1F
    if kind == 24:
        at = 1
        while at + 2 < len(payload):
            if payload[at + 2] & 0x1F == 7:
                return True
            at += 2 + int.from_bytes(payload[at : at + 2], "big")
        return False
    if kind == 28:
        return bool(payload[1] & 0x80) and payload[1] & 0x1F == 7
    return kind == 7


def _av1(payload: bytes) -> bool:
    """RTP payload format for AV1 §4.4: N, first packet of a coded video sequence."""
    return bool(payload[0] & 0x08)


_BEGINS: dict[str, Callable[[bytes], bool]] = {
    "video/vp8": _vp8,
    "video/vp9": _vp9,
    "video/h264": _h264,
    "video/av1": _av1,
}


def recognizable(mime_type: str) -> bool:
    """Return whether this codec's key frames can be told from the others."""
    return mime_type.lower() in _BEGINS


def begins_key_frame(mime_type: str, payload: bytes) -> bool:
    """Return whether a key frame begins in this packet; False for what is cut short."""
    begins = _BEGINS.get(mime_type.lower())
    try:
        return bool(begins and payload and begins(payload))
    except IndexError:
        return False
