"""Speaks to a running simulator: what drills change in it, and what there is to change."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from worker.simulator.contract.refusals import Json
from worker.simulator.script.reading import InvalidInput

TIMEOUT_S = 10.0


class NoSimulator(Exception):
    """Raised when no simulator answers at an address."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A simulator that runs at an address, often in another process."""

    url: str
    timeout_s: float = TIMEOUT_S

    def look(self, name: str) -> Json:
        """Read what an admin endpoint shows."""
        return self._ask("GET", name, None)

    def change(self, name: str, **body: Any) -> Json:
        """Change something through an admin endpoint.

        Raises:
            InvalidInput: the simulator refuses it, and says why.
        """
        return self._ask("POST", name, json.dumps(body))

    def _ask(self, method: str, name: str, body: str | None) -> Json:
        # Never through a proxy: the simulator listens on this machine only.
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(
            parts.hostname or "", parts.port, timeout=self.timeout_s
        )
        try:
            connection.request(method, f"/_simulator/{name}", body)
            answer = connection.getresponse()
            status, text = answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            raise NoSimulator(
                f"no simulator answers at {self.url}: start one with `refunds simulator`"
            ) from None
        finally:
            connection.close()
        return self._read(status, text)

    def _read(self, status: int, text: bytes) -> Json:
        try:
            found: Json = json.loads(text)
        except ValueError:
            found = {}
        if status == 400 and "message" in found:
            raise InvalidInput(found["message"])
        if status != 200:
            raise NoSimulator(f"what answers at {self.url} is no simulator of this version")
        return found


def remote_at(url: str, *, timeout_s: float = TIMEOUT_S) -> Remote:
    """Return the simulator at an address.

    Raises:
        InvalidInput: the address cannot be one of a simulator; Wix itself is https.
    """
    parts = urlsplit(url)
    try:
        has_address = parts.scheme == "http" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        has_address = False
    if not has_address:
        raise InvalidInput(
            "--url: must be the address of a simulator, such as http://127.0.0.1:8091"
        )
    return Remote(url=url, timeout_s=timeout_s)
