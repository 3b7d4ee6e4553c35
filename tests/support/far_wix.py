"""A simulated Wix for the far host: prints its port, then one line for each request."""

from __future__ import annotations

import http.server
import json
import sys


class Answers(http.server.BaseHTTPRequestHandler):
    """Reads the body and answers with an empty order."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        print(f"{self.command} {self.path}", flush=True)  # noqa: T201 - what the test reads
        order = {
            "id": "o",
            "createdDate": "2024-01-01T00:00:00Z",
            "status": "APPROVED",
            "currency": "USD",
        }
        body = json.dumps({"order": order}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - http.server's
        """Log nothing: the test reads standard output."""


if __name__ == "__main__":
    with http.server.ThreadingHTTPServer((sys.argv[1], 0), Answers) as server:
        print(server.server_address[1], flush=True)  # noqa: T201 - what the test reads
        server.serve_forever()
