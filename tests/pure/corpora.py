"""Packets of other projects; tests/corpora/README.md says whose."""

import json
from collections.abc import Iterator
from pathlib import Path

CORPORA = Path(__file__).parent.parent / "corpora"


def binary(folder: str) -> dict[str, bytes]:
    """Return a folder's packets by name."""
    return {path.stem: path.read_bytes() for path in sorted((CORPORA / folder).glob("*.bin"))}


def table(name: str) -> list[dict]:
    """Return the cases of one of mediasoup's tables."""
    return json.loads((CORPORA / "mediasoup" / f"{name}.json").read_text())["cases"]


def heads(codec: str) -> list[bytes]:
    """Return the first packets of a capture."""
    packets = json.loads((CORPORA / "str0m" / "rtp_heads.json").read_text())["packets"]
    return [bytes.fromhex(each) for each in packets[codec]]


def everything() -> Iterator[bytes]:
    """Return every packet of every corpus, whatever it was meant to be."""
    for folder in ("aiortc", "aioice", "rfc5769", "found"):
        yield from binary(folder).values()
    for path in sorted((CORPORA / "mediasoup").glob("*.json")):
        for case in json.loads(path.read_text())["cases"]:
            text = case.get("hex") or case.get("head_hex_1400")
            if text:
                yield bytes.fromhex(text)
    for codec in ("vp8", "vp9", "h264", "av1"):
        yield from heads(codec)
