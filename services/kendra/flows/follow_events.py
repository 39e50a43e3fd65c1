"""Events: a client opens its stream, a media server says that there is something to send on, or to tell now or never."""

from contracts.follow_events import EventsFollowed, FollowEvents
from contracts.live import LiveEvents, RelayEvents
from services.bus import Call
from services.kendra.world import World


async def follow_events(_: FollowEvents, call: Call, world: World) -> EventsFollowed:
    """Name the meeting's stream to who may read it, after bringing it up to date."""
    followed = await world.store.log.followed(call)
    await world.events.relay(call)
    return followed


async def relay_events(_: RelayEvents, call: Call, world: World) -> None:
    """Send on what a media server committed."""
    await world.events.relay(call)


async def live_events(notice: LiveEvents, call: Call, world: World) -> None:
    """Publish what is worthless when late."""
    await world.events.publish(call, notice)
