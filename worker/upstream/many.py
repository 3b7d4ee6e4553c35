"""Many jobs in few round trips, with constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import rules
from .fast import encode_at_once
from .invalid import InvalidJob, escaped
from .job import encode_job
from .signing import Signer
from .wire import Message, message_of

#: A batch is one script, during which the server does nothing else.
MOST_JOBS = 500
MOST_CHARACTERS = 1_048_576


class Refused(NamedTuple):
    """A job that was not sent."""

    number: int
    """Its place among the jobs, from 1."""
    error: InvalidJob
    """Which fields are wrong."""


class Requested(NamedTuple):
    """What became of many jobs."""

    sent: int
    """How many are on the queue."""
    refused: list[Refused]
    """Those that are not, because a field is wrong."""


class Batches:
    """Gathers jobs into batches of messages, as the script takes them."""

    def __init__(self, signer: Signer | None = None) -> None:
        self._signer = signer
        self.sent = 0
        """How many jobs are in the batches so far."""
        self.refused: list[Refused] = []
        self._number = 0
        self._batch: list[str] = []
        self._size = 0

    def add(self, job: Any) -> list[str]:
        """Check one more job; return a batch if one is full, else []."""
        self._number += 1
        try:
            message = checked_message(job, self._signer)
        except InvalidJob as error:
            self.refused.append(Refused(self._number, error))
            return []
        self._size += len(message.text)
        is_full = len(self._batch) >= 3 * MOST_JOBS or self._size > MOST_CHARACTERS
        full = self.rest() if self._batch and is_full else []
        if full:
            self._size = len(message.text)
        self._batch += message
        return full

    def rest(self) -> list[str]:
        """Return the last batch, [] if it is empty."""
        last, self._batch, self._size = self._batch, [], 0
        self.sent += len(last) // 3
        return last

    def of(self, jobs: Iterable[Any]) -> Iterator[list[str]]:
        """Yield the batches of these jobs."""
        for job in jobs:
            if batch := self.add(job):
                yield batch
        if batch := self.rest():
            yield batch

    def result(self) -> Requested:
        """Return what became of the jobs."""
        return Requested(self.sent, self.refused)


def checked_message(job: Any, signer: Signer | None = None) -> Message:
    """Return the message of a job, signed if there is a *signer*.

    Raises:
        InvalidJob: names each invalid field and its problem.
    """
    if not isinstance(job, Mapping):
        raise InvalidJob({"job": rules.NOT_A_TABLE})
    if signer:
        fields, text = encode_job(job)
        return message_of(job["refund_id"], text, escaped(signer.sign(fields)))
    text = encode_at_once(job) or encode_job(job)[1]
    return message_of(job["refund_id"], text)
