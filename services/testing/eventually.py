"""Wait for a condition, with a deadline: the only way a test waits for what it cannot await."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]], *, within: float = 5.0) -> T:
    """Look again and again until what is seen is true; return it. An AssertionError of `look` counts as not yet."""
    last: object = None
    try:
        async with asyncio.timeout(within):
            while True:
                try:
                    last = await look()
                except AssertionError as not_yet:
                    last = not_yet
                else:
                    if last:
                        return last
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within} s; last seen: {last!r}") from None
