"""STUN binding requests as ICE uses them (RFC 8445 §7.3), on aioice's messages."""

import struct

from aioice.stun import Class, Message, Method, parse_message

ROLE_CONFLICT = (487, "Role Conflict")
HEADER, USERNAME = 20, 0x0006
MAX_BEFORE_USERNAME = 8
"""Attributes that are passed over in search of USERNAME; browsers write it first."""


def seeming_addressee(data: bytes) -> str | None:
    """Return the username fragment that a datagram names, nothing of it verified.

    To parse one that is full of attributes costs fifty times an honest check, and a stranger may send as many as he likes.
    """
    at = HEADER
    for _ in range(MAX_BEFORE_USERNAME):
        if at + 4 > len(data):
            return None
        kind, length = struct.unpack_from("!HH", data, at)
        if kind == USERNAME:
            return data[at + 4 : at + 4 + length].partition(b":")[0].decode("utf-8", "replace")
        at += 4 + length + -length % 4
    return None


def parse_check(data: bytes) -> Message | None:
    """Return a binding request that may be authentic: it has USERNAME, MESSAGE-INTEGRITY and a right FINGERPRINT."""
    try:
        message = parse_message(data)
    except (
        Exception
    ):  # aioice raises ValueError, struct.error, UnicodeDecodeError and perhaps more; all mean "not for us".
        return None
    if message.message_method != Method.BINDING or message.message_class != Class.REQUEST:
        return None
    return message if {"USERNAME", "MESSAGE-INTEGRITY", "FINGERPRINT"} <= message.attributes.keys() else None


def addressee(check: Message) -> str:
    """Return the username fragment of the transport that a check is for: what stands before the colon."""
    return str(check.attributes["USERNAME"]).partition(":")[0]


def success(check: Message, address: tuple[str, int], password: str) -> bytes:
    """Write the answer to an authentic check from this address."""
    reply = Message(Method.BINDING, Class.RESPONSE, check.transaction_id, {"XOR-MAPPED-ADDRESS": address})
    reply.add_message_integrity(password.encode())
    return bytes(reply)


def role_conflict(check: Message, password: str) -> bytes:
    """Write the answer to an authentic check of a peer that thinks we are controlling (RFC 8445 §7.3.1.1)."""
    reply = Message(Method.BINDING, Class.ERROR, check.transaction_id, {"ERROR-CODE": ROLE_CONFLICT})
    reply.add_message_integrity(password.encode())
    return bytes(reply)
