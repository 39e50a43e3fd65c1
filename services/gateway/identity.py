"""Who calls: the two kinds of bearer tokens, both JWTs (RFC 7519) signed with HS256 and nothing else, both with `exp`.

* An **access token** is signed by a tenant's own backend with the secret of its API key, whose id is `iss`.
* A **participant token** is signed by the cluster when a participant joins; its `iss` is no possible key id.

The kind is chosen by the unverified `iss`; then the signature is checked with that kind's key, so a lie about `iss` only
picks a key that does not fit. A revoked key's access tokens end; participants it let in stay until their tokens expire, but
cannot renew them.
"""

import base64
import json
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Annotated, TypeVar

import jwt
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from contracts.actor import Grant
from contracts.failure import Forbidden, Unauthenticated
from contracts.ids import ID_PATTERN, ApiKeyId, InstanceId, MeetingId, ParticipantId, Seat, TenantId
from services.gateway.keys import ApiKey, Keys
from services.sealing import derived

ALGORITHM = "HS256"
PARTICIPANT_ISSUER = "doordarshan:participant"
ANY_MEETING = "*"
SEATED_GRANTS = frozenset({Grant.PRODUCE, Grant.CONSUME, Grant.ADMIN})
"""What a participant token takes over from the access token that joined."""

LEEWAY = 5.0
"""Seconds that a tenant's clock may be off."""

LONGEST_TOKEN = 4096
MOST_KNOWN = 10_000
"""Verified tokens that are remembered: a participant sends the same one with each of its requests."""

_KEY_ID = re.compile(ID_PATTERN.removesuffix("$"))


@dataclass(frozen=True, slots=True)
class Identity:
    """What a verified token says. `meeting` is None for any; `instance` and `seat` are those of a participant token."""

    tenant: TenantId
    key: ApiKeyId
    grants: frozenset[Grant]
    expires: float
    meeting: MeetingId | None = None
    participant: ParticipantId | None = None
    instance: InstanceId | None = None
    seat: Seat | None = None

    @property
    def seated(self) -> bool:
        """Whether it is a participant token."""
        return self.seat is not None


def _any_is_none(meeting: object) -> object:
    return None if meeting == ANY_MEETING else meeting or ""


class AccessClaims(BaseModel):
    """What an access token must say; other claims are the tenant's own business."""

    model_config = ConfigDict(frozen=True)

    iss: ApiKeyId
    exp: float
    meeting: Annotated[MeetingId | None, BeforeValidator(_any_is_none)]
    grants: frozenset[Grant]
    sub: ParticipantId | None = None


class ParticipantClaims(BaseModel):
    """What the cluster writes into a participant token."""

    model_config = ConfigDict(frozen=True)

    exp: float
    tenant: TenantId
    key: ApiKeyId
    meeting: MeetingId
    sub: ParticipantId
    instance: InstanceId
    seat: Seat = Field(ge=0)
    grants: frozenset[Grant]


class Tokens:
    """Verifies both kinds of tokens and signs participant tokens. `lifetime` in seconds."""

    def __init__(self, cluster_secret: str, keys: Keys, *, lifetime: float) -> None:
        self._cluster = prepared(derived(cluster_secret, "participant tokens"))
        self._keys = keys
        self._lifetime = lifetime
        self._known: OrderedDict[str, tuple[Identity, str | None]] = OrderedDict()

    async def verify(self, token: str) -> Identity:
        """Return who holds the token. Raises Unauthenticated, Forbidden (it claims more than its key may), Unavailable."""
        known = self._known.get(token)
        if known is not None and await self._still_holds(*known):
            return known[0]
        issuer = _issuer(token)
        if issuer == PARTICIPANT_ISSUER:
            return self._remembered(token, self._participant(token), None)
        key = await self._keys.key(ApiKeyId(issuer))
        if key is None:
            raise Unauthenticated
        return self._remembered(token, _access(token, key), key.secret)

    async def _still_holds(self, identity: Identity, secret: str | None) -> bool:
        """Say whether a token that was verified would be again: not expired, and its key neither revoked nor changed."""
        if time.time() >= identity.expires:
            return False
        if secret is None:
            return True
        key = await self._keys.key(identity.key)
        return key is not None and key.secret == secret and identity.grants <= key.grants

    def _remembered(self, token: str, identity: Identity, secret: str | None) -> Identity:
        self._known[token] = identity, secret
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return identity

    def sign(
        self, identity: Identity, meeting: MeetingId, participant: ParticipantId, instance: InstanceId, seat: Seat
    ) -> str:
        """Return the participant token of a seat that `identity` took."""
        now = time.time()
        claims = {
            "iss": PARTICIPANT_ISSUER,
            "iat": int(now),
            "exp": int(now + self._lifetime),
            "tenant": identity.tenant,
            "key": identity.key,
            "meeting": meeting,
            "sub": participant,
            "instance": instance,
            "seat": seat,
            "grants": sorted(identity.grants & SEATED_GRANTS),
        }
        return jwt.encode(claims, self._cluster, ALGORITHM, {"typ": "participant+jwt"})

    async def may_renew(self, identity: Identity) -> bool:
        """Say whether the key that let the participant in still stands."""
        key = await self._keys.key(identity.key)
        return key is not None and key.tenant == identity.tenant

    def _participant(self, token: str) -> Identity:
        claims = _verified(token, self._cluster, ParticipantClaims)
        return Identity(
            claims.tenant,
            claims.key,
            claims.grants & SEATED_GRANTS,
            claims.exp,
            meeting=claims.meeting,
            participant=claims.sub,
            instance=claims.instance,
            seat=claims.seat,
        )


Claims = TypeVar("Claims", AccessClaims, ParticipantClaims)


def prepared(secret: bytes) -> jwt.PyJWK:
    """Return a secret as a key bound to our algorithm; preparing it for each token costs more than the signature."""
    encoded = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    return jwt.PyJWK({"kty": "oct", "alg": ALGORITHM, "k": encoded})


def _access(token: str, key: ApiKey) -> Identity:
    claims = _verified(token, prepared(key.secret.encode()), AccessClaims)
    if not claims.grants <= key.grants:
        raise Forbidden("The token claims grants that its API key does not carry.")
    return Identity(key.tenant, key.id, claims.grants, claims.exp, meeting=claims.meeting, participant=claims.sub)


def _issuer(token: str) -> str:
    """Return the unverified `iss`: it says which key the signature is to be checked with, nothing more."""
    if len(token) > LONGEST_TOKEN:
        raise Unauthenticated
    try:
        _, payload, _ = token.split(".")
        issuer = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["iss"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Unauthenticated from None
    if not isinstance(issuer, str) or not (issuer == PARTICIPANT_ISSUER or _KEY_ID.fullmatch(issuer)):
        raise Unauthenticated
    return issuer


def _verified(token: str, key: jwt.PyJWK, claims: type[Claims]) -> Claims:
    try:
        said = jwt.decode(token, key, [ALGORITHM], {"require": ["exp", "iss"], "verify_aud": False}, leeway=LEEWAY)
        return claims.model_validate(said)
    except (jwt.PyJWTError, ValidationError):
        raise Unauthenticated from None
