"""A TCP proxy that recognises requests, and harms one of them."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

Harm = Literal["none", "request_lost", "reply_lost", "cut", "late"]

#: Time from the harm to what else happens: by then the server has carried out the request.
MOMENT_S = 0.05


@dataclass
class Plan:
    """Harm the *nth* request of this kind (1-based); all others pass.

    A late request arrives *held_s* after it was sent, and its answer is lost.
    """

    kind: str
    nth: int
    harm: Harm
    held_s: float = 0.0
    then: Callable[[], None] = lambda: None
    """What else happens, a moment later."""
    struck: threading.Event = field(default_factory=threading.Event)
    done: threading.Event = field(default_factory=threading.Event)
    """Set when that has happened as well, and a late request has arrived."""
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def strikes(self, kind: str) -> bool:
        """Return whether this is the request to harm; if so, the rest of the plan follows."""
        with self._lock:
            if kind != self.kind or self.struck.is_set():
                return False
            self._seen += 1
            if self._seen < self.nth:
                return False
            self.struck.set()
        threading.Thread(target=self._follow, daemon=True).start()
        return True

    def _follow(self) -> None:
        pause = threading.Event()
        pause.wait(MOMENT_S)
        self.then()
        # By then the server has carried out a late request.
        pause.wait(self.held_s)
        self.done.set()


class Proxy:
    """A proxy between a worker and one server; `seen` lists the kinds of requests that passed."""

    def __init__(
        self, port: int, name: Callable[[bytes], str], size: Callable[[bytes], int]
    ) -> None:
        self._upstream = ("127.0.0.1", port)
        self._name = name
        self._size = size
        self.plan: Plan | None = None
        self.before: Callable[[str], None] = lambda _: None
        """Called with the kind of each request before it is passed on."""
        self.seen: list[str] = []
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut all connections."""
        _wake(self._listener)
        self._listener.close()
        self._cut()

    def lead_to(self, port: int, *, cut: bool = True) -> None:
        """Connect to another server from now on; *cut* the existing connections, or leave them."""
        with self._lock:
            self._upstream = ("127.0.0.1", port)
        if cut:
            self._cut()

    def _cut(self) -> None:
        """Cut all connections; the threads that serve them close them."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for one in sockets:
            _wake(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            upstream = self._upstream
            server = socket.create_connection(upstream)
            with server:
                with self._lock:
                    if upstream != self._upstream:
                        return
                    self._sockets += [client, server]
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
                _wake(server)
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
                self.before(kind)
                plan = self.plan
                if plan and plan.strikes(kind):
                    if plan.harm == "request_lost":
                        continue
                    if plan.harm != "none":
                        gag.set()
                    if plan.harm == "cut":
                        cut.set()
                    threading.Event().wait(plan.held_s)
                self.seen.append(kind)
                server.sendall(request)

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
        # If the server reset the connection, its client must not wait either.
        _wake(client)


def _wake(one: socket.socket) -> None:
    """Cut a connection; closing it would not wake the thread that reads from it."""
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def redis_size(buffer: bytes) -> int:
    """Return the length of the first complete RESP command in *buffer*, 0 if there is none yet."""
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
    """Return the length of the first complete request in *buffer*, 0 if there is none yet."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return 0
    length = re.search(rb"(?i)content-length: (\d+)", buffer[:end])
    size = end + 4 + (int(length[1]) if length else 0)
    return size if size <= len(buffer) else 0


def http_name(request: bytes) -> str:
    """Return verb and path without the ids."""
    verb, path, *_ = request.split(b" ", 2)
    return f"{verb.decode()} {re.sub(r'[0-9a-f-]{36}', '*', path.decode())}"


@contextmanager
def proxied(
    port: int, name: Callable[[bytes], str], size: Callable[[bytes], int]
) -> Iterator[Proxy]:
    """Run a proxy while the context lasts."""
    proxy = Proxy(port, name, size)
    try:
        yield proxy
    finally:
        proxy.close()
