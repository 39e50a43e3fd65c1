"""What is on the wire: bytes to values and back, for planes, tests and generators of load. No state, no clock, no policy.

What a stranger sent never raises: it comes out as None, or as fewer values.
"""
