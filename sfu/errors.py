"""What the library raises: whose fault it is, in the type.

Each class is raised before anything was changed, so a caller may correct the request and try again.
"""


class SfuError(Exception):
    """Something of this library refused; the subclass says why."""


class InvalidRtpParameters(SfuError):
    """RTP or SCTP parameters, or capabilities, are malformed or contradict themselves; send corrected ones."""


class UnsupportedCodec(SfuError):
    """No codec of the request is known to the router or to the other side; offer another one."""


class InvalidState(SfuError):
    """The thing exists, but is not in a state, or has no room, for this; ask for what it is now."""
