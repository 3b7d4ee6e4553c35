"""The transport to Wix: a call that we gave up must not arrive later.

httpx limits each read separately, so a server that sends its headers byte by byte could take
forever. Here one deadline covers the whole call, including name resolution.

Data that Wix has not acknowledged must not be delivered after we gave up. The kernel would keep
retransmitting it for minutes, even after the program was killed, and Wix would carry out a refund
that we have sent again in the meantime. So every connection is closed with a reset (see
`socket_options`).

The pool of httpx's own transport takes more CPU time than the rest of a call, so here the threads
share a stack of idle connections: the one that was used last is the least likely to be closed.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

import httpcore
import httpx

from worker.wix.connection import Connection, Deadline, Line
from worker.wix.exchange import Answer, Asked, Origin, Place, as_asked
from worker.wix.names import Resolve, resolve
from worker.wix.network_errors import ERRORS, httpx_error
from worker.wix.sockets import direct, socket_options
from worker.wix.tunnel import Proxy, open_tunnel

#: How long a connection may be idle; Wix's own limit is not known.
KEEP_ALIVE_S = 5.0


class DeadlineTransport(httpx.BaseTransport):
    """Makes calls that each have a deadline. Threads may share it.

    *total_timeout_ms* limits how long the kernel retransmits unacknowledged data of a call. Where a
    call may arrive late without harm, connections need not be closed with a reset (*resets*).
    """

    def __init__(
        self,
        total_timeout_ms: int,
        *,
        backend: httpcore.NetworkBackend | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        resets: bool = True,
        proxy: Proxy | None = None,
    ) -> None:
        self._options = socket_options(total_timeout_ms) if resets else []
        self._backend = backend or httpcore.SyncBackend()
        self._monotonic = monotonic
        self._resolve = resolve
        self._tls = tls
        self._proxy = proxy
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()

    def exchange(self, asked: Asked, place: Place) -> Answer:
        """Send a request and read the answer, within the deadline."""
        try:
            return self._connection(place).call(asked, place)
        except ERRORS as error:
            raise httpx_error(error) from error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Do the same as a transport of httpx's, whose caller reads the body."""
        total_s = request.extensions.get("total_s", float("inf"))
        asked, place = as_asked(request, total_s)
        try:
            return self._connection(place).open(asked, place)
        except ERRORS as error:
            raise httpx_error(error) from error

    def _connection(self, place: Place) -> Connection:
        return self._take(place) or Connection(self._connect(place), self._keep)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()

    def _take(self, place: Place) -> Connection | None:
        """Return the connection that was used last, if it can be used again."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.origin == place.origin and connection.is_usable(self._monotonic()):
                connection.deadline.begin(place.total_s)
                return connection
            connection.close()

    def _keep(self, connection: Connection) -> None:
        """Keep a connection whose call is complete; close those that nobody has used for long."""
        now_s = self._monotonic()
        connection.expires_s = now_s + KEEP_ALIVE_S
        expired = []
        with self._lock:
            self._idle.append(connection)
            while self._idle[0].expires_s <= now_s:
                expired.append(self._idle.popleft())
        for one in expired:
            one.close()

    def _connect(self, place: Place) -> Line:
        """Try the addresses of the host in turn."""
        deadline = Deadline(self._monotonic, place.total_s)
        timeout_s = place.timeouts_s.get("connect")
        origin = place.origin
        host, port = self._proxy[:2] if self._proxy else origin[1:]
        limit_s = deadline.limit(timeout_s, httpcore.ConnectTimeout)
        addresses = self._resolve(host, port, limit_s)
        for number, address in enumerate(addresses, 1):
            limit_s = deadline.limit(timeout_s, httpcore.ConnectTimeout)
            try:
                stream = self._backend.connect_tcp(address, port, limit_s, None, self._options)
                break
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses):
                    raise
        if self._proxy:
            try:
                open_tunnel(stream, self._proxy, origin[1:], timeout_s, deadline)
            except BaseException:
                stream.close()
                raise
        stream = self._encrypted(stream, origin, timeout_s, deadline)
        return Line(origin, direct(stream), deadline)

    def _encrypted(
        self,
        stream: httpcore.NetworkStream,
        origin: Origin,
        timeout_s: float | None,
        deadline: Deadline,
    ) -> httpcore.NetworkStream:
        scheme, host, _ = origin
        if scheme != "https":
            return stream
        try:
            limit_s = deadline.limit(timeout_s, httpcore.ConnectTimeout)
            return stream.start_tls(self._context(), host, limit_s)
        except BaseException:
            stream.close()
            raise

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context(None)
        return self._tls


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return whom we trust: public authorities, and those of *ca_file*; not the environment's."""
    context = httpx.create_ssl_context(trust_env=False)
    if ca_file:
        context.load_verify_locations(ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
