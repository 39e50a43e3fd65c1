"""Names of layer structures, as `scalabilityMode` carries them (W3C webrtc-svc)."""

import re
from typing import NamedTuple

MODE = re.compile(r"[LS]([1-9][0-9]?)T([1-9][0-9]?)(_KEY)?")


class ScalabilityMode(NamedTuple):
    """How many layers a stream has; `ksvc`: upper spatial layers depend on lower ones at key frames only."""

    spatial_layers: int = 1
    temporal_layers: int = 1
    ksvc: bool = False


def parse_scalability_mode(mode: str | None) -> ScalabilityMode:
    """Return what a mode means, by how it begins; an absent or unknown one is a single layer."""
    match = MODE.match(mode or "")
    if match is None:
        return ScalabilityMode()
    return ScalabilityMode(int(match[1]), int(match[2]), match[3] is not None)
