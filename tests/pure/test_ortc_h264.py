"""Profiles and levels of H.264 are understood as browsers understand them."""

import pytest

from sfu.h264 import Profile as P
from sfu.h264 import ProfileLevel, answer_profile_level_id, is_same_profile, parse_profile_level
from tests.pure.ortc_vectors import vectors


def parameters(profile_level_id: str | None, level_asymmetry_allowed: int = 0) -> dict[str, str | int | float]:
    asymmetry: dict[str, str | int | float] = {"level-asymmetry-allowed": level_asymmetry_allowed}
    return asymmetry if profile_level_id is None else asymmetry | {"profile-level-id": profile_level_id}


def answer(local: dict[str, str | int | float], remote: dict[str, str | int | float]) -> object:
    try:
        return answer_profile_level_id(local, remote)
    except ValueError:
        return {"error": "TypeError"}


def test_every_pair_of_the_matrix_is_answered_as_libwebrtc_answers() -> None:
    wrong = []
    for row in vectors("h264_profile_level_id_matrix")["cases"]:
        if isinstance(row, dict):
            local, remote, same, answered = row["local"], row["remote"], row["same"], row["answer"]
        else:
            local, remote, same, answered = parameters(row[0], row[2]), parameters(row[1], row[3]), row[4], row[5]
        if (is_same_profile(local, remote), answer(local, remote)) != (same, answered):
            wrong.append(row)
    assert not wrong


@pytest.mark.parametrize(
    ("profile_level_id", "means"),
    [
        (None, ProfileLevel(P.CONSTRAINED_BASELINE, 31)),
        ("42e01f", ProfileLevel(P.CONSTRAINED_BASELINE, 31)),
        ("4d8028", ProfileLevel(P.CONSTRAINED_BASELINE, 40)),
        ("58c00a", ProfileLevel(P.CONSTRAINED_BASELINE, 10)),
        ("42001f", ProfileLevel(P.BASELINE, 31)),
        ("588034", ProfileLevel(P.BASELINE, 52)),
        ("4d401f", ProfileLevel(P.MAIN, 31)),
        ("64001f", ProfileLevel(P.HIGH, 31)),
        ("640c1f", ProfileLevel(P.CONSTRAINED_HIGH, 31)),
        ("F4001F", ProfileLevel(P.PREDICTIVE_HIGH_444, 31)),
        ("42f00b", ProfileLevel(P.CONSTRAINED_BASELINE, 0)),
        ("4d100b", ProfileLevel(P.MAIN, 0)),
        ("42e00b", ProfileLevel(P.CONSTRAINED_BASELINE, 11)),
    ],
)
def test_an_id_names_a_profile_and_a_level(profile_level_id: str | None, means: ProfileLevel) -> None:
    assert parse_profile_level(parameters(profile_level_id)) == means


@pytest.mark.parametrize(
    "profile_level_id", ["42e01", "42e01f0", "42e0ff", "42e11f", "6e001f", "+2e01f", "42e0\n1", "४2e01f"]
)
def test_an_id_of_nothing_we_know_is_none(profile_level_id: str) -> None:
    assert parse_profile_level(parameters(profile_level_id)) is None
    assert not is_same_profile(parameters(profile_level_id), parameters(profile_level_id))


def test_a_number_is_no_id() -> None:
    assert parse_profile_level({"profile-level-id": 640032}) is None


def test_the_lower_level_is_used_unless_both_allow_them_to_differ() -> None:
    assert answer_profile_level_id(parameters("42e034"), parameters("42e01f")) == "42e01f"
    assert answer_profile_level_id(parameters("42e034", 1), parameters("42e01f", 0)) == "42e01f"
    assert answer_profile_level_id(parameters("42e034", 1), parameters("42e01f", 1)) == "42e034"
