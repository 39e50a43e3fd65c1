"""What of a command and its reply a watch record may not have: passwords, credentials, secrets, tokens, by name or by their looks."""

import json

import pytest

from services.bus.watch import blanked

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJkZW1vIn0.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"password": "x", "iceParameters": {"password": 'with "quotes" \\'}}, {"password": "***", "iceParameters": {"password": "***"}}),
        ({"credential": "x", "apiSecret": "x", "participantToken": "x"}, {"credential": "***", "apiSecret": "***", "participantToken": "***"}),
        ({"appData": {"mine": TOKEN}}, {"appData": {"mine": "***"}}),
        ({"displayName": f"Asha {TOKEN} x"}, {"displayName": "Asha *** x"}),
        ({"appData": {"nested": json.dumps({"token": TOKEN})}}, {"appData": {"nested": json.dumps({"token": "***"})}}),
    ],
    ids=str,
)  # fmt: skip
def test_a_secret_is_blanked_wherever_it_stands(said: object, told: object) -> None:
    assert json.loads(blanked(json.dumps(said).encode())) == told


@pytest.mark.parametrize(
    "said",
    [
        {"usernameFragment": "abcd", "fingerprints": [{"value": "AA:BB"}], "passwordless": "x", "tokens": 3, "text": "token"},
        {"text": 'the word "password": "x" within a text', "id": "eyJ.eyJ.x"},
    ],
)  # fmt: skip
def test_nothing_else_is(said: object) -> None:
    assert json.loads(blanked(json.dumps(said).encode())) == said
