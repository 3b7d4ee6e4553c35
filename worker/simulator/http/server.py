"""Serve the simulator on loopback, with the standard library alone."""

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
        """A client that went away is not worth a traceback."""


class _Dropping(ServerHandler):
    """Lets a dropped connection end without an answer, instead of a 500."""

    http_version = "1.1"

    def handle_error(self) -> None:
        raise ConnectionDropped


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body leave together: written apart they wait 40 ms for each other.
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
            handler.request_handler = self  # type: ignore[attr-defined]  # wsgiref's own protocol
            handler.run(self.server.get_app())  # type: ignore[attr-defined]  # a WSGIServer

    def log_message(self, *_: Any) -> None:
        """Say nothing: the books tell more."""


@contextmanager
def serve(simulator: Simulator, *, port: int = 0) -> Iterator[str]:
    """Serve on 127.0.0.1 while the context lasts; gives the base URL. Port 0 is a free one."""
    server = make_server("127.0.0.1", port, wsgi(simulator), _Server, _Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
