"""Leaving: a gateway that is told to stop says so first, and serves on until a load balancer has had time to see it.

While it leaves it is not ready, and each answer closes its connection: whoever comes back comes to another gateway. Then it
listens no more, event streams end, and what runs is answered.
"""

import asyncio
from collections.abc import Callable


class Leaving:
    """Whether this process is about to stop. `notice` is how long it serves on, seconds; `over` then ends it."""

    def __init__(self, notice: float, over: Callable[[], None]) -> None:
        self._notice, self._over = notice, over
        self.begun = False

    def begin(self) -> None:
        """Leave; told a second time, or without notice to give, at once."""
        if self.begun or not self._notice:
            self._over()
        else:
            asyncio.get_running_loop().call_later(self._notice, self._over)
        self.begun = True

    async def not_begun(self) -> bool:
        """Say whether this process means to stay, as a check of readiness."""
        return not self.begun
