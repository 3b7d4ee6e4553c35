"""Options of the sockets to Wix, so that the kernel forgets a call when we do."""

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
    """List the options, as `socket.setsockopt()` takes them.

    SO_LINGER with 0 s: closing the socket, also by the end of the program, discards what the other
    side has not acknowledged and resets the connection. Without it the kernel retransmits a refund
    call for minutes after we gave it up (seen: delivered 54 s later, when the link came back).

    TCP_USER_TIMEOUT: the same limit while the socket is open, for a program that is frozen. Other
    systems have no such option; there a frozen program's call may arrive late.
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
