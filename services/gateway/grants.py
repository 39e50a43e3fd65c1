"""Who may call what, as pure functions: a verified identity and what the path names in, the actor of the command out.

All raise Forbidden. Kendra checks again what only it can know: whether the seat still holds.

* An access token serves the meeting it names, or any of its tenant's for `*`.
* What belongs to a participant wants that participant's own token, or `admin`, which acts for the current seat.
"""

from contracts.actor import Actor, Grant
from contracts.failure import Forbidden
from contracts.ids import MeetingId, ParticipantId
from services.gateway.identity import Identity


def creator(identity: Identity, meeting: MeetingId) -> Actor:
    """Who starts a meeting: an access token with `create`."""
    _for_meeting(identity, meeting)
    _with(identity, Grant.CREATE)
    return _actor(identity)


def joiner(identity: Identity, meeting: MeetingId, participant: ParticipantId) -> Actor:
    """Who takes a seat: a participant with the own token, or an access token with `join` that names the participant or nobody."""
    _for_meeting(identity, meeting)
    if not identity.seated:
        _with(identity, Grant.JOIN)
    if identity.participant not in {None, participant}:
        raise Forbidden("The token is another participant's.")
    return _actor(identity)


def reader(identity: Identity, meeting: MeetingId) -> Actor:
    """Who looks into a meeting: any participant of it, or `admin`."""
    _for_meeting(identity, meeting)
    if not identity.seated:
        _with(identity, Grant.ADMIN)
    return _actor(identity)


def administrator(identity: Identity, meeting: MeetingId) -> Actor:
    """Who ends meetings and kicks: `admin`."""
    _for_meeting(identity, meeting)
    _with(identity, Grant.ADMIN)
    return _actor(identity)


def explainer(identity: Identity, meeting: MeetingId) -> Actor:
    """Who asks why a meeting lives where it lives: `admin` or `operator`."""
    _for_meeting(identity, meeting)
    _with(identity, Grant.ADMIN, Grant.OPERATOR)
    return _actor(identity)


def operator(identity: Identity) -> Actor:
    """Who runs the servers: `operator`."""
    _with(identity, Grant.OPERATOR)
    return _actor(identity)


def leaver(identity: Identity, meeting: MeetingId) -> Actor:
    """Who gives up a seat: its participant, or an `admin` token that names one."""
    actor = reader(identity, meeting)
    if actor.participant is None:
        raise Forbidden("The token names no participant who could leave.")
    return actor


def member(identity: Identity, meeting: MeetingId, participant: ParticipantId, *grants: Grant) -> Actor:
    """Who acts below `/participants/{p}`: that participant with one of `grants`, or `admin` for its current seat."""
    _for_meeting(identity, meeting)
    if identity.seated and identity.participant == participant:
        _with(identity, Grant.ADMIN, *grants)
        return _actor(identity)
    _with(identity, Grant.ADMIN)
    return Actor(key=identity.key, grants=_sorted(identity), participant=participant)


def _for_meeting(identity: Identity, meeting: MeetingId) -> None:
    if identity.meeting not in {None, meeting}:
        raise Forbidden("The token is for another meeting.")


def _with(identity: Identity, *grants: Grant) -> None:
    if not identity.grants.intersection(grants):
        wanted = " or ".join(grants)
        raise Forbidden(f"This needs a token with the grant {wanted}.")


def _actor(identity: Identity) -> Actor:
    return Actor(
        key=identity.key,
        grants=_sorted(identity),
        participant=identity.participant,
        instance=identity.instance,
        seat=identity.seat,
    )


def _sorted(identity: Identity) -> tuple[Grant, ...]:
    return tuple(sorted(identity.grants))
