"""Socket options for Wix, so that the kernel gives up a call when we do."""

from __future__ import annotations

import socket
import struct
import sys

import httpcore

#: Darwin's TCP_RXT_CONNDROPTIME: seconds of retransmission before the connection is dropped.
#: Python's socket module does not name it. Source: xnu, bsd/netinet/tcp.h.
_DARWIN_RXT_CONNDROPTIME = 0x80


def socket_options(
    total_timeout_ms: int, platform: str = sys.platform
) -> list[httpcore.SOCKET_OPTION]:
    """Return the options as arguments of `socket.setsockopt()`.

    SO_LINGER with 0 s: closing the socket, also at the end of the program, discards unacknowledged
    data and resets the connection. Without it the kernel keeps retransmitting a refund call for
    minutes after we gave it up (in a test it was delivered 54 s later, when the link was restored).

    TCP_USER_TIMEOUT: the same limit for an open socket, in case the program is frozen. Systems
    other than Linux and macOS have no such option; a frozen program's call may arrive late there.
    """
    options: list[httpcore.SOCKET_OPTION] = [
        (socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    ]
    if platform.startswith("linux"):
        options.append((socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, total_timeout_ms))
    elif platform == "darwin":
        seconds = max(1, total_timeout_ms // 1000)
        options.append((socket.IPPROTO_TCP, _DARWIN_RXT_CONNDROPTIME, seconds))
    return options
