"""Sockets for Wix: their options, so that the kernel gives up a call when we do, and their use."""

from __future__ import annotations

import select
import socket
import struct
import sys
from typing import Any

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


class SocketStream(httpcore.NetworkStream):
    """A connected socket. It does the same as httpcore's own stream, in a third of the steps."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._poll = select.poll()
        self._poll.register(connected, select.POLLIN)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come; wait for it if necessary."""
        try:
            self._socket.settimeout(timeout)
            return self._socket.recv(max_bytes)
        except TimeoutError as error:
            raise httpcore.ReadTimeout(error) from error
        except OSError as error:
            raise httpcore.ReadError(error) from error

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        try:
            self._socket.settimeout(timeout)
            self._socket.sendall(buffer)
        except TimeoutError as error:
            raise httpcore.WriteTimeout(error) from error
        except OSError as error:
            raise httpcore.WriteError(error) from error

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Return "is_readable": whether something has come, or the server has closed it."""
        return bool(self._poll.poll(0)) if info == "is_readable" else None


def direct(stream: httpcore.NetworkStream) -> httpcore.NetworkStream:
    """Return a stream on the socket of httpcore's stream; the same one if it has no socket."""
    connected = stream.get_extra_info("socket")
    return SocketStream(connected) if isinstance(connected, socket.socket) else stream
