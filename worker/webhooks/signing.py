"""Sign a delivery as Standard Webhooks 1.0 says: HMAC-SHA256 of id, time and body."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from typing import Any

#: The body is the event itself.
MEDIA_TYPE = "application/cloudevents+json"


def delivery_id(event: Mapping[str, Any]) -> str:
    """Return what each try to deliver this event has in common: `source` and `id` make it."""
    seed = f"{event['source']}\n{event['id']}"
    return "msg_" + hashlib.sha256(seed.encode()).hexdigest()[:32]


def signed_headers(
    message_id: str, at_s: int, body: bytes, keys: Iterable[bytes]
) -> dict[str, str]:
    """Return the headers of a delivery: a signature by each key."""
    signed = f"{message_id}.{at_s}.".encode() + body
    digests = (hmac.new(key, signed, hashlib.sha256).digest() for key in keys)
    return {
        "content-type": MEDIA_TYPE,
        "webhook-id": message_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": " ".join(
            f"v1,{base64.b64encode(digest).decode()}" for digest in digests
        ),
    }
