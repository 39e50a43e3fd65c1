"""A contract changes compatibly or gets a new version: each way of breaking it is seen, each way of extending it is not."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field, create_model

from contracts.message import CONTRACT_VERSION, Message
from services.bus.document import plain, shapes_of
from services.describe.compatible import Direction, Shapes, broken
from services.describe.frozen import Incompatible, Promised, changes, extend, promised, spoken

TAKES, GIVES = Direction.TAKES, Direction.GIVES
Fields = dict[str, Any]


def thing(fields: Fields) -> Shapes:
    """Return the shapes of a message of these fields: a type, or a type and its default."""
    made: Any = {name: field if isinstance(field, tuple) else (field, ...) for name, field in fields.items()}
    return Shapes(
        {name: plain(shape) for name, shape in shapes_of([create_model("Thing", __base__=Message, **made)]).items()}
    )


def said(old: Fields, new: Fields, direction: Direction) -> list[str]:
    return broken(thing(old), thing(new), [("Thing", direction)])


class Two(StrEnum):
    A = "a"
    B = "b"


def inner(**fields: Any) -> Any:
    return create_model("Inner", __base__=Message, **fields)


BREAKS: dict[str, tuple[Fields, Fields, Direction, str]] = {
    "a field is removed that is taken": ({"a": int, "b": (int, 0)}, {"a": int}, TAKES, "Thing.b: is gone"),
    "a field is removed that is given": ({"a": int, "b": (int, 0)}, {"a": int}, GIVES, "Thing.b: is gone"),
    "a type changes that is taken": ({"a": int}, {"a": str}, TAKES, "Thing.a: may not be integer any more"),
    "a type changes that is given": ({"a": int}, {"a": str}, GIVES, "Thing.a: may now be string"),
    "null is refused": ({"a": int | None}, {"a": int}, TAKES, "Thing.a: may not be null any more"),
    "null is given": ({"a": int}, {"a": int | None}, GIVES, "Thing.a: may now be null"),
    "a fraction is refused": ({"a": float}, {"a": int}, TAKES, "Thing.a: may not be number any more"),
    "a fraction is given": ({"a": int}, {"a": float}, GIVES, "Thing.a: may now be number"),
    "a new field must be given": ({}, {"a": int}, TAKES, "Thing.a: is new and has no default"),
    "a new field without default is expected of who answers": (
        {},
        {"a": int},
        GIVES,
        "Thing.a: is new and has no default",
    ),
    "an old field must be given": ({"a": (int, 0)}, {"a": int}, TAKES, "Thing.a: must be given now"),
    "an old field may be missing": ({"a": int}, {"a": (int, 0)}, GIVES, "Thing.a: may be left out now"),
    "what a missing field means changes": (
        {"a": (bool, True)},
        {"a": (bool, False)},
        TAKES,
        "Thing.a: its default is False now, it was True",
    ),
    "a value is refused": ({"a": Two}, {"a": Literal["a"]}, TAKES, "Thing.a: 'b' is gone from its values"),
    "a value is never given again": (
        {"a": Literal["a", "b"]},
        {"a": Literal["b"]},
        GIVES,
        "Thing.a: 'a' is gone from its values",
    ),
    "only some values are taken": ({"a": str}, {"a": Two}, TAKES, "Thing.a: takes only 'a', 'b' now"),
    "any value is given": ({"a": Two}, {"a": str}, GIVES, "Thing.a: was one of 'a', 'b'"),
    "a bound is tightened": (
        {"a": Annotated[int, Field(le=9)]},
        {"a": Annotated[int, Field(le=8)]},
        TAKES,
        "Thing.a: its maximum is 8 now, it was 9",
    ),
    "a bound is new": (
        {"a": str},
        {"a": Annotated[str, Field(min_length=1)]},
        TAKES,
        "Thing.a: its minLength is 1 now, it was not bounded",
    ),
    "a pattern is another": (
        {"a": Annotated[str, Field(pattern="^a")]},
        {"a": Annotated[str, Field(pattern="^b")]},
        GIVES,
        "Thing.a: its pattern is another: '^a' before, '^b' now",
    ),
    "a list's item changes": (
        {"a": list[inner(x=(int, ...))]},
        {"a": list[inner(y=(int, 0))]},
        GIVES,
        "Thing.a[].x: is gone",
    ),
    "a mapping's value changes": (
        {"a": dict[str, int | str]},
        {"a": dict[str, int]},
        TAKES,
        "Thing.a.*: may not be string any more",
    ),
    "an optional object changes within": (
        {"a": (inner(x=(int, ...)) | None, None)},
        {"a": (inner(x=(str, ...)) | None, None)},
        TAKES,
        "Thing.a.x: may not be integer any more",
    ),
}

EXTENDS: dict[str, tuple[Fields, Fields, tuple[Direction, ...]]] = {
    "nothing changes": ({"a": int}, {"a": int}, (TAKES, GIVES)),
    "a field with a default is new": ({}, {"a": (int, 0)}, (TAKES, GIVES)),
    "a value is new": ({"a": Literal["a"]}, {"a": Two}, (TAKES, GIVES)),
    "null is taken too": ({"a": int}, {"a": int | None}, (TAKES,)),
    "null is never given again": ({"a": int | None}, {"a": int}, (GIVES,)),
    "fractions are taken too": ({"a": int}, {"a": float}, (TAKES,)),
    "a field may be left out": ({"a": int}, {"a": (int, 0)}, (TAKES,)),
    "a field is always given": ({"a": (int, 0)}, {"a": int}, (GIVES,)),
    "a bound is loosened": ({"a": Annotated[int, Field(le=9)]}, {"a": Annotated[int, Field(le=10)]}, (TAKES, GIVES)),
    "any text is taken": ({"a": Two}, {"a": str}, (TAKES,)),
}


@pytest.mark.parametrize("case", BREAKS)
def test_what_breaks_a_contract_is_named_with_its_place(case: str) -> None:
    old, new, direction, sentence = BREAKS[case]
    assert said(old, new, direction) == [sentence]


@pytest.mark.parametrize("case", EXTENDS)
def test_what_extends_a_contract_is_allowed(case: str) -> None:
    old, new, directions = EXTENDS[case]
    for direction in directions:
        assert said(old, new, direction) == []


def test_unknown_fields_that_were_borne_may_not_be_refused() -> None:
    strict = create_model("Thing", __config__=ConfigDict(extra="forbid"), a=(int, ...))
    refusing = Shapes({"Thing": plain(strict.model_json_schema())})
    assert broken(thing({"a": int}), refusing, [("Thing", TAKES)]) == ["Thing.*: other fields are refused now"]


def test_the_contract_keeps_what_its_version_promises() -> None:
    old = promised(CONTRACT_VERSION)
    assert old is not None, "run: make docs"
    assert changes(old, spoken()) == []
    assert old == spoken(), "extended compatibly; run: make docs"


def changed(**parts: object) -> Promised:
    return spoken().model_copy(update=parts)


def without(shape: str, field: str) -> Promised:
    now = spoken().model_copy(deep=True)
    fields: Any = now.shapes[shape]
    del fields["properties"][field]
    return now


def less(part: str, name: str) -> Promised:
    whole = getattr(spoken(), part)
    kept = (
        {key: value for key, value in whole.items() if key != name}
        if isinstance(whole, dict)
        else [one for one in whole if one != name]
    )
    return changed(**{part: kept})


WAYS: dict[str, tuple[Callable[[], Promised], str]] = {
    "a command is removed": (lambda: less("commands", "CreateMeeting"), "CreateMeeting: this command is gone"),
    "a notice is removed": (lambda: less("notices", "RelayEvents"), "RelayEvents: this notice is gone"),
    "an event is removed": (lambda: less("events", "ProducerPaused"), "ProducerPaused: this event is gone"),
    "a failure is removed": (lambda: less("failures", "stale_epoch"), "stale_epoch: this failure is gone"),
    "a command is answered otherwise": (
        lambda: changed(commands=spoken().commands | {"EndMeeting": "MeetingCreated"}),
        "EndMeeting: is answered with MeetingCreated now, it was Done",
    ),
    "a command's field is removed": (lambda: without("CreateProducer", "paused"), "CreateProducer.paused: is gone"),
    "a reply's field is removed": (lambda: without("MeetingJoined", "routerId"), "MeetingJoined.routerId: is gone"),
    "an event's field is removed": (lambda: without("MeetingMovedEvent", "epoch"), "MeetingMovedEvent.epoch: is gone"),
    "a header is removed": (lambda: without("Envelope", "traceparent"), "Envelope.traceparent: is gone"),
    "a watch record's field is removed": (lambda: without("Handled", "number"), "Handled.number: is gone"),
}


@pytest.mark.parametrize("way", WAYS)
def test_make_docs_refuses_an_incompatible_contract_and_says_what_to_do(way: str, tmp_path: Path) -> None:
    mutate, sentence = WAYS[way]
    file = extend(tmp_path, spoken())
    before = file.read_text()
    with pytest.raises(Incompatible) as refused:
        extend(tmp_path, mutate())
    assert f"\n  {sentence}\n" in f"{refused.value}\n"
    assert "raise CONTRACT_VERSION" in str(refused.value)
    assert file.read_text() == before


def test_a_new_version_may_promise_something_else_and_leaves_the_old_one(tmp_path: Path) -> None:
    first = extend(tmp_path, spoken())
    before = first.read_text()
    second = extend(tmp_path, less("commands", "CreateMeeting").model_copy(update={"version": CONTRACT_VERSION + 1}))
    assert (first.name, second.name) == (f"{CONTRACT_VERSION}.json", f"{CONTRACT_VERSION + 1}.json")
    assert first.read_text() == before
    with pytest.raises(Incompatible):
        extend(tmp_path, less("commands", "JoinMeeting").model_copy(update={"version": CONTRACT_VERSION + 1}))


def test_a_command_that_is_new_becomes_part_of_the_promise(tmp_path: Path) -> None:
    extend(tmp_path, less("commands", "CreateMeeting"))
    extend(tmp_path, spoken())
    with pytest.raises(Incompatible, match="CreateMeeting: this command is gone"):
        extend(tmp_path, less("commands", "CreateMeeting"))
