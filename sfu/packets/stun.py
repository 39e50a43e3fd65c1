"""STUN binding requests as ICE uses them (RFC 8445 §7.3), on aioice's messages."""

from aioice.stun import Class, Message, Method, parse_message

ROLE_CONFLICT = (487, "Role Conflict")


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
