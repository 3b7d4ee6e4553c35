"""What people do to refunds, letters and stores: each act is one script, which also records it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import redis

from statemachine.flows import State
from worker.errors import OtherLedger
from worker.ledger.audit_log import Act
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.ledger.scripts import load_scripts
from worker.observability.redaction import redact
from worker.refund.approvals import person_of
from worker.refund.outcomes import of_store
from worker.refund.record import Refund
from worker.refund.request import HOLDS, RefundRequest

#: One file each, in lua/.
SCRIPTS = (
    "record", "restore", "end_letter", "discard_message", "edit", "retry", "call_off", "hold",
    "approve", "refuse", "let_go", "pause", "unpause", "set_observed",
)  # fmt: skip

#: Instead of the id of a store.
ALL_STORES = "*"


class Acts:
    """Writes what people do. Raises redis.RedisError when the server does not answer."""

    def __init__(
        self,
        client: redis.Redis,
        ledger: Ledger,
        *,
        namespace: str,
        lanes: LaneRules,
        worker_dead_after_ms: int,
        settle_delay_ms: int,
    ) -> None:
        self.ledger = ledger
        self.ns = f"{{{namespace}}}"
        self._redis = client
        self._given = {"dead_after_ms": worker_dead_after_ms, "settle_delay_ms": settle_delay_ms}
        self._scripts = load_scripts(client, SCRIPTS, namespace=namespace, lanes=lanes)

    def _run(self, script: str, act: Act, /, **arguments: Any) -> Any:
        given = {**self._given, **arguments}
        if self.ledger.installation:
            given["installation"] = self.ledger.installation
        try:
            return self.ledger.audit_log.call(self._scripts[script], given, act)
        except redis.ResponseError as error:
            if "OTHERLEDGER" not in str(error):
                raise
            raise OtherLedger(str(error)) from None

    def record(self, act: Act) -> None:
        """Record an act that changes nothing else in the ledger."""
        self._run("record", act)

    def letter(self, message_id: str) -> dict[str, Any] | None:
        """Return the letter of a message that never became a refund, None if there is none."""
        found: Any = self._redis.hget(f"{self.ns}:quarantine", message_id)
        return json.loads(found) if found else None

    def restore(self, message_id: str, letter: Mapping[str, Any], act: Act) -> bool:
        """Put a quarantined message back on its queue; False if it is no letter any more."""
        queue, message = letter["queue"], letter["message"]
        return bool(self._run("restore", act, queue=queue, message_id=message_id, message=message))

    def discard_message(self, message_id: str, act: Act) -> bool:
        """Delete the letter of a message; False if it is no letter any more."""
        return bool(self._run("discard_message", act, message_id=message_id))

    def end_letter(
        self,
        refund: Refund,
        to: State,
        resolution: Mapping[str, Any],
        event: Mapping[str, str] | None,
        act: Act,
    ) -> tuple[Literal["ended", "changed", "unclear"], int]:
        """End a dead letter as it was read; "unclear" with the time until no call is under way."""
        status, wait_ms = self._run(
            "end_letter",
            act,
            **_named(refund),
            state=to.value,
            resolution=_json(resolution),
            history=_line(f"refund.{to.value}", resolution),
            outcome=event,
        )
        return status, int(wait_ms)

    def edit(self, refund: Refund, request: RefundRequest, act: Act) -> bool:
        """Replace the job of a dead letter; False if it has changed since it was read."""
        changes = {"operator": act.by, "before": dict(act.before), "after": dict(act.after)}
        history = _line("refund.edited", changes)
        text = request.canonical
        return bool(self._run("edit", act, **_named(refund), request=text, history=history))

    def retry(self, refund: Refund, act: Act) -> str:
        """Let a refund that waits for a retry go now; returns a word of retry.lua."""
        history = _line("refund.retried", {"operator": act.by})
        return str(self._run("retry", act, refund_id=refund.refund_id, history=history))

    def call_off(
        self,
        refund: Refund,
        resolution: Mapping[str, Any],
        event: Mapping[str, str] | None,
        act: Act,
    ) -> str:
        """Call off a refund that has changed nothing at Wix; returns a word of call_off.lua."""
        return str(
            self._run(
                "call_off",
                act,
                **_named(refund),
                resolution=_json(resolution),
                history=_line("refund.called_off", resolution),
                outcome=event,
            )
        )

    def hold(self, refund: Refund, who: Mapping[str, Any], act: Act) -> str:
        """Stop a refund where it is; returns a word of hold.lua."""
        history = _line("refund.on_hold", who)
        return str(
            self._run(
                "hold",
                act,
                refund_id=refund.refund_id,
                hold=_json(who),
                schema=HOLDS,
                history=history,
            )
        )

    def approve(self, refund: Refund, act: Act) -> tuple[str, int, int]:
        """Approve a refund as it was read.

        Returns a word of approve.lua, and how many people have approved it, and must.
        """
        who = {"by": act.by, "why": act.why}
        status, given, needed = self._run(
            "approve",
            act,
            **_named(refund),
            given=_json({"person": person_of(act.by), **who}),
            history=_line("refund.approved", who),
        )
        return status, int(given), int(needed)

    def refuse(
        self, refund: Refund, reason: Mapping[str, Any], event: Mapping[str, str] | None, act: Act
    ) -> bool:
        """Make a refund that waits for an approval a dead letter; False if it has changed."""
        given = {**_named(refund), "reason": _json(reason), "outcome": event}
        history = _line("refund.refused", {"by": act.by, "why": act.why})
        return bool(self._run("refuse", act, **given, history=history) == "dead")

    def let_go(self, refund: Refund, act: Act) -> bool:
        """Let a refund on hold go on; False if it is not on hold."""
        history = _line("refund.released", {"operator": act.by})
        return bool(self._run("let_go", act, refund_id=refund.refund_id, history=history))

    def pause(self, store_id: str, who: Mapping[str, Any], act: Act) -> bool:
        """Let the lane of a store wait, or all lanes; False if it is paused already."""
        event = of_store("paused", *_told(store_id), **who)
        return bool(self._run("pause", act, store_id=store_id, pause=_json(who), outcome=event))

    def unpause(self, store_id: str, act: Act) -> bool:
        """End a pause; False if there is none."""
        event = of_store("resumed", *_told(store_id), by=act.by, ended="pause")
        return bool(self._run("unpause", act, store_id=store_id, outcome=event))

    def observe(self, store_id: str, act: Act, *, is_on: bool) -> bool:
        """Begin or end to observe what a merchant does; False if nothing changed."""
        return bool(self._run("set_observed", act, store_id=store_id, is_on=is_on))

    def pauses(self) -> dict[str, dict[str, Any]]:
        """Return who paused what, by store id or `ALL_STORES`."""
        found: Any = self._redis.hgetall(f"{self.ns}:paused")
        return {store_id: json.loads(text) for store_id, text in found.items()}


def _named(refund: Refund) -> dict[str, str]:
    return {"refund_id": refund.refund_id, "version": str(refund.version)}


def _told(store_id: str) -> tuple[str | None]:
    """Return the store id for an event; None stands for all stores."""
    return (None if store_id == ALL_STORES else store_id,)


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(redact(value), ensure_ascii=False)


def _line(event: str, fields: Mapping[str, Any]) -> str:
    line = redact({"event": event, **fields})
    return json.dumps(line, separators=(",", ":"), ensure_ascii=False)
