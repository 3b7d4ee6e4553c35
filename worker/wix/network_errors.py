"""The errors of a connection as those of httpx, which the calls know."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import httpcore
import httpx

from worker.wix.http import BrokenAnswer, UnsafeRequest

#: httpx's error for each error of a connection: what a transport of httpx's raises.
HTTPX_ERRORS: Mapping[type[Exception], type[httpx.TransportError]] = MappingProxyType(
    {
        httpcore.ConnectError: httpx.ConnectError,
        httpcore.ConnectTimeout: httpx.ConnectTimeout,
        httpcore.ReadError: httpx.ReadError,
        httpcore.ReadTimeout: httpx.ReadTimeout,
        httpcore.WriteTimeout: httpx.WriteTimeout,
        UnsafeRequest: httpx.LocalProtocolError,
        BrokenAnswer: httpx.RemoteProtocolError,
    }
)


#: What to catch.
ERRORS = tuple(HTTPX_ERRORS)


def httpx_error(error: Exception) -> httpx.TransportError:
    """Return httpx's error for one of `ERRORS`."""
    return next(to for known, to in HTTPX_ERRORS.items() if isinstance(error, known))(str(error))
