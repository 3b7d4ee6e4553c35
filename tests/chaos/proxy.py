"""A TCP proxy that knows where one request ends, and does one bad thing to one of them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Harm = Literal["request_lost", "reply_lost", "cut", "killed"]
HARMS: tuple[Harm, ...] = ("request_lost", "reply_lost", "cut", "killed")


@dataclass
class Plan:
    """Harm the *nth* request of this kind (1-based); the rest goes through."""

    kind: str
    nth: int
    harm: Harm
    kill: Callable[[], None] = lambda: None
    done: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, kind: str) -> bool:
        """Whether this request is the one."""
        with self._lock:
            if kind != self.kind or self.done.is_set():
                return False
            self._seen += 1
            if self._seen < self.nth:
                return False
            self.done.set()
            return True


class Proxy:
    """Stands between a worker and one server. `seen` lists the kinds that went through."""

    def __init__(
        self, port: int, name: Callable[[bytes], str], size: Callable[[bytes], int]
    ) -> None:
        self._upstream = ("127.0.0.1", port)
        self._name = name
        self._size = size
        self.plan: Plan | None = None
        self.seen: list[str] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut everything."""
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            server = socket.create_connection(self._upstream)
            self._sockets += [client, server]
            with server:
                for one in (client, server):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                gag = threading.Event()
                cut = threading.Event()
                back = threading.Thread(
                    target=self._back, args=(client, server, gag, cut), daemon=True
                )
                back.start()
                with contextlib.suppress(OSError):
                    self._forth(client, server, gag, cut)
                # Closing alone would not wake the thread that reads there.
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_RDWR)
                back.join()

    def _forth(
        self,
        client: socket.socket,
        server: socket.socket,
        gag: threading.Event,
        cut: threading.Event,
    ) -> None:
        buffer = b""
        while chunk := client.recv(65536):
            buffer += chunk
            while size := self._size(buffer):
                request, buffer = buffer[:size], buffer[size:]
                kind = self._name(request)
                plan = self.plan
                if plan and plan.strikes(kind):
                    if plan.harm == "request_lost":
                        continue
                    gag.set()
                    if plan.harm == "cut":
                        cut.set()
                    if plan.harm == "killed":
                        plan.done.clear()
                        threading.Thread(target=self._kill_after, args=(plan,), daemon=True).start()
                self.seen.append(kind)
                server.sendall(request)

    @staticmethod
    def _kill_after(plan: Plan) -> None:
        """Give the server the moment it needs to do what it was asked, then kill the asker."""
        threading.Event().wait(0.05)
        plan.done.set()
        plan.kill()

    @staticmethod
    def _back(
        client: socket.socket, server: socket.socket, gag: threading.Event, cut: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := server.recv(65536):
                if cut.is_set():
                    break
                if not gag.is_set():
                    client.sendall(chunk)
        # A server that ended with a reset, too, must not leave its client waiting.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)


def redis_size(buffer: bytes) -> int:
    """Length of the first whole RESP command in *buffer*, 0 when there is none yet."""
    end = buffer.find(b"\r\n")
    if end < 0:
        return 0
    place = end + 2
    for _ in range(int(buffer[1:end])):
        end = buffer.find(b"\r\n", place)
        if end < 0:
            return 0
        place = end + 2 + int(buffer[place + 1 : end]) + 2
        if place > len(buffer):
            return 0
    return place


def http_size(buffer: bytes) -> int:
    """Length of the first whole HTTP/1.1 request in *buffer*, 0 when there is none yet."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    length = re.search(rb"(?i)content-length: (\d+)", buffer[:end])
    size = end + 4 + (int(length[1]) if length else 0)
    return size if size <= len(buffer) else 0


def http_name(request: bytes) -> str:
    """Verb and path without ids."""
    verb, path, *_ = request.split(b" ", 2)
    return f"{verb.decode()} {re.sub(r'[0-9a-f-]{36}', '*', path.decode())}"


@contextmanager
def proxied(
    port: int, name: Callable[[bytes], str], size: Callable[[bytes], int]
) -> Iterator[Proxy]:
    """A proxy while the context lasts."""
    proxy = Proxy(port, name, size)
    try:
        yield proxy
    finally:
        proxy.close()
