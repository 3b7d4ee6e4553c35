"""Sign a job, so that the worker knows who sent it, and that nobody changed it.

    signature = HMAC-SHA256(key, text), as 64 small hexadecimal digits
    text      = "v1" LF producer LF timestamp LF nonce LF job

The timestamp is in unix seconds, the nonce 16 to 64 characters of [A-Za-z0-9_-] that no other job
of this producer has. The job is its canonical JSON (RFC 8785): keys sorted by their UTF-16 code
units, no blanks, only what must be escaped, in UTF-8. All numbers of a job are whole.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
#: A key must not be guessed.
SHORTEST_KEY = 32


def canonical(job: Any) -> str:
    """Return the canonical JSON of a job."""
    return _encode(_sorted(job))


def _sorted(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: str(name).encode("utf-16-be", "surrogatepass"))
        return {name: _sorted(value[name]) for name in names}
    return [_sorted(one) for one in value] if isinstance(value, (list, tuple)) else value


def text_to_sign(producer: str, timestamp_s: int, nonce: str, job: Mapping[str, Any]) -> str:
    """Return what is signed."""
    return "\n".join(("v1", producer, str(timestamp_s), nonce, canonical(job)))


def signature_of(key: str, text: str) -> str:
    """Return the signature of a text."""
    import hashlib  # noqa: PLC0415 - most clients sign nothing
    import hmac  # noqa: PLC0415 - as above

    return hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


class Signer:
    """Signs the jobs of one producer."""

    def __init__(self, producer: str, key: str) -> None:
        if not producer or len(key) < SHORTEST_KEY:
            raise ValueError(
                f"a producer needs a name and a key of at least {SHORTEST_KEY} letters"
            )
        self.producer = producer
        self._key = key

    def __repr__(self) -> str:
        return f"Signer({self.producer!r})"

    def sign(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return the `signature` among the options of the job's message."""
        import secrets  # noqa: PLC0415 - most clients sign nothing

        timestamp_s, nonce = int(time.time()), secrets.token_urlsafe(18)
        text = text_to_sign(self.producer, timestamp_s, nonce, job)
        return {
            "producer": self.producer,
            "timestamp": timestamp_s,
            "nonce": nonce,
            "signature": signature_of(self._key, text),
        }
