"""The transport to Wix: a call that we gave up must not arrive later.

httpx limits each read separately, so a server that sends its headers byte by byte could take
forever. Here one deadline covers the whole call, including name resolution.

Data that Wix has not acknowledged must not be delivered after we gave up. The kernel would keep
retransmitting it for minutes, even after the program was killed, and Wix would carry out a refund
that we have sent again in the meantime. So every connection is closed with a reset (see
`socket_options`).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable
from typing import Any

import httpcore
import httpx

from worker.wix.names import Resolve, resolve
from worker.wix.sockets import socket_options


class _Deadline:
    """The deadline of the current call. Each client, and so each thread, has one."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._until = float("inf")

    def begin(self, total_s: float) -> None:
        self._until = self._monotonic() + total_s

    def limit(self, timeout: float | None, over: type[Exception]) -> float:
        """Return the time that one wait may take, in seconds; raise *over* if no time is left."""
        left = self._until - self._monotonic()
        if left <= 0:
            raise over("the call took longer than the total timeout")
        return left if timeout is None else min(timeout, left)


class _Stream(httpcore.NetworkStream):
    """A connection whose waits end at the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = self._deadline.limit(timeout, httpcore.ReadTimeout)
        return self._stream.read(max_bytes, limit)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        limit = self._deadline.limit(timeout, httpcore.WriteTimeout)
        self._stream.write(buffer, limit)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        limit = self._deadline.limit(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Backend(httpcore.NetworkBackend):
    """Connects before the deadline, with our socket options."""

    def __init__(
        self,
        backend: httpcore.NetworkBackend,
        deadline: _Deadline,
        options: list[httpcore.SOCKET_OPTION],
        resolve: Resolve,
    ) -> None:
        self._backend = backend
        self._deadline = deadline
        self._options = options
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._resolve(host, port, self._limit(timeout))
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout, local_address, socket_options)

    def _connect(
        self,
        address: str,
        port: int,
        timeout: float | None,
        local_address: str | None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None,
    ) -> httpcore.NetworkStream:
        options = [*(socket_options or ()), *self._options]
        limit = self._limit(timeout)
        stream = self._backend.connect_tcp(address, port, limit, local_address, options)
        return _Stream(stream, self._deadline)

    def _limit(self, timeout: float | None) -> float:
        return self._deadline.limit(timeout, httpcore.ConnectTimeout)


class DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport with a deadline per call: the request extension `total_s`. For one thread.

    *total_timeout_ms* limits how long the kernel retransmits unacknowledged data of a call.
    """

    def __init__(
        self,
        total_timeout_ms: int,
        *,
        backend: httpcore.NetworkBackend | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        resolve: Resolve = resolve,
    ) -> None:
        # Ignore certificates in the environment.
        context = httpx.create_ssl_context(trust_env=False)
        super().__init__(verify=context)
        self._deadline = _Deadline(monotonic)
        options = socket_options(total_timeout_ms)
        # httpx has no argument for the network backend, but the pool of httpcore has.
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            keepalive_expiry=5.0,
            network_backend=_Backend(
                backend or httpcore.SyncBackend(), self._deadline, options, resolve
            ),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request; the deadline also applies to reading the body of the answer."""
        self._deadline.begin(request.extensions.get("total_s", float("inf")))
        return super().handle_request(request)
