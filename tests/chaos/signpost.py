"""A program that answers like a node of a Redis Cluster which server has the keys of a namespace.

The servers themselves are plain ones: they can be crashed and replaced by their replicas as in any
other run.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping

from redis.crc import key_slot

from tests.chaos.proxy import redis_size

_HOST = "127.0.0.1"
#: The reply to HELLO: version 3 of the protocol.
_PROTOCOL = b"%1\r\n$5\r\nproto\r\n:3\r\n"


class Signpost:
    """Answers `CLUSTER SLOTS`."""

    def __init__(self, ports: Mapping[str, int]) -> None:
        """*ports* maps each namespace to the port of its server."""
        self._answer = _slots(ports)
        self._listener = socket.create_server((_HOST, 0), backlog=128)
        self.url = f"redis+cluster://{_HOST}:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        buffer = b""
        with contextlib.suppress(OSError), client:
            while chunk := client.recv(65536):
                buffer += chunk
                while size := redis_size(buffer):
                    request, buffer = buffer[:size], buffer[size:]
                    client.sendall(self._reply(request))

    def _reply(self, request: bytes) -> bytes:
        """Return the reply; a client also says who it is."""
        if b"SLOTS" in request:
            return self._answer
        return _PROTOCOL if b"HELLO" in request else b"+OK\r\n"


def _slots(ports: Mapping[str, int]) -> bytes:
    """Return the reply: of each slot the first and the last one, and its server."""
    text = f"*{len(ports)}\r\n"
    for namespace, port in ports.items():
        slot = key_slot(f"{{{namespace}}}".encode())
        text += f"*3\r\n:{slot}\r\n:{slot}\r\n*2\r\n${len(_HOST)}\r\n{_HOST}\r\n:{port}\r\n"
    return text.encode()
