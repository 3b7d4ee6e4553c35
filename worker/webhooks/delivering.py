"""Deliver the outcomes to one webhook: at least once, and in order per refund.

One worker at a time does it, from a cursor in the ledger. What became of an event is written after
it was sent, so a crash in between sends it again, with the same id. An event that fails waits for
its next try, and later ones of the same refund wait behind it; others pass. While all fail, nothing
new is sent, and the first ones are tried until one is taken.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from worker.ledger.webhooks import FAILING_AFTER, Delivery, Opened, Webhooks
from worker.observability.events import log_event
from worker.webhooks.line import Line
from worker.webhooks.sending import Answer, Sender
from worker.webhooks.signing import delivery_id, signed_headers
from worker.webhooks.targets import Target

#: The pause after each failed try, ms; the last one goes on. About a fifth is added at random.
PAUSES_MS = (5_000, 30_000, 120_000, 600_000, 1_800_000, 3_600_000)
#: After this time a delivery is given up.
TRY_FOR_MS = 3 * 86_400_000
#: How many dead deliveries are kept; then the webhook is paused.
MOST_DEAD = 10_000
#: How many events are read at once.
PAGE = 100


class Deliverer:
    """Delivers to one webhook, in a thread of its own."""

    def __init__(
        self,
        target: Target,
        sender: Sender,
        webhooks: Webhooks,
        random: Callable[[], float],
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.name = target.name
        self._target = target
        self._sender = sender
        self._webhooks = webhooks
        self._random = random
        self._wall = wall
        self._token = uuid.uuid4().hex
        self._line = Line({})
        self._page: deque[tuple[str, str]] = deque()
        self._acts = -1

    def turn(self, is_stopping: Callable[[], bool]) -> None:
        """Deliver all that is due, if no other worker does."""
        try:
            while not is_stopping():
                opened = self._webhooks.open(self._target.name, self._token)
                if opened is None or not self._one(opened):
                    return
            self._sender.close()
            self._webhooks.leave(self._target.name, self._token)
        except BaseException:
            # What is in memory may not be what is in the ledger.
            self._acts = -1
            raise

    def _one(self, opened: Opened) -> bool:
        """Deliver, or pass, the next event; False if nothing is to be done now."""
        standing = opened.standing
        if not opened.was_mine or self._acts != standing.acts:
            self._line = Line(self._webhooks.waiting(self._target.name))
            self._page.clear()
            self._acts = standing.acts
        if standing.paused_why:
            return False
        if due := self._line.first_due(opened.now_ms):
            return self._deliver(opened, *due)
        if standing.failures >= FAILING_AFTER or self._line.is_full:
            return False
        return self._next(opened)

    def _next(self, opened: Opened) -> bool:
        """Deliver the next event of the stream, or put it behind one of the same refund."""
        cursor, passed = opened.standing.cursor, ""
        if not self._page:
            self._page.extend(self._webhooks.events(cursor, PAGE))
        while self._page:
            position, text = self._page.popleft()
            event = json.loads(text)
            if not self._target.wants(event):
                passed = position
                continue
            new = Delivery(subject=event["subject"], type=event["type"], event=text)
            if not self._line.has(new.subject):
                return self._deliver(opened, position, new, is_new=True)
            self._line.put(position, new)
            return self._note({"cursor": position}, waiting={position: new})
        return self._note({"cursor": passed}) if passed else False

    def _deliver(
        self, opened: Opened, position: str, delivery: Delivery, *, is_new: bool = False
    ) -> bool:
        answer = self._send(delivery)
        fields: dict[str, object] = {"cursor": position} if is_new else {}
        if not answer.is_ok:
            return self._failed(opened, position, delivery, answer, fields)
        standing = opened.standing
        if standing.failures >= FAILING_AFTER:
            log_event("webhook.recovered", webhook=self._target.name)
        self._line.remove(position, delivery.subject)
        fields |= {"delivered": standing.delivered + 1, "last_ok_ms": round(self._wall() * 1000)}
        if standing.failures:
            fields |= {"failures": 0, "failing_since_ms": 0}
        return self._note(fields, done=[] if is_new else [position])

    def _send(self, delivery: Delivery) -> Answer:
        body = delivery.event.encode()
        message_id = delivery_id(json.loads(delivery.event))
        at_s = int(self._wall())
        return self._sender.post(signed_headers(message_id, at_s, body, self._target.keys), body)

    def _failed(
        self,
        opened: Opened,
        position: str,
        delivery: Delivery,
        answer: Answer,
        fields: Mapping[str, object],
    ) -> bool:
        """Plan the next try, or give the delivery up."""
        standing, now_ms = opened.standing, opened.now_ms
        failures = standing.failures + 1
        told = {
            **fields,
            "failures": failures,
            "failing_since_ms": standing.failing_since_ms or now_ms,
            "last_error": answer.error,
        }
        tried = replace(
            delivery,
            attempts=delivery.attempts + 1,
            first_ms=delivery.first_ms or now_ms,
            error=answer.error,
        )
        if failures == FAILING_AFTER:
            log_event("webhook.failing", webhook=self._target.name, error=answer.error)
        if answer.status == 410:
            return self._pause(told, position, tried, "the receiver answers 410 Gone")
        if now_ms - tried.first_ms >= TRY_FOR_MS:
            return self._give_up(told, position, tried)
        in_ms = max(self._pause_ms(tried.attempts), answer.retry_after_ms)
        later = replace(tried, due_ms=now_ms + in_ms)
        self._line.put(position, later)
        self._log("webhook.retry", later, answer, in_ms=in_ms)
        return self._note(told, waiting={position: later})

    def _pause_ms(self, attempts: int) -> int:
        pause = PAUSES_MS[min(attempts, len(PAUSES_MS)) - 1]
        return round(pause * (1 + self._random() / 5))

    def _give_up(self, told: Mapping[str, object], position: str, tried: Delivery) -> bool:
        """Make it a dead delivery. If nothing has been taken meanwhile, the webhook is paused."""
        self._line.remove(position, tried.subject)
        self._log("webhook.dead", tried, Answer(0, tried.error))
        dead = self._webhooks.counts(self._target.name)[1] + 1
        why = ""
        if int(str(told["failures"])) > FAILING_AFTER:
            why = "no delivery was taken for three days"
        elif dead >= MOST_DEAD:
            why = f"it has {dead} dead deliveries"
        return self._note(told, dead={position: tried}, done=[position], stops=why)

    def _pause(self, told: Mapping[str, object], position: str, tried: Delivery, why: str) -> bool:
        self._line.put(position, tried)
        return self._note(told, waiting={position: tried}, stops=why)

    def _note(
        self,
        fields: Mapping[str, object],
        *,
        waiting: Mapping[str, Delivery] | None = None,
        dead: Mapping[str, Delivery] | None = None,
        done: list[str] | None = None,
        stops: str = "",
    ) -> bool:
        """Write what became of a delivery; False if another worker delivers by now."""
        if stops:
            log_event("webhook.paused", webhook=self._target.name, why=stops)
        return self._webhooks.note(
            self._target.name,
            self._token,
            fields=fields,
            waiting=waiting or {},
            dead=dead or {},
            done=done or (),
            stops=stops,
        )

    def _log(self, name: str, delivery: Delivery, answer: Answer, **more: Any) -> None:
        log_event(
            name,
            webhook=self._target.name,
            subject=delivery.subject,
            type=delivery.type,
            attempts=delivery.attempts,
            error=answer.error,
            http_status=answer.status or None,
            **more,
        )
