"""Short ways to bring one refund, `rf`, into a situation by the ledger's scripts alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from statemachine.flows import TERMINAL, State, Transition
from tests.support.keys import GONE, change
from tests.support.rig import STORE_ID, Rig
from worker.ledger.claims import Claim, StepCommit
from worker.refund.outcomes import of_store
from worker.refund.request import RefundRequest, parse_request

ORDER_ID = "67668940-527d-4465-94c6-5475d8c7a412"
MINUTE_MS = 60_000
DEAD_WORKER = "dead"

#: What changes in Redis, see `tests.support.keys.change`.
Changes = Mapping[str, Any]
#: Brings about a situation, then makes one change; returns what has changed.
Scene = Callable[[Rig], Changes]

#: `rf` gets or gives up its slot.
SLOT: Changes = {"busy:STORE>rf": "now"}
NO_SLOT: Changes = {"busy:STORE>rf": GONE}
#: The store has no refund any more.
NO_WORK: Changes = {**NO_SLOT, "busy_stores>STORE": GONE}
#: The store's suspension ends, and nobody checks its key any more.
NOT_SUSPENDED: Changes = {"probes>STORE": GONE} | {
    f"suspended:STORE.{name}": GONE
    for name in ("by", "endpoint", "epoch", "probes", "reason", "since_ms")
}


def sent(number: int, actor: str, queued: list[str] | None = None) -> Changes:
    """Return what changes when message *number* of `rf` is sent."""
    message_id = f"rf~{number}"
    return {
        "refund:rf.wakes": number,
        "refund:rf.message_id": message_id,
        f"steps.msgs.{message_id}": f"{actor} rf {message_id} now",
        "steps": queued or [f"rf~{n}" for n in range(1, number + 1)],
    }


def in_state(state: str, before: str = "accepted") -> Changes:
    """Return what changes when `rf` gets a state."""
    finished = {"unpacked>rf": True} if State(state) in TERMINAL else {}
    moved = {f"state:{before}>rf": GONE, f"state:{state}>rf": "now"}
    return {"refund:rf.state": state, **moved, **finished}


def changes(rig: Rig, act: Callable[[], object]) -> Changes:
    """Return what *act* changes; `rf` was last updated long ago."""
    if rig.redis.exists(rig.key("refund", "rf")):
        rig.redis.hset(rig.key("refund", "rf"), mapping={"updated_at_ms": 1, "committed_at_ms": 1})
    return change(rig, act, ORDER=ORDER_ID)


def request(refund_id: str = "rf", order_id: str = ORDER_ID) -> RefundRequest:
    """Return a job."""
    return parse_request({"refund_id": refund_id, "store_id": STORE_ID, "order_id": order_id})


def accept(rig: Rig, refund_id: str = "rf", order_id: str = ORDER_ID) -> None:
    """Accept a job."""
    assert rig.ledger.accept(request(refund_id, order_id), rig.delivery()) == "accepted"


def claim(rig: Rig, transition: Transition = Transition.ASSESS_ORDER, worker: str = "") -> Claim:
    """Claim `rf`."""
    found = rig.ledger.claim("rf", transition, rig.delivery(worker))
    assert found.status == "claimed"
    return found


def commit(rig: Rig, held: Claim, **what: Any) -> None:
    """Commit a step of `rf`; it goes on as refundable if nothing else is given."""
    given: dict[str, Any] = {"state": State.REFUNDABLE, "next": "now"} | what
    assert rig.ledger.commit("rf", held, StepCommit(**given), rig.delivery())


def ended(rig: Rig, state: State, **what: Any) -> None:
    """Let `rf` end with its first step."""
    accept(rig)
    commit(rig, claim(rig), state=state, next="end", **what)


def suspension(reason: str = "key_refused") -> dict[str, Any]:
    """Return why a step suspends its store."""
    return {
        "reason": json.dumps({"reason": reason}),
        "endpoint": "get_order",
        "probe_in_ms": 10 * MINUTE_MS,
        "outcome": of_store("suspended", STORE_ID),
    }


def suspended(rig: Rig, reason: str = "key_refused") -> None:
    """Let the first step of `rf` suspend the store; `rf` waits in the lane."""
    accept(rig)
    commit(rig, claim(rig), state=State.ACCEPTED, next="lane", suspension=suspension(reason))


#: What a script changes, by what has happened: for the tests to add what is special.
ACCEPTED: Changes = {
    "accepted>rf": "now",
    "history:rf": ["refund.accepted"],
    "order:STORE:ORDER>rf": True,
    "orders>ORDER:STORE": 0,
    "of_store:STORE>rf": "now",
    "outcomes": ["refund.accepted"],
    "refund:rf.accepted_at_ms": "now",
    "refund:rf.arrival": 1,
    "refund:rf.committed_at_ms": "now",
    "refund:rf.digest": "DIGEST",
    "refund:rf.order_id": "ORDER",
    "refund:rf.request": "REQUEST",
    "refund:rf.schema": 1,
    "refund:rf.state": "accepted",
    "refund:rf.store_id": "STORE",
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 1,
    "state:accepted>rf": "now",
}

CLAIMED: Changes = {
    "lease:STORE:ORDER": "ME|m|e",
    "refund:rf.attempt": 1,
    "refund:rf.attempts": 1,
    "refund:rf.fence": 1,
    "refund:rf.held_by": "ME|m|e",
    "refund:rf.prior_intent_at_ms": 0,
    "refund:rf.reserved": 2,
}

COMMITTED: Changes = {
    "lease:STORE:ORDER": GONE,
    "refund:rf.committed_at_ms": "now",
    "refund:rf.held_by": GONE,
    "refund:rf.intent_at_ms": 0,
    "refund:rf.settled_fence": 1,
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 2,
    "refund:rf.wix_calls": 0,
}

LATER: Changes = {**NO_SLOT, "due>rf": "now +10 min", "refund:rf.due_at_ms": "now +10 min"}

DEAD: Changes = {**in_state("dead"), "dead>rf": "now"}


def listed(reason: str, transition: str = "", died_in: str = "") -> Changes:
    """Return what lists the dead letter `rf`, whose amount is not known."""
    card = [reason, "", "STORE", transition, died_in, "ORDER", "", "", " " * 5]
    found: dict[str, Any] = {"cards.rf": "\x1f".join(card), "refund:rf.listed": 1}
    values = {"reason": reason, "code": "", "store": "STORE", "transition": transition}
    for kind, value in values.items():
        found[f"dead_by:{kind}:{value}>rf"] = "now"
        found[f"dead_groups:{kind}.{value}"] = found[f"dead_groups:{kind}.{value}\x1f?"] = 1
    return found


SUSPENDED: Changes = {
    "outcomes": ["refund.accepted", "store.suspended"],
    "probes>STORE": "now +10 min",
    "store:STORE.events": 1,
    "suspended:STORE.by": "ME|m|e",
    "suspended:STORE.endpoint": "get_order",
    "suspended:STORE.epoch": 0,
    "suspended:STORE.probes": 0,
    "suspended:STORE.reason": {"reason": "key_refused"},
    "suspended:STORE.since_ms": "now",
}

WHY = {"reason": "store_disconnected"}

BURIED: Changes = {
    **DEAD,
    **listed("store_disconnected", "assess_order", "accepted"),
    "history:rf": ["refund.accepted", "step.dead"],
    "outcomes": ["refund.accepted", "refund.dead_lettered"],
    "refund:rf.buried_by": "NONCE",
    "refund:rf.died_in": "accepted",
    "refund:rf.due_at_ms": 0,
    "refund:rf.reason": WHY,
    "refund:rf.updated_at_ms": "now",
    "refund:rf.version": 2,
}

REVERSED: Changes = {
    "history:rf": ["refund.accepted", "refund.reversed"],
    "outcomes": ["refund.accepted", "refund.reversed"],
    "refund:rf.facts": {"rounds": 1},
    "refund:rf.version": 3,
}

#: A finished refund becomes a dead letter.
DEAD_AGAIN: Changes = {
    **in_state("dead", "refunded"),
    **listed("store_disconnected", died_in="refunded"),
    "dead>rf": "now",
    "refund:rf.died_in": "refunded",
}
