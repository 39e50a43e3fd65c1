"""The library's errors in the words of the contracts; translated once, around every flow."""

from collections.abc import Iterator
from contextlib import contextmanager

import sfu.errors
from contracts.failure import InvalidRtpParameters, InvalidState, KendraError, UnsupportedCodec

MEANING: dict[type[sfu.errors.SfuError], type[KendraError]] = {
    sfu.errors.InvalidRtpParameters: InvalidRtpParameters,
    sfu.errors.UnsupportedCodec: UnsupportedCodec,
    sfu.errors.InvalidState: InvalidState,
}


@contextmanager
def translated() -> Iterator[None]:
    """Raise the contract's error for the library's, with its reason kept."""
    try:
        yield
    except sfu.errors.SfuError as error:
        raise MEANING[type(error)](str(error)) from error
