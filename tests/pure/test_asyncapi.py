"""docs/asyncapi.json: up to date, valid by AsyncAPI's own schema, and every reference in it leads somewhere."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from services.describe.asyncapi import PAGE, asyncapi, text
from services.kendra.handlers import HANDLERS as KENDRA
from services.media_server.handlers import HANDLERS as MEDIA_SERVER

SCHEMA = json.loads((Path(__file__).parents[1] / "vectors" / "asyncapi" / "3.0.0.json").read_text())
Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    return asyncapi()


@pytest.fixture(scope="module")
def valid() -> Callable[[object], bool]:
    return jsonschema_rs.validator_for(SCHEMA).is_valid


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (ref for key, ref in value.items() if key == "$ref" and isinstance(ref, str))
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def found(document: Document, reference: str) -> Any:
    at: Any = document
    for part in reference.removeprefix("#/").split("/"):
        at = at[part]
    return at


def test_the_file_is_what_the_contracts_say() -> None:
    assert PAGE.read_text() == text(), "run: make docs"


def test_it_is_valid_by_the_schema_of_asyncapi(document: Document, valid: Callable[[object], bool]) -> None:
    assert valid(document)


def test_that_schema_sees_what_is_wrong(document: Document, valid: Callable[[object], bool]) -> None:
    def is_seen(break_it: Callable[[Document], object]) -> bool:
        broken = copy.deepcopy(document)
        break_it(broken)
        return not valid(broken)

    assert is_seen(lambda it: it.pop("info"))
    assert is_seen(lambda it: it["operations"]["kendra.CreateMeeting"].update(action="does"))
    assert is_seen(lambda it: it["channels"]["watch"]["bindings"]["amqp"].update({"is": "pipe"}))
    assert is_seen(lambda it: it["components"]["messages"]["CreateMeeting"].update(correlationId={"location": "there"}))


def test_every_reference_leads_somewhere_and_nothing_is_left_over(document: Document) -> None:
    refs = set(references(document))
    for ref in refs:
        assert found(document, ref) is not None, ref
    for part in ("messages", "schemas"):
        names = document["components"][part]
        unused = [name for name in names if f"#/components/{part}/{name}" not in refs]
        assert set(unused) <= {"Envelope"}, "what travels as headers is shown there"


def test_every_command_that_a_service_takes_is_an_operation_with_its_reply(document: Document) -> None:
    for service, handlers in (("kendra", KENDRA), ("mediaServer", MEDIA_SERVER)):
        taken = {
            name.split(".")[1]
            for name in document["operations"]
            if name.startswith(f"{service}.") and name.split(".")[1][0].isupper()
        }
        assert taken == {kind.__name__ for kind in handlers}
    create = document["operations"]["kendra.CreateMeeting"]
    answers = [found(document, ref["$ref"])["$ref"].rpartition("/")[2] for ref in create["reply"]["messages"]]
    assert answers == ["MeetingCreated", "Failure"]
    assert "reply" not in document["operations"]["kendra.RelayEvents"]


def test_an_address_has_the_parameters_that_it_names(document: Document) -> None:
    for channel in document["channels"].values():
        assert set(re.findall(r"{(\w+)}", channel["address"])) == set(channel.get("parameters", {})), channel["address"]


def test_an_operations_messages_are_of_its_channel(document: Document) -> None:
    for name, operation in document["operations"].items():
        messages = found(document, operation["channel"]["$ref"])["messages"]
        for ref in references(operation.get("messages", [])):
            assert ref.rpartition("/")[2] in messages, name
