"""The reference plane: how the rules are read, where no compiler is, and the oracle of the native plane.

`plane.py` has the socket and the timers; everything else is pure: bytes and `now` in, bytes and events out. `core.py` is the
map: datagrams to transports, orders to streams. No speed tricks, no layers, no bandwidth estimates, no TCP.
"""
