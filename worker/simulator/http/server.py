"""Serves the simulator over HTTP, using only the standard library."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from typing import IO, Any, cast
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer, make_server

from worker.simulator.http.wsgi import wsgi
from worker.simulator.script.faults import ConnectionDropped
from worker.simulator.simulator import Simulator


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """Ignore clients that disconnect, instead of printing a traceback."""


class _Dropping(ServerHandler):
    """Closes a dropped connection without an answer, instead of answering 500."""

    http_version = "1.1"

    def handle_error(self) -> None:
        raise ConnectionDropped


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Send headers and body together: otherwise the body waits 40 ms for an acknowledgement.
    wbufsize = 65536
    disable_nagle_algorithm = True

    def handle(self) -> None:
        """Answer requests on one connection until the client closes it."""
        self.close_connection = False
        while not self.close_connection:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                return
            handler = _Dropping(
                cast("IO[bytes]", self.rfile),
                cast("IO[bytes]", self.wfile),
                self.get_stderr(),
                self.get_environ(),
                multithread=True,
            )
            handler.request_handler = self  # type: ignore[attr-defined]  # as wsgiref does it
            handler.run(self.server.get_app())  # type: ignore[attr-defined]  # a WSGIServer

    def log_message(self, *_: Any) -> None:
        """Log nothing: the books have all calls."""


@contextmanager
def serve(simulator: Simulator, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serve while the context lasts; yields the base URL. Port 0 picks a free port."""
    server = make_server(host, port, wsgi(simulator), _Server, _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
