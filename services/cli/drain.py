"""`doordarshan drain <server>` and `undrain <server>`: whether new meetings are placed on a media server. What is there stays."""

import asyncio

from contracts.actor import Grant
from services.cli.cluster import checked_id
from services.cli.deployment import Deployment
from services.cli.participant.api import Api, ApiError
from services.cli.stack.errors import CannotRun


def drain(
    server: str, *, url: str | None = None, key: str | None = None, secret: str | None = None, insecure: bool = False
) -> None:
    """Place no new meeting on a media server; those that it has stay.

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
    asyncio.run(_order(Deployment.find(url, key, secret, verify=not insecure), server, drained=True))
    print(f"{server} gets no new meetings")


def undrain(
    server: str, *, url: str | None = None, key: str | None = None, secret: str | None = None, insecure: bool = False
) -> None:
    """Place meetings on a media server again.

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
    asyncio.run(_order(Deployment.find(url, key, secret, verify=not insecure), server, drained=False))
    print(f"{server} gets meetings again")


async def _order(deployment: Deployment, server: str, *, drained: bool) -> None:
    path = f"/v1/servers/{checked_id('server', server)}/drain"
    api = Api(deployment.url, deployment.token("*", (Grant.OPERATOR,)), verify=deployment.verify, budget=5)
    try:
        await (api.post(path) if drained else api.delete(path))
    except ApiError as error:
        raise CannotRun(str(error)) from None
    finally:
        await api.close()
