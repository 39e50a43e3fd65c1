"""API secrets at rest: sealed by the command line, opened by the gateway, with a key derived from the cluster's secret.

AES-256-GCM with the API key's id as associated data, so a sealed secret moved to another key's row does not open. The two
keys that are derived from the cluster's secret (sealing, signing of participant tokens) are independent (HKDF, RFC 5869).
"""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from contracts.ids import ApiKeyId

SHORTEST_SECRET = 32
"""Characters that the cluster's secret must have at least."""

_NONCE = 12


class CannotOpen(Exception):
    """The sealed secret was sealed with another cluster secret or for another key, or is damaged."""


def derived(cluster_secret: str, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose. Raises ValueError when the cluster's secret is too short."""
    if len(cluster_secret) < SHORTEST_SECRET:
        raise ValueError(f"the cluster secret needs at least {SHORTEST_SECRET} characters")
    return HKDF(SHA256(), length=32, salt=None, info=f"doordarshan {purpose}".encode()).derive(cluster_secret.encode())


class Sealing:
    """Seals and opens API secrets of one cluster."""

    def __init__(self, cluster_secret: str) -> None:
        self._cipher = AESGCM(derived(cluster_secret, "api secrets"))

    def seal(self, key: ApiKeyId, secret: str) -> bytes:
        """Return nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), key.encode())

    def open(self, key: ApiKeyId, sealed: bytes) -> str:
        """Return the secret. Raises CannotOpen."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], key.encode()).decode()
        except (InvalidTag, ValueError) as wrong:
            raise CannotOpen(
                f"the secret of key {key} cannot be opened; was it sealed with another cluster secret?"
            ) from wrong
