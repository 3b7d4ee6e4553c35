"""Many jobs in few round trips, with constant memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from . import rules
from .invalid import InvalidJob
from .job import check_job
from .wire import message_of

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


def messages_of(jobs: Iterable[Mapping[str, Any]], refused: list[Refused]) -> Iterator[list[str]]:
    """Yield batches of messages, as the script takes them; add what is invalid to *refused*."""
    batch: list[str] = []
    size = 0
    for number, job in enumerate(jobs, start=1):
        try:
            message_id, text = message_of(_checked(job))
        except InvalidJob as error:
            refused.append(Refused(number, error))
            continue
        if batch and (len(batch) >= 2 * MOST_JOBS or size + len(text) > MOST_CHARACTERS):
            yield batch
            batch, size = [], 0
        batch += (message_id, text)
        size += len(text)
    if batch:
        yield batch


def _checked(job: Any) -> dict[str, Any]:
    if not isinstance(job, Mapping):
        raise InvalidJob({"job": rules.NOT_A_TABLE})
    return check_job(job)
