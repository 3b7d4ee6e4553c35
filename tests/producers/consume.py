"""The consumers, each as a program: `python -m tests.producers.consume group|webhook|poll FILE`.

They write a line for each event that they get, with id, subject and type, before they say that they
have it. So one that is killed and started again may write an event twice, but misses none.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

from tests.support.processes import PATIENCE_S
from worker.upstream import RefundQueue

#: How long a request for outcomes waits.
WAIT_S = 5


class Lines:
    """The file of a consumer."""

    def __init__(self, path: Path) -> None:
        # What is written without a buffer is in the file when the program is killed.
        self._file = path.open("ab", buffering=0)

    def add(self, *events: Mapping[str, Any]) -> None:
        """Write these events, all at once."""
        lines = (f"{event['id']}\t{event['subject']}\t{event['type']}\n" for event in events)
        self._file.write("".join(lines).encode())


def group(lines: Lines, _: Path) -> None:
    """Read as a member of a consumer group, and acknowledge each event."""
    with RefundQueue(os.environ["REDIS_URL"], namespace=os.environ["NAMESPACE"]) as queue:
        events = queue.outcomes(group="shop", consumer="one", follow=True)
        for outcome in events:
            lines.add(outcome.event)
            events.acknowledge(outcome)


def poll(lines: Lines, path: Path) -> None:
    """Ask the API, and keep the position."""
    position = path.with_suffix(".position")
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    with httpx.Client(
        base_url=os.environ["API_URL"], headers=headers, timeout=PATIENCE_S
    ) as client:
        while True:
            after = position.read_text() if position.exists() else "0"
            answer = client.get("/v1/outcomes", params={"after": after, "wait_s": WAIT_S})
            page = answer.raise_for_status().json()
            lines.add(*page["outcomes"])
            fresh = path.with_suffix(".fresh")
            fresh.write_text(page["after"])
            fresh.replace(position)


def webhook(lines: Lines, _: Path) -> None:
    """Receive deliveries; an independent library checks their signatures."""
    secret = Webhook(os.environ["SECRET"])

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            secret.verify(body, headers)
            lines.add(json.loads(body))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler) as server:
        server.serve_forever()


def main() -> None:
    """Run the consumer that is named, until it is killed."""
    path = Path(sys.argv[2])
    {"group": group, "poll": poll, "webhook": webhook}[sys.argv[1]](Lines(path), path)


if __name__ == "__main__":
    main()
