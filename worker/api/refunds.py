"""Ask for a refund, and look at refunds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import redis

from config.webhooks import WebhookEntry
from worker.api.bodies import invalid
from worker.api.ledgers import Ledgers
from worker.api.problems import Problem
from worker.api.views import RefundList, RefundView, view_of, view_of_end
from worker.errors import LivesElsewhere
from worker.intake import ACCEPT_EVENTS, check_callback
from worker.ledger.refunds import Ledger
from worker.observability.context import bound
from worker.observability.events import log_event
from worker.queue.delivery import Delivery
from worker.queue.names import INTAKE
from worker.refund.producers import Producers, over_limit
from worker.refund.record import Refund
from worker.refund.request import InvalidJob, RefundRequest, parse_request
from worker.serving.tokens import Caller
from worker.upstream import rules
from worker.upstream.invalid import shape_of


class Refunds:
    """Writes jobs into the ledger, and reads refunds. Its methods may raise redis.RedisError."""

    def __init__(
        self,
        ledgers: Ledgers,
        producers: Producers,
        webhooks: Mapping[str, WebhookEntry],
    ) -> None:
        self._ledgers = ledgers
        self._webhooks = webhooks
        self._producers = producers
        #: There is no message: the job comes from the request itself.
        self._delivery = Delivery(f"api-{uuid.uuid4()}", INTAKE)

    def ask(
        self, caller: Caller, key: str | None, job: Mapping[str, Any]
    ) -> tuple[bool, RefundView]:
        """Record a job as a refund, once; returns whether it is new, and the refund.

        Raises:
            Problem: it is invalid, more than this producer may ask for, or in conflict with a known
                refund.
        """
        request = self._checked(key, job)
        # A store that this caller may not use gets no place in a cell.
        self._check_caller(caller, request)
        ledger = self._home(request)
        with bound(
            refund_id=request.refund_id, store_id=request.store_id, order_id=request.order_id
        ):
            answer = self._accept(ledger, request, caller.name)
            log_event(ACCEPT_EVENTS[answer], producer=caller.name)
        if answer == "conflict":
            raise _conflict(request)
        return answer == "accepted", _view(ledger, request)

    def _checked(self, header: str | None, job: Mapping[str, Any]) -> RefundRequest:
        """Return the job, with the idempotency key as its id."""
        key = _key(header)
        try:
            request = parse_request({"refund_id": key, **job})
        except InvalidJob as error:
            raise _refused(error) from None
        if request.refund_id != key:
            text = "refund_id and Idempotency-Key must be the same; the job need not have it."
            raise Problem("conflict", text)
        return request

    def _home(self, request: RefundRequest) -> Ledger:
        """Return the ledger of a job's store, if somebody hears the end."""
        ledger = self._ledgers.home(request.store_id, request.refund_id)
        if ledger is None:
            log_event(ACCEPT_EVENTS["conflict"], refund_id=request.refund_id)
            raise _conflict(request)
        try:
            check_callback(request, self._webhooks, ledger)
        except InvalidJob as error:
            raise _refused(error) from None
        return ledger

    def _check_caller(self, caller: Caller, request: RefundRequest) -> None:
        if not caller.may_see(request.store_id):
            raise Problem("store-not-allowed", f"This token may not refund for {request.store_id}.")
        refusal = over_limit(caller.name, caller.limit, request)
        # What limits the jobs that it signs limits these, too.
        if refusal := refusal or self._producers.check_unsigned(caller.name, request):
            log_event("refund.not_authorized", reason=refusal.reason, detail=refusal.detail)
            raise Problem(refusal.reason.replace("_", "-"), f"{refusal.detail}.")

    def _accept(self, ledger: Ledger, request: RefundRequest, producer: str) -> str:
        answer: str = ledger.accept(request, self._delivery, producer=producer)
        if answer == "conflict" and (digest := ledger.masked_digest(request)):
            answer = ledger.accept(request, self._delivery, digest=digest)
        if answer == "elsewhere":
            raise redis.ResponseError(str(LivesElsewhere(request.store_id)))
        if answer not in ACCEPT_EVENTS:
            raise redis.ResponseError(answer.removeprefix("failed: "))
        return answer

    def find(self, caller: Caller, refund_id: str) -> RefundView:
        """Return one refund.

        Raises:
            Problem: there is none in the stores of this caller.
        """
        is_id = rules.REFUND_ID.fullmatch(refund_id)
        for ledger in self._ledgers.with_refund(refund_id) if is_id else ():
            refund = ledger.load(refund_id)
            if refund and caller.may_see(refund.request.store_id):
                return view_of(refund)
        text = "There is no such refund in the stores of this token, or it ended long ago."
        raise Problem("not-found", text)

    def of_order(self, caller: Caller, order_id: str) -> RefundList:
        """Return the refunds of an order in the stores of this caller."""
        found = [
            refund
            for ledger, search, _ in self._ledgers.all()
            for refund in ledger.load_all(search.of_order(order_id.lower()))
        ]
        return RefundList(refunds=[view_of(one) for one in found if _is_seen(caller, one)])


def _conflict(request: RefundRequest) -> Problem:
    return Problem(
        "conflict",
        f"There is a refund {request.refund_id} whose job has other content; it is not changed.",
    )


def _refused(error: InvalidJob) -> Problem:
    log_event("refund.invalid", problems=error.problems)
    return invalid(
        [
            {"field": one.field, "rule": one.rule, "detail": one.text, "value": one.value}
            for one in error.errors
        ]
    )


def _view(ledger: Ledger, request: RefundRequest) -> RefundView:
    if refund := ledger.load(request.refund_id):
        return view_of(refund)
    if left := ledger.tombstone(request.refund_id):
        return view_of_end(request, left)
    raise Problem("unavailable", "Redis has just lost the refund; send the job again.")


def _is_seen(caller: Caller, refund: Refund) -> bool:
    return caller.may_see(refund.request.store_id)


def _key(header: str | None) -> str:
    """Return the idempotency key; the draft of its standard has quotes around it."""
    key = (header or "").strip().removeprefix('"').removesuffix('"')
    if rules.REFUND_ID.fullmatch(key):
        return key
    rule, text = ("required", rules.REQUIRED) if header is None else ("format", _TAKES)
    value = None if header is None else shape_of(header)
    raise invalid([{"field": "Idempotency-Key", "rule": rule, "detail": text, "value": value}])


_TAKES = rules.TAKES["refund_id"]
