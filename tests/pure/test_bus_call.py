"""What needs no broker: how ids of nested asks are derived, what a record hides, what travels as what."""

import json
import time
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.ids import CommandId, Epoch, MeetingId, TenantId
from contracts.message import Command, Done
from services.bus import Call
from services.bus.envelope import may_be_answered, name_of
from services.bus.watch import blanked

OUTER = replace(
    Call.begin(TenantId("t"), MeetingId("m"), 4.0), command_id=CommandId(UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"))
)


class Order(Command[Done]):
    """As kendra has it."""


class Body(Order, extra="forbid"):
    """As the gateway has it."""


class OfAnotherHop(Order):
    """As a media server has it."""


def test_a_repeat_of_a_nested_ask_has_the_same_id() -> None:
    assert OUTER.nested("create", budget=1.5).command_id == OUTER.nested("create", budget=0.5).command_id


def test_another_step_another_epoch_or_another_outer_command_has_another_id() -> None:
    calls = [
        OUTER.nested("create", budget=1.0),
        OUTER.nested("close", budget=1.0),
        OUTER.nested("create", epoch=Epoch(1), budget=1.0),
        OUTER.nested("create", epoch=Epoch(2), budget=1.0),
        Call.begin(TenantId("t"), MeetingId("m"), 4.0).nested("create", budget=1.0),
    ]
    assert len({call.command_id for call in calls}) == len(calls)


def test_a_nested_ask_never_outlives_its_command() -> None:
    outer = replace(OUTER, deadline=time.monotonic() + 4.0)
    assert outer.nested("create", budget=60).deadline == outer.deadline
    assert outer.nested("create", budget=1.5).deadline < outer.deadline


def test_a_nested_ask_carries_body_hash_and_trace() -> None:
    nested = OUTER.nested("create", budget=1.0)
    assert (nested.body_hash, nested.traceparent) == (OUTER.body_hash, OUTER.traceparent)


def test_remaining_time_runs_out() -> None:
    assert replace(OUTER, deadline=time.monotonic() - 1).remaining() < 0


def test_a_body_travels_as_its_parent_and_a_hop_of_its_own_as_itself() -> None:
    assert [name_of(kind) for kind in (Order, Body, OfAnotherHop)] == ["Order", "Order", "OfAnotherHop"]


@pytest.mark.parametrize(
    "queue", [None, "", "reply", "reply.", "kendra.commands", "xreply.a", "reply.a b", "reply.a\n"]
)
def test_other_queues_are_not_answered(queue: str | None) -> None:
    assert not may_be_answered(queue)


SECRETS = st.sampled_from(["password", "participantToken", "credential", "icePassword", "clientSecret"])
NAMES = st.text(max_size=8).filter(
    lambda name: not name.lower().endswith(("password", "token", "credential", "secret"))
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | SECRETS, inner, max_size=4),
    max_leaves=20,
)


def hidden(value: object) -> object:
    """Blank as a reader of parsed JSON would."""
    if isinstance(value, dict):
        return {
            name: "***"
            if isinstance(inner, str) and name.lower().endswith(("password", "token", "credential", "secret"))
            else hidden(inner)
            for name, inner in value.items()
        }
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


@given(VALUES, st.booleans())
def test_a_record_hides_every_secret_and_nothing_else(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert json.loads(blanked(body)) == hidden(value)


def test_text_that_looks_like_a_secret_is_left_alone() -> None:
    body = json.dumps({"text": 'he said "password": "x"', "password": 'a"b\\'}).encode()
    assert json.loads(blanked(body)) == {"text": 'he said "password": "x"', "password": "***"}
