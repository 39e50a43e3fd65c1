"""RTP's formats and its bookkeeping, for planes, tests and generators of load: bytes to values and back (`rtp`, `rtcp`, `stun`,
`payload`, `transport_cc`), sealing (`srtp`), and what RFC 3550 counts (`reception`). No clock, no policy: that is the planes'.

What a stranger sent never raises: it comes out as None, or as fewer values.
"""
