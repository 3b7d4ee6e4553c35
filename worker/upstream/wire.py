"""What is written to Redis for jobs: messages of dramatiq, by one script."""

from __future__ import annotations

import itertools
import time
import uuid
from pathlib import Path
from typing import NamedTuple

#: The queue of upstream's jobs, and the actor that takes them in.
INTAKE, ACTOR = "refunds", "request_refund"
#: Enqueues messages; a repeat of the same message is not queued twice.
ENQUEUE_LUA = (Path(__file__).parent / "enqueue.lua").read_text(encoding="utf-8")
_numbers = itertools.count()
_process = uuid.uuid4().hex


_HEAD = f'{{"queue_name":"{INTAKE}","actor_name":"{ACTOR}","args":[],"kwargs":'


class Message(NamedTuple):
    """One message, as the script takes it."""

    place: str
    """Where it is found by the id of its refund, if nothing else is there; see `place_of`."""
    own_id: str
    """Where it is otherwise."""
    text: str


def place_of(refund_id: str) -> str:
    """Return the id of the message of a refund; no refund has an id like this."""
    return f"{refund_id}/job"


def message_of(refund_id: str, job: str, signature: str = "") -> Message:
    """Return a new message for a job that was checked; job and signature are JSON."""
    place = f"{refund_id}/job"
    # Unique like a random one, and made in a fraction of the time.
    own_id = f"{_process}-{next(_numbers)}"
    signed = f',"signature":{signature}' if signature else ""
    return Message(
        place,
        own_id,
        f'{_HEAD}{job},"options":{{"redis_message_id":"{place}"{signed}}},"message_id":"{own_id}",'
        f'"message_timestamp":{int(time.time() * 1000)}}}',
    )


def queue_keys(namespace: str) -> list[str]:
    """Return the keys of the script."""
    queue = f"{{{namespace}}}:{INTAKE}"
    return [queue, f"{queue}.msgs"]
