"""`doordarshan drain <server>` empties a media server and shows how far it is; `undrain <server>` has meetings placed on it again."""

import asyncio
from collections.abc import Awaitable, Callable

from contracts.actor import Grant
from contracts.servers import MediaServerView, ServersListed
from services.cli.cluster import checked_id
from services.cli.deployment import Deployment
from services.cli.emptying import Emptying, Screen
from services.cli.moments import seconds_of
from services.cli.participant.api import Api, ApiError
from services.cli.stack.errors import CannotRun

_BUDGET = 15.0
_INTERRUPTED = 130


def drain(
    server: str,
    *,
    deadline: str = "60s",
    url: str | None = None,
    key: str | None = None,
    secret: str | None = None,
    insecure: bool = False,
) -> None:
    """Empty a media server: it gets no new meetings, and those that it has move away one by one.

    Waits until the server is empty. Ctrl-C cancels: the server gets meetings again. Exits 1 when the deadline passed and meetings are left.

    Parameters
    ----------
    server
        The media server's name.
    deadline
        How long it may take: 60s, 5m, 1h.
    url
        The gateway. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an operator's API key. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    insecure
        Accept a certificate that nobody vouches for.
    """
    within = seconds_of(deadline)
    operator = _Operator(Deployment.find(url, key, secret, verify=not insecure), server)
    status = asyncio.run(operator.doing(lambda: operator.drain(within)))
    if status:
        raise SystemExit(status)


def undrain(
    server: str, *, url: str | None = None, key: str | None = None, secret: str | None = None, insecure: bool = False
) -> None:
    """Place meetings on a media server again. What was moved stays where it is.

    Parameters
    ----------
    server
        The media server's name.
    url
        The gateway. By default the `up` of this checkout, or DOORDARSHAN_URL.
    key
        The id of an operator's API key. Else DOORDARSHAN_KEY, or the `up`'s own.
    secret
        That key's secret. Else DOORDARSHAN_SECRET.
    insecure
        Accept a certificate that nobody vouches for.
    """
    operator = _Operator(Deployment.find(url, key, secret, verify=not insecure), server)
    asyncio.run(operator.doing(operator.undrain))


class _Operator:
    """Somebody who drains one server."""

    def __init__(self, deployment: Deployment, server: str) -> None:
        self._deployment = deployment
        self._server = checked_id("server", server)
        self._path = f"/v1/servers/{self._server}/drain"
        self._api = Api(deployment.url, "", verify=deployment.verify, budget=_BUDGET)

    async def doing(self, work: Callable[[], Awaitable[int]]) -> int:
        """Do it, and say in one line what was refused."""
        try:
            return await work()
        except ApiError as error:
            raise CannotRun(str(error)) from None
        finally:
            await self._api.close()

    async def drain(self, within: float) -> int:
        """Begin, and watch until the server is empty; return the exit status."""
        with Screen() as screen:
            emptying = Emptying(self._server, within, screen)
            try:
                await self._known().post(self._path, {"deadlineSeconds": within})
                await emptying.watch(self._servers)
            except asyncio.CancelledError:
                await self._known().delete(self._path)
                screen.say(emptying.cancelled())
                return _INTERRUPTED
        return 0

    async def undrain(self) -> int:
        """End it."""
        await self._known().delete(self._path)
        print(f"{self._server} gets meetings again")
        return 0

    async def _servers(self) -> list[MediaServerView]:
        listed = await self._known().get("/v1/servers")
        return ServersListed.model_validate(listed).servers

    def _known(self) -> Api:
        """Return the API with a token that holds: a drain may take longer than one."""
        self._api.token = self._deployment.token("*", (Grant.OPERATOR,))
        return self._api
