"""Around transports, producers and consumers: the participant's own media server carries the order out, in the participant's seat."""

from typing import TypeVar

from contracts.message import Command, Reply
from services.bus import Call
from services.kendra.world import World

R = TypeVar("R", bound=Reply)


async def act(order: Command[R], call: Call, world: World) -> R:
    """Connect, restart ICE, pause, resume, choose layers, ask for a key frame, read stats."""
    seated = await world.store.resolving.seat(call)
    return await world.media.ask(seated, order, call)


async def act_and_tell(order: Command[R], call: Call, world: World) -> R:
    """Do what the others hear of: pause, resume, close."""
    done = await act(order, call, world)
    world.events.start(call)
    return done
