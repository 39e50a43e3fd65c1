"""Whether two sides mean the same codec.

Both must have the same MIME type (in any case), clock rate and channels. What tells apart codecs of one name is compared
too: the streams of multiopus always, the profile of H264 and VP9 only where packets will really flow (`matches`, not
`is_known_as`). A retransmission codec (RFC 4588) is compared by name alone; what it repairs is the asker's business.
AV1's profile is not compared: browsers decode the main profile and offer no other.
"""

from sfu.h264 import is_same_profile
from sfu.ortc_shapes import Parameters, RtpCodecCapabilityJson, RtpCodecJson

Codec = RtpCodecJson | RtpCodecCapabilityJson


def is_rtx(codec: Codec) -> bool:
    """Say whether a codec only repeats what another one sent."""
    return codec["mimeType"].lower().endswith("/rtx")


def is_known_as(ours: Codec, theirs: Codec) -> bool:
    """Say whether both have one name, whatever the profile."""
    return (
        name(ours) == name(theirs)
        and ours["clockRate"] == theirs["clockRate"]
        and ours.get("channels") == theirs.get("channels")
        and (name(ours) != "audio/multiopus" or _same_streams(ours["parameters"], theirs["parameters"]))
    )


def matches(ours: Codec, theirs: Codec) -> bool:
    """Say whether packets of one can be given to a decoder of the other."""
    if not is_known_as(ours, theirs):
        return False
    match name(ours):
        case "video/h264":
            return _same(ours, theirs, "packetization-mode") and is_same_profile(
                ours["parameters"], theirs["parameters"]
            )
        case "video/vp9":
            return _same(ours, theirs, "profile-id")
    return True


def name(codec: Codec) -> str:
    """Return the MIME type in lower case."""
    return codec["mimeType"].lower()


def _same(ours: Codec, theirs: Codec, parameter: str) -> bool:
    """Compare a parameter that is 0 when absent or empty; a number is never equal to a numeral."""
    return (ours["parameters"].get(parameter) or 0) == (theirs["parameters"].get(parameter) or 0)


def _same_streams(ours: Parameters, theirs: Parameters) -> bool:
    return all(ours.get(count) == theirs.get(count) for count in ("num_streams", "coupled_streams"))
