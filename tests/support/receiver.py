"""A receiver of webhooks, which answers as the test says and keeps what it got."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks.webhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


@dataclass
class Got:
    """One delivery."""

    headers: dict[str, str]
    body: bytes
    answer: int

    @property
    def event(self) -> dict[str, Any]:
        """The event, after an independent library has checked its signature."""
        found: dict[str, Any] = Webhook(SECRET).verify(self.body.decode(), self.headers)
        return found


@dataclass
class Receiver:
    """Listens on loopback."""

    url: str
    got: list[Got] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], int] = lambda _: 200
    """Returns the status for an event."""
    headers: dict[str, str] = field(default_factory=dict)
    """Of each answer."""

    def taken(self) -> list[tuple[str, str]]:
        """Return refund and type of each event that was taken, in order."""
        return [(g.event["subject"], g.event["type"]) for g in self.got if g.answer < 300]

    def settings(self, **more: Any) -> str:
        """Return REFUNDS_WEBHOOKS with one webhook that leads here."""
        entry = {"url": self.url, "secret": SECRET, "stores": ["*"], "allow_private": True}
        return json.dumps({"shop": entry | more})


@contextmanager
def receiver() -> Iterator[Receiver]:
    """Run a receiver."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Keep what was sent, and answer."""
            body = self.rfile.read(int(self.headers["content-length"]))
            status = running.answer(json.loads(body))
            with lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                running.got.append(Got(headers, body, status))
            self.send_response(status)
            for name, value in running.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running = Receiver(f"http://127.0.0.1:{server.server_port}/hook-canary-path")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
