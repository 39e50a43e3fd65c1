"""Pictures and tones that can be recognised after a codec: what a participant sends, and how a receiver knows it.

A picture is one flat colour with a strip of eight black or white blocks at the top that count the frames (modulo 256). A tone is a sine.
Pure but for the pacing of the two tracks.
"""

import asyncio
import time
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from av import AudioFrame, VideoFrame

WIDTH, HEIGHT, BLOCK = 320, 240, 40
FRAMES_PER_SECOND = 15
SAMPLE_RATE = 48_000
SAMPLES_PER_FRAME = 960
AMPLITUDE = 8_000


@dataclass(frozen=True)
class Signature:
    """What distinguishes one sender: the Y, U and V of its picture and the frequency of its tone in Hz."""

    yuv: tuple[int, int, int]
    hertz: int


SIGNATURES = (Signature((90, 90, 220), 440), Signature((60, 220, 110), 660), Signature((140, 60, 50), 880))


def picture(signature: Signature, count: int) -> VideoFrame:
    """Return frame number `count` of a sender: 320x240, yuv420p."""
    y, u, v = signature.yuv
    planes = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    planes[:HEIGHT] = y
    for bit in range(8):
        planes[:BLOCK, bit * BLOCK : (bit + 1) * BLOCK] = 235 if count >> bit & 1 else 16
    planes[HEIGHT : HEIGHT * 5 // 4] = u
    planes[HEIGHT * 5 // 4 :] = v
    return VideoFrame.from_ndarray(planes, format="yuv420p")


def picture_shown(frame: VideoFrame) -> tuple[tuple[int, int, int], int]:
    """Return the mean Y, U, V below the strip, and the frame number that the strip shows. Any size of frame."""
    image = frame.to_ndarray(format="yuv420p")
    height = frame.height
    luma = image[:height]
    u, v = image[height : height * 5 // 4], image[height * 5 // 4 :]
    block_h, block_w = height * BLOCK // HEIGHT, frame.width // 8
    count = 0
    for bit in range(8):
        middle = luma[block_h // 4 : block_h * 3 // 4, bit * block_w + block_w // 4 : bit * block_w + block_w * 3 // 4]
        count |= int(middle.mean() > 125) << bit
    field = luma[block_h * 3 // 2 :]
    return (round(float(field.mean())), round(float(u.mean())), round(float(v.mean()))), count


def is_picture_of(signature: Signature, yuv: tuple[int, int, int], tolerance: int = 14) -> bool:
    """Tell whether the colour is the sender's, within what a codec may change."""
    return all(abs(seen - sent) <= tolerance for seen, sent in zip(yuv, signature.yuv, strict=True))


def loudest_hertz(samples: np.ndarray) -> float:
    """Return the frequency with the most energy in mono samples at 48 kHz, or 0 for silence."""
    if samples.size < SAMPLES_PER_FRAME or float(np.abs(samples).max()) < AMPLITUDE / 100:
        return 0.0
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.size)))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / samples.size


def mono(frame: AudioFrame) -> np.ndarray:
    """Return the first channel of a decoded 16-bit frame as floats."""
    samples = frame.to_ndarray()
    channels = len(frame.layout.channels)
    return (samples[0] if frame.format.is_planar else samples.reshape(-1, channels)[:, 0]).astype(np.float64)


class _Paced:
    """Hands out frame numbers at a fixed rate."""

    def __init__(self, per_second: float) -> None:
        self._interval, self._start, self.count = 1 / per_second, 0.0, -1

    async def next(self) -> int:
        self.count += 1
        if self.count == 0:
            self._start = time.monotonic()
        await asyncio.sleep(max(0.0, self._start + self.count * self._interval - time.monotonic()))
        return self.count


class PictureTrack(MediaStreamTrack):
    """A sender's picture, 15 frames a second."""

    kind = "video"

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self._signature, self._pace = signature, _Paced(FRAMES_PER_SECOND)

    async def recv(self) -> VideoFrame:
        """Return the next frame when it is due."""
        count = await self._pace.next()
        frame = picture(self._signature, count)
        frame.pts, frame.time_base = count * 90_000 // FRAMES_PER_SECOND, Fraction(1, 90_000)
        return frame


class ToneTrack(MediaStreamTrack):
    """A sender's tone, mono, in frames of 20 ms."""

    kind = "audio"

    def __init__(self, signature: Signature) -> None:
        super().__init__()
        self._hertz, self._pace = signature.hertz, _Paced(SAMPLE_RATE / SAMPLES_PER_FRAME)

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when they are due."""
        first = await self._pace.next() * SAMPLES_PER_FRAME
        phase = 2 * np.pi * self._hertz * np.arange(first, first + SAMPLES_PER_FRAME) / SAMPLE_RATE
        frame = AudioFrame.from_ndarray((AMPLITUDE * np.sin(phase)).astype(np.int16).reshape(1, -1), layout="mono")
        frame.pts, frame.sample_rate, frame.time_base = first, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        return frame
