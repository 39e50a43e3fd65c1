"""Kendra's table of contents: nothing that can be said to it is left out, and each command takes its grant."""

import importlib
import pkgutil

import pytest

import contracts
from contracts.actor import Actor, Grant
from contracts.create_meeting import AllocateRouter
from contracts.end_meeting import CloseRouter
from contracts.failure import Forbidden
from contracts.ids import InstanceId, ParticipantId, Seat
from contracts.join_meeting import CloseSeats, GetRouterCapabilities
from contracts.live import ListLive
from contracts.meeting import Direction
from contracts.message import Command, Message
from contracts.recreate_transport import RecreateTransport, ReplaceTransports
from services.kendra.granted import SEAT, check
from services.kendra.handlers import HANDLERS

ASKED_OF_MEDIA_SERVERS = {AllocateRouter, CloseRouter, CloseSeats, GetRouterCapabilities, ListLive, ReplaceTransports}


def everything_said() -> set[type[Message]]:
    """Return every command of the contracts."""
    found: set[type[Message]] = set()
    for module in pkgutil.iter_modules(contracts.__path__, "contracts."):
        for thing in vars(importlib.import_module(module.name)).values():
            if (
                isinstance(thing, type)
                and issubclass(thing, Command)
                and "[" not in thing.__name__
                and thing is not Command
            ):
                found.add(thing)
    return found


def seated(*grants: Grant) -> Actor:
    return Actor(grants=grants, participant=ParticipantId("asha"), instance=InstanceId("1"), seat=Seat(2))


def test_every_command_of_the_contracts_is_carried_out_here_or_by_a_media_server() -> None:
    assert everything_said() - ASKED_OF_MEDIA_SERVERS <= set(HANDLERS)


def test_a_seat_is_enough_where_a_seat_is_asked_for_and_only_there() -> None:
    check(None, seated(), SEAT)
    with pytest.raises(Forbidden):
        check(None, Actor(grants=(Grant.JOIN, Grant.PRODUCE)), SEAT)
    for grant in set(Grant) - {Grant.JOIN}:
        with pytest.raises(Forbidden):
            check(None, seated(), grant)


def test_who_is_seated_joins_again_by_the_seat() -> None:
    check(None, seated(), Grant.JOIN)
    with pytest.raises(Forbidden):
        check(None, Actor(grants=(Grant.PRODUCE,)), Grant.JOIN)


@pytest.mark.parametrize("grant", [SEAT, Grant.PRODUCE, Grant.CONSUME, Grant.ADMIN])
def test_an_admin_may_what_a_seat_may(grant: Grant | None) -> None:
    check(None, Actor(grants=(Grant.ADMIN,)), grant)


@pytest.mark.parametrize("grant", [Grant.CREATE, Grant.JOIN, Grant.OPERATOR])
def test_an_admin_is_no_operator_and_neither_creates_nor_joins_by_that(grant: Grant) -> None:
    with pytest.raises(Forbidden):
        check(None, Actor(grants=(Grant.ADMIN,)), grant)


def test_a_placement_is_explained_to_admins_and_operators() -> None:
    for grant in set(Grant) - {Grant.ADMIN, Grant.OPERATOR}:
        with pytest.raises(Forbidden):
            check(None, seated(grant), Grant.ADMIN, Grant.OPERATOR)
    check(None, Actor(grants=(Grant.ADMIN,)), Grant.ADMIN, Grant.OPERATOR)
    check(None, Actor(grants=(Grant.OPERATOR,)), Grant.ADMIN, Grant.OPERATOR)


def test_a_transport_takes_the_grant_of_what_it_carries() -> None:
    check(RecreateTransport(direction=Direction.SEND), seated(Grant.PRODUCE), SEAT)
    check(RecreateTransport(direction=Direction.RECV), seated(Grant.CONSUME), SEAT)
    with pytest.raises(Forbidden):
        check(RecreateTransport(direction=Direction.SEND), seated(Grant.CONSUME), SEAT)
