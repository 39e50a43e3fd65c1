"""Every random number of the library is drawn here, from a source that the worker was given: `secrets.randbelow`, or a seeded one in a test."""

import string
from collections.abc import Callable

from sfu.plane.seat import IceCredentials

RandomBelow = Callable[[int], int]
"""Draws a number from 0 up to, and without, its argument."""

ICE_CHARACTERS = string.ascii_letters + string.digits
FRAGMENT_LENGTH, PASSWORD_LENGTH = 16, 32
FIRST_SSRC, SSRCS = 100_000_000, 900_000_000 - 1


def ice_credentials(random: RandomBelow) -> IceCredentials:
    """Draw a username fragment (95 bits) and a password (190 bits); RFC 8445 §5.3 asks for 24 and 128."""
    fragment, password = (
        "".join(ICE_CHARACTERS[random(len(ICE_CHARACTERS))] for _ in range(length))
        for length in (FRAGMENT_LENGTH, PASSWORD_LENGTH)
    )
    return IceCredentials(fragment, password)


def ssrc(random: RandomBelow) -> int:
    """Draw the first of a run of SSRCs."""
    return FIRST_SSRC + random(SSRCS)


def cname(random: RandomBelow) -> str:
    """Draw a canonical name (RFC 7022)."""
    return "".join(ICE_CHARACTERS[random(len(ICE_CHARACTERS))] for _ in range(8))


def first_sequence(random: RandomBelow) -> int:
    """Draw where sequence numbers begin: in the lower half, so that early loss does not hide the first wrap from SRTP."""
    return random(0x8000)
