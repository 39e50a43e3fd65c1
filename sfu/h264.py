"""H.264 `profile-level-id`: which profile and level it names, and which one answers an offer.

Six hexadecimal digits: profile_idc, the constraint flags (profile-iop) and level_idc (RFC 6184 §8.1). Several pairs of the
first two name the same profile. An absent or empty id is constrained baseline, level 3.1, as browsers mean it. Levels
need not be equal to talk: the lower one is used, or each side's own where both allow the levels to differ.
"""

import re
from enum import StrEnum
from typing import NamedTuple

from sfu.ortc_shapes import Parameters

PROFILE_LEVEL_ID = "profile-level-id"
LEVEL_ASYMMETRY_ALLOWED = "level-asymmetry-allowed"
LEVEL_1B = 0
"""Level 1b lies between 1 and 1.1 and has no level_idc of its own in these profiles: it is 11 with constraint_set3."""
LEVEL_1, LEVEL_1_1, LEVEL_3_1 = 10, 11, 31
LEVELS = frozenset({10, 11, 12, 13, 20, 21, 22, 30, 31, 32, 40, 41, 42, 50, 51, 52})
CONSTRAINT_SET3 = 0x10
SIX_HEX_DIGITS = re.compile(r"[0-9A-Fa-f]{6}")


class Profile(StrEnum):
    """A profile; the value is how an id of it begins when we write one."""

    CONSTRAINED_BASELINE = "42e0"
    BASELINE = "4200"
    MAIN = "4d00"
    CONSTRAINED_HIGH = "640c"
    HIGH = "6400"
    PREDICTIVE_HIGH_444 = "f400"


class ProfileLevel(NamedTuple):
    """A parsed id."""

    profile: Profile
    level: int


DEFAULT = ProfileLevel(Profile.CONSTRAINED_BASELINE, LEVEL_3_1)

PATTERNS = (
    # profile_idc, constraint flags that matter, what they must be, profile
    (0x42, 0b0100_1111, 0b0100_0000, Profile.CONSTRAINED_BASELINE),
    (0x4D, 0b1000_1111, 0b1000_0000, Profile.CONSTRAINED_BASELINE),
    (0x58, 0b1100_1111, 0b1100_0000, Profile.CONSTRAINED_BASELINE),
    (0x42, 0b0100_1111, 0b0000_0000, Profile.BASELINE),
    (0x58, 0b1100_1111, 0b1000_0000, Profile.BASELINE),
    (0x4D, 0b1010_1111, 0b0000_0000, Profile.MAIN),
    (0x64, 0b1111_1111, 0b0000_0000, Profile.HIGH),
    (0x64, 0b1111_1111, 0b0000_1100, Profile.CONSTRAINED_HIGH),
    (0xF4, 0b1111_1111, 0b0000_0000, Profile.PREDICTIVE_HIGH_444),
)

LEVEL_1B_IDS = {
    Profile.CONSTRAINED_BASELINE: "42f00b",
    Profile.BASELINE: "42100b",
    Profile.MAIN: "4d100b",
}


def parse_profile_level(parameters: Parameters) -> ProfileLevel | None:
    """Return what a codec's parameters name, or None if that is no profile and level known here."""
    given = parameters.get(PROFILE_LEVEL_ID)
    if not given:
        return DEFAULT
    if not isinstance(given, str) or not SIX_HEX_DIGITS.fullmatch(given):
        return None
    profile_idc, flags, level_idc = bytes.fromhex(given)
    level = LEVEL_1B if level_idc == LEVEL_1_1 and flags & CONSTRAINT_SET3 else level_idc
    if level_idc not in LEVELS:
        return None
    for idc, mask, wanted, profile in PATTERNS:
        if idc == profile_idc and flags & mask == wanted:
            return ProfileLevel(profile, level)
    return None


def is_same_profile(local: Parameters, remote: Parameters) -> bool:
    """Say whether two codecs name the same profile; levels may differ."""
    ours, theirs = parse_profile_level(local), parse_profile_level(remote)
    return ours is not None and theirs is not None and ours.profile == theirs.profile


def answer_profile_level_id(local: Parameters, remote: Parameters) -> str | None:
    """Return the id to use with the other side, None when neither side gave one.

    Raises ValueError where the profiles differ or an id is unknown.
    Source: RFC 6184 §8.2.2.
    """
    if not local.get(PROFILE_LEVEL_ID) and not remote.get(PROFILE_LEVEL_ID):
        return None
    ours, theirs = parse_profile_level(local), parse_profile_level(remote)
    if ours is None or theirs is None or ours.profile != theirs.profile:
        raise ValueError("H264 profiles do not match")
    differ = _levels_may_differ(local) and _levels_may_differ(remote)
    return _written(ours.profile, ours.level if differ else _lower(ours.level, theirs.level))


def _levels_may_differ(parameters: Parameters) -> bool:
    return parameters.get(LEVEL_ASYMMETRY_ALLOWED) in (1, "1")


def _lower(ours: int, theirs: int) -> int:
    """Return the lower level as libwebrtc compares them, which is what browsers answer with.

    It takes a remote level 1b for higher than all but level 1; both sides must do the same, so this is kept.
    """
    if theirs == LEVEL_1B:
        return LEVEL_1B if ours == LEVEL_1 else ours
    if ours == LEVEL_1B:
        return LEVEL_1 if theirs == LEVEL_1 else LEVEL_1B
    return min(ours, theirs)


def _written(profile: Profile, level: int) -> str:
    """Return the id of a level; only the profiles of `LEVEL_1B_IDS` parse to level 1b."""
    return LEVEL_1B_IDS[profile] if level == LEVEL_1B else f"{profile}{level:02x}"
