"""What is written to Redis for jobs: messages of dramatiq, by one script."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: The queue of upstream's jobs, and the actor that takes them in.
INTAKE, ACTOR = "refunds", "request_refund"
#: Enqueues messages; a repeat of the same id is not queued twice.
ENQUEUE_LUA = (Path(__file__).parent / "enqueue.lua").read_text(encoding="utf-8")


def message_of(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the id and the text of a new message for a job that was checked."""
    message_id = str(uuid.uuid4())
    message = {
        "queue_name": INTAKE,
        "actor_name": ACTOR,
        "args": [],
        "kwargs": dict(fields),
        "options": {"redis_message_id": message_id},
        "message_id": message_id,
        "message_timestamp": int(time.time() * 1000),
    }
    return message_id, json.dumps(message, separators=(",", ":"))


def queue_keys(namespace: str) -> list[str]:
    """Return the keys of the script."""
    queue = f"{{{namespace}}}:{INTAKE}"
    return [queue, f"{queue}.msgs"]
