"""The watchdog tells a plane that stands still from one that turns, and from a process that stood still itself."""

from types import SimpleNamespace
from typing import Any

import pytest

from services.media_server.metrics import STUCK
from services.media_server.watching import Pulse, Watching


class Plane:
    """A plane that turns when it is woken, unless it is stuck."""

    def __init__(self) -> None:
        self.turned: int | None = 0
        self.stuck = False

    def turns(self) -> int | None:
        turned = self.turned
        if turned is not None and not self.stuck:
            self.turned = turned + 1
        return turned


class Died(Exception):
    """What the fake worker raises when it is to die."""


def worker(name: str) -> Any:
    def die(reason: BaseException) -> None:
        raise Died(name) from reason

    class Worker(SimpleNamespace):
        __hash__ = object.__hash__

    return Worker(id=name, plane=Plane(), routers={}, die=die)


def told(name: str) -> float:
    return STUCK.labels(name)._value.get()


def test_a_turn_however_small_is_a_sign_of_life() -> None:
    pulse = Pulse(5)
    assert [pulse.felt(turns) for turns in (5, 5, 6, 6, 6, 9)] == [1, 2, 0, 1, 2, 0]


def test_one_that_stands_still_is_told_of_once_and_dies_later() -> None:
    stuck, well = worker("stuck"), worker("well")
    watching = Watching([stuck, well], each=1.0, stuck=3.0, lost=6.0)
    watching.look()
    before = told("stuck")
    stuck.plane.stuck = True
    for _ in range(6):
        watching.look()
    with pytest.raises(Died, match="stuck") as died:
        watching.look()
    assert told("stuck") == before + 1
    assert told("well") == 0
    assert str(died.value.__cause__) == "its loop stood still for 6 s"


def test_one_that_goes_on_in_time_lives_and_may_be_told_of_again() -> None:
    slow = worker("slow")
    watching = Watching([slow], each=1.0, stuck=2.0, lost=5.0)
    for stuck in (False, True, True, True, True, False, False, True, True, True, True, False):
        slow.plane.stuck = stuck
        watching.look()
    assert told("slow") == 2


def test_a_plane_without_a_loop_of_its_own_is_left_alone() -> None:
    idle = worker("idle")
    idle.plane.turned = None
    watching = Watching([idle], each=1.0, stuck=1.0, lost=2.0)
    for _ in range(10):
        watching.look()
    assert told("idle") == 0


def test_one_that_came_in_the_place_of_another_begins_anew() -> None:
    first, again = worker("w"), worker("w")
    workers = [first]
    watching = Watching(workers, each=1.0, stuck=2.0, lost=4.0)
    first.plane.stuck = True
    for _ in range(4):
        watching.look()
    workers[:] = [again]
    for _ in range(10):
        watching.look()
    assert told("w") == 1
