"""What a participant saw and heard: of one producer, and of one other participant whatever carried it."""

import time
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from av import AudioFrame, VideoFrame

from services.cli.participant.media import loudest_hertz, mono, picture_shown

PAUSE = 0.5
"""Seconds without a decoded frame that count as a pause."""


@dataclass
class Received:
    """What came of one producer. `hertz` is of the last second heard."""

    kind: str
    consumer_id: str
    frames: int = 0
    size: tuple[int, int] = (0, 0)
    yuv: tuple[int, int, int] = (0, 0, 0)
    counts: set[int] = field(default_factory=set)
    samples: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def hertz(self) -> float:
        """The loudest frequency in the last second."""
        return loudest_hertz(self.samples)

    def take(self, frame: VideoFrame | AudioFrame) -> None:
        """Remember a decoded frame."""
        self.frames += 1
        if isinstance(frame, VideoFrame):
            self.size = (frame.width, frame.height)
            self.yuv, count = picture_shown(frame)
            self.counts.add(count)
        else:
            self.samples = np.concatenate([self.samples, mono(frame)])[-48_000:]


@dataclass
class Seen:
    """What was seen and heard of another participant since this one came, over all moves and transports. Times are monotonic."""

    frames: Counter[str] = field(default_factory=Counter)
    """Decoded frames by kind."""
    last: dict[str, float] = field(default_factory=dict)
    """When the last frame of a kind was decoded."""
    pauses: list[tuple[str, float, float]] = field(default_factory=list)
    """Each pause between two frames: kind, when it began, how long it was; only those of at least PAUSE seconds."""

    def take(self, kind: str) -> None:
        """Count a decoded frame."""
        now = time.monotonic()
        before = self.last.get(kind, now)
        if now - before >= PAUSE:
            self.pauses.append((kind, before, now - before))
        self.last[kind] = now
        self.frames[kind] += 1

    def longest_pause(self, kind: str, since: float = 0.0) -> float:
        """Return the longest pause of a kind that ended after `since`, in seconds; 0 when there was none of at least PAUSE."""
        return max((length for of, began, length in self.pauses if of == kind and began + length > since), default=0.0)
