"""The load generator's HTTP: one keep-alive pool, tokens minted by hand, a non-2xx answer is an error."""

import time
from collections.abc import AsyncIterator
from typing import cast

import aiohttp
import jwt
from pydantic import JsonValue

JsonObject = dict[str, JsonValue]
GRANTS = ["create", "join", "produce", "consume", "admin"]


class Client:
    """Calls the gateway as one API key."""

    def __init__(self, url: str, key: str, secret: str) -> None:
        self._url, self._key, self._secret = url, key, secret
        self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        self._tokens: dict[str, str] = {}

    async def close(self) -> None:
        """Close the pool."""
        await self._http.close()

    def token(self, meeting: str) -> str:
        """Return an access token with all of a tenant's grants for a meeting."""
        if meeting not in self._tokens:
            claims = {"iss": self._key, "exp": int(time.time()) + 3600, "meeting": meeting, "grants": GRANTS}
            self._tokens[meeting] = jwt.encode(claims, self._secret, "HS256")
        return self._tokens[meeting]

    async def post(self, path: str, body: JsonObject, token: str) -> JsonObject:
        """Order something. Raises RuntimeError with the problem."""
        async with self._http.post(
            f"{self._url}/v1{path}", json=body, headers={"Authorization": f"Bearer {token}"}
        ) as answer:
            content = await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{path}: {answer.status} {content[:300]!r}")
            return cast(JsonObject, await answer.json()) if content else {}

    async def create(self, meeting: str, participants: int, producers: int = 2) -> JsonObject:
        """Create a meeting."""
        capacity: JsonObject = {"participants": participants, "producers": producers}
        return await self.post("/meetings", {"meetingId": meeting, "capacity": capacity}, self.token(meeting))

    async def join(self, meeting: str, participant: str) -> JsonObject:
        """Seat a participant."""
        body: JsonObject = {"participantId": participant, "instanceId": f"{participant}-1"}
        return await self.post(f"/meetings/{meeting}/join", body, self.token(meeting))

    async def event_lines(self, meeting: str, token: str) -> AsyncIterator[tuple[bytes, float]]:
        """Follow a meeting's events; yields each line with the wall clock at which its bytes were here."""
        timeout = aiohttp.ClientTimeout(total=None)
        headers = {"Authorization": f"Bearer {token}"}
        async with self._http.get(
            f"{self._url}/v1/meetings/{meeting}/events", headers=headers, timeout=timeout
        ) as answer:
            if answer.status != 200:
                raise RuntimeError(f"events: {answer.status} {await answer.text()}")
            async for line in answer.content:
                yield line, time.time()
