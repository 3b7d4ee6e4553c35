"""Read the body of a request: small, and soon. It needs the extra `http`."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

#: How long a body may take to arrive.
BODY_S = 10


class TooLarge(Exception):
    """It has more bytes than allowed; the rest is not read, so the connection cannot be reused."""


class TooSlow(Exception):
    """It did not arrive within `BODY_S`."""


class Cut(Exception):
    """The connection ended before the body."""


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body.

    Raises:
        TooLarge: it is longer than *most_bytes*.
        TooSlow: it took too long.
        Cut: it is not complete.
    """
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > most_bytes:
        raise TooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most_bytes:
                    raise TooLarge
    except TimeoutError:
        raise TooSlow from None
    except ClientDisconnect:
        raise Cut from None
    return bytes(body)
