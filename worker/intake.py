"""Jobs become refunds, or dead letters."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import Any

import redis

from config.webhooks import WebhookEntry
from worker.cells.routing import Routes, Valid
from worker.errors import LivesElsewhere
from worker.ledger.refunds import Ledger
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.observability.redaction import redact
from worker.queue.broker import MAX_LETTER, Broker
from worker.queue.jobs import Job
from worker.queue.middleware import may_pass
from worker.refund.callbacks import callback_problem
from worker.refund.producers import Producers, Refusal, Signed
from worker.refund.reasons import REASONS
from worker.refund.request import InvalidJob, RefundRequest, parse_request
from worker.upstream.invalid import as_tables

#: The log event of each answer of the ledger.
ACCEPT_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "accepted": "refund.accepted",
        "duplicate": "refund.duplicate",
        "conflict": "refund.conflict",
    }
)

#: The answers after which nothing is left to do.
TAKEN = frozenset({"accepted", "duplicate"})

#: A copy of a message is refused, although it would change nothing.
REPLAYED = Refusal("bad_signature", "another message had its nonce")


def take(
    jobs: Iterable[Job],
    *,
    ledger: Ledger,
    broker: Broker,
    producers: Producers,
    webhooks: Mapping[str, WebhookEntry],
    routes: Routes | None = None,
) -> None:
    """Check jobs and record them as refunds, each once; an invalid one becomes a dead letter.

    With *routes* those of stores that live in another cell are sent there.

    Raises:
        redis.RedisError: some jobs may not be recorded; those that are not come again.
    """
    valid, problems = _sort_out(jobs, ledger, broker, producers), list[Exception]()
    if routes:
        valid, problems = _send_on(valid, routes, broker)
    valid = _with_callbacks(valid, ledger, broker, webhooks)
    answers = ledger.accept_all([(request, job.delivery, by) for job, request, by in valid])
    for (job, request, _), answer in zip(valid, answers, strict=True):
        if answer in TAKEN:
            _log_taken(job, request, answer)
            continue
        with _named(job, store_id=request.store_id, order_id=request.order_id):
            if problem := _conclude(job, request, answer, ledger, broker):
                problems.append(problem)
    if problems:
        # If one of them may pass, all of these jobs come again.
        raise next(filter(may_pass, problems), problems[0])


def _conclude(
    job: Job, request: RefundRequest, answer: str, ledger: Ledger, broker: Broker
) -> Exception | None:
    """Decide what becomes of a job that the ledger did not take; return what may pass."""
    if answer == "conflict" and (digest := ledger.masked_digest(request)):
        answer = ledger.accept(request, job.delivery, digest=digest)
    if answer in TAKEN:
        _log_taken(job, request, answer)
    elif answer == "replayed":
        _refuse(broker, job, REPLAYED)
    elif answer == "conflict":
        _refuse_conflict(broker, job)
    elif answer == "elsewhere":
        return LivesElsewhere(request.store_id)
    else:
        problem = redis.ResponseError(answer.removeprefix("failed: "))
        if may_pass(problem):
            return problem
        job.fail(problem)
    return None


def _sort_out(
    jobs: Iterable[Job],
    ledger: Ledger,
    broker: Broker,
    producers: Producers,
) -> list[Valid]:
    """Return the jobs that are valid, and who signed them; the others become dead letters."""
    now_ms = ledger.now_ms() if producers.must_sign else 0
    valid: list[Valid] = []
    for job in jobs:
        try:
            checked = _checked(job, producers, now_ms)
        except InvalidJob as error:
            _quarantine_invalid(broker, job, error)
        except Exception as bug:  # noqa: BLE001 - the other jobs do not suffer from it
            job.fail(bug)
        else:
            if isinstance(checked, Refusal):
                _refuse(broker, job, checked)
            else:
                valid.append((job, *checked))
    return valid


def _send_on(
    valid: list[Valid], routes: Routes, broker: Broker
) -> tuple[list[Valid], list[Exception]]:
    """Send on the jobs of other cells; return the own ones, and why some could not be sent."""
    found = routes.sort(valid)
    for (job, request, _), cell in found.sent:
        with _named(job, store_id=request.store_id, order_id=request.order_id):
            log_event("refund.sent_to_cell", cell=cell)
    for (job, request, _), error in found.in_doubt:
        with _named(job, store_id=request.store_id, order_id=request.order_id):
            _quarantine(broker, job, "store_in_two_cells", {"detail": str(error)})
            log_event("store.in_two_cells", cells=error.cells)
    for job, request, _ in found.taken:
        with _named(job, store_id=request.store_id, order_id=request.order_id):
            _refuse_conflict(broker, job)
    return found.own, found.problems


def _with_callbacks(
    valid: list[Valid], ledger: Ledger, broker: Broker, webhooks: Mapping[str, WebhookEntry]
) -> list[Valid]:
    """Return the jobs of which somebody hears the end; the others become dead letters."""
    heard: list[Valid] = []
    for each in valid:
        job, request, _ = each
        try:
            check_callback(request, webhooks, ledger)
        except InvalidJob as error:
            _quarantine_invalid(broker, job, error)
        else:
            heard.append(each)
    return heard


def _checked(
    job: Job, producers: Producers, now_ms: int
) -> tuple[RefundRequest, Signed | None] | Refusal:
    """Return the request, and who signed it; or why its producer may not ask for it.

    Raises:
        InvalidJob: a field is wrong.
    """
    signed: Signed | Refusal | None = None
    if producers.must_sign:
        signed = producers.check_signature(job.fields, job.message.options["given"], now_ms)
    if isinstance(signed, Refusal):
        return signed
    request = parse_request(job.fields, malformed=job.delivery.problems)
    refusal = producers.check_job(signed.producer, request) if signed else None
    return refusal or (request, signed)


def check_callback(
    request: RefundRequest, webhooks: Mapping[str, WebhookEntry], ledger: Ledger
) -> None:
    """Check that somebody hears the end; a job that was accepted before is a repeat in any case.

    Raises:
        InvalidJob: it names a webhook that there is not.
    """
    problem = callback_problem(request, webhooks)
    if problem and not ledger.knows(request.refund_id):
        raise InvalidJob(problem, {"callback": request.callback})


def _quarantine_invalid(broker: Broker, job: Job, error: InvalidJob) -> None:
    # The names of metadata are the caller's, as are its texts.
    wrong = redact({"problems": error.problems, "errors": as_tables(error.errors)})
    with _named(job):
        _quarantine(broker, job, "invalid_job", wrong)
        log_event("refund.invalid", problems=error.problems)


def _refuse_conflict(broker: Broker, job: Job) -> None:
    log_event(ACCEPT_EVENTS["conflict"])
    _quarantine(broker, job, "conflict", {})


def _refuse(broker: Broker, job: Job, refusal: Refusal) -> None:
    with _named(job):
        _quarantine(broker, job, refusal.reason, {"detail": refusal.detail})
        log_event("refund.not_authorized", reason=refusal.reason, detail=refusal.detail)


def _log_taken(job: Job, request: RefundRequest, answer: str) -> None:
    """Log a job that the ledger took. To bind these names for each job would take far longer."""
    due_at_ms = job.delivery.due_at_ms if answer == "accepted" else 0
    log_event(
        ACCEPT_EVENTS[answer],
        refund_id=request.refund_id,
        message_id=job.delivery.message_id,
        store_id=request.store_id,
        order_id=request.order_id,
        **({"due_at_ms": due_at_ms} if due_at_ms else {}),
    )


def _named(job: Job, **more: str) -> AbstractContextManager[None]:
    """Name the job in the log lines about it."""
    message_id = job.delivery.message_id
    refund_id = str(job.fields.get("refund_id"))[:100]
    return bound(refund_id=refund_id, message_id=message_id, **more)


def _quarantine(broker: Broker, job: Job, reason: str, more: dict[str, Any]) -> None:
    letter = {
        "reason": reason,
        "sentence": REASONS[reason].meaning,
        "job": _shown(job.fields),
    } | more
    broker.quarantine(job.delivery.queue, job.delivery.message_id, letter)


def _shown(job: Mapping[str, Any]) -> Any:
    """The job, redacted; of a very long one only the beginning."""
    shown = redact(dict(job))
    text = json.dumps(shown)
    if len(text) <= MAX_LETTER:
        return shown
    ids = {name: str(shown.get(name))[:100] for name in ("refund_id", "store_id", "order_id")}
    return ids | {"cut_off": text[:MAX_LETTER]}
