"""Packets that the kernel drops on their way over loopback: silence, as TCP itself meets it. No RST, no FIN, nothing is acknowledged;
both ends send again, later each time, and those who connect wait.

A classifier of `tc` on what arrives at `lo`, in classic BPF that decides by itself: kernels have it that have neither nftables nor an
action that drops. It belongs to a small process that takes it away when whoever asked for it says so, or is gone, however it
went. Should that process be gone too, the next one takes it away.
"""

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

_WITHIN = 5.0
_CUT = "cut"
_GUARD = """
trap '' HUP INT TERM
of="dev lo ingress protocol ip pref 7077"
tc qdisc add dev lo clsact 2>/dev/null
for handle in $(tc filter show $of 2>/dev/null | sed -n 's/.*handle \\(0x[0-9a-f]*\\).*/\\1/p'); do
    grep -qa cut-off /proc/$((handle))/cmdline 2>/dev/null || tc filter del $of handle $handle bpf
done
tc filter add $of handle $$ bpf direct-action bytecode "$1" && echo cut && cat >/dev/null && tc filter del $of handle $$ bpf
"""
"""A classifier's number is its guard's process id: one whose process is gone, or is another's by now, was left behind. `cat` ends when
nobody holds the other end of its input any more."""

_LOAD_BYTE, _LOAD_HALF_AT_X, _X_IS_HEADER_LENGTH, _JUMP_IF_EQUAL, _RETURN = 48, 72, 177, 21, 6
_ETHERNET, _PROTOCOL, _TCP = 14, 23, 6
_PASS, _DROP = 0xFFFFFFFF, 2
"""TC_ACT_UNSPEC: the next classifier decides; TC_ACT_SHOT."""


class Refused(Exception):
    """This machine lets nobody, or not us, drop packets; the text says why."""


def program(ports: Sequence[int]) -> str:
    """Return the classifier as `tc` reads it: drop what comes from or goes to these TCP ports over IPv4, let the rest pass."""
    dropping = 6 + 2 * len(ports)
    steps = [
        (_LOAD_BYTE, 0, 0, _PROTOCOL),
        (_JUMP_IF_EQUAL, 0, dropping - 3, _TCP),
        (_X_IS_HEADER_LENGTH, 0, 0, _ETHERNET),
    ]
    for side in (_ETHERNET, _ETHERNET + 2):
        steps.append((_LOAD_HALF_AT_X, 0, 0, side))
        for port in ports:
            steps.append((_JUMP_IF_EQUAL, dropping - len(steps) - 1, 0, port))
    steps += [(_RETURN, 0, 0, _PASS), (_RETURN, 0, 0, _DROP)]
    return ",".join([str(len(steps)), *(" ".join(map(str, step)) for step in steps)])


@asynccontextmanager
async def dropped(*ports: int) -> AsyncIterator[None]:
    """Drop whatever comes from or goes to these TCP ports while inside. Raises Refused before anything is dropped."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    guard = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        _GUARD,
        "cut-off",
        program(ports),
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
        env={**os.environ, "PATH": path},
        start_new_session=True,
    )
    assert guard.stdin
    assert guard.stdout
    try:
        said = (await asyncio.wait_for(guard.stdout.readline(), _WITHIN)).decode().strip()
        if said != _CUT:
            raise Refused(said)
        yield
    finally:
        guard.stdin.close()
        await asyncio.wait_for(guard.wait(), _WITHIN)
