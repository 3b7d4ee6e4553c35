"""Start uvicorn with our limits and without its own log lines. It needs the extra `http`."""

from __future__ import annotations

import logging
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from worker.serving.binding import Binding, Unsafe
from worker.serving.prompt import PromptProtocol

#: Requests and idle connections at once; more get 503.
MOST_CONNECTIONS = 1_000
#: Request line and headers, bytes.
MOST_HEADER_BYTES = 16_384
#: How long running requests have to finish after SIGTERM.
GRACE_S = 20
#: How long an idle connection is kept.
IDLE_S = 15


class Server:
    """One server in this process, until SIGTERM or SIGINT."""

    def __init__(self, binding: Binding) -> None:
        binding.check()
        self.binding = binding
        self._uvicorn: uvicorn.Server | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether a signal has come: a request that waits should end."""
        return self._uvicorn is not None and self._uvicorn.should_exit

    def run(self, app: ASGIApp, ready: Callable[[str], object]) -> None:
        """Serve until a signal comes; *ready* gets the address once it listens.

        Raises:
            Unsafe: the address cannot be used.
        """
        # Its access log would show paths as they were sent; its errors go through our redaction.
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        self._uvicorn = uvicorn.Server(_config(app, self.binding))
        # Until uvicorn runs, signals come to us; when it has stopped, it raises its own again.
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, lambda *_: self._stop())
        with _listen(self.binding) as listener:
            ready(self.binding.url(listener.getsockname()[1]))
            self._uvicorn.run(sockets=[listener])

    def _stop(self) -> None:
        if self._uvicorn:
            self._uvicorn.should_exit = True


def _config(app: ASGIApp, binding: Binding) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        ssl_certfile=binding.certificate,
        ssl_keyfile=binding.key,
        http=PromptProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )


def _listen(binding: Binding) -> socket.socket:
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((binding.host, binding.port))
        listener.listen(2_048)
    except OSError as error:
        listener.close()
        raise Unsafe(
            f"cannot listen on {binding.host}, port {binding.port}: {error.strerror}"
        ) from None
    return listener
