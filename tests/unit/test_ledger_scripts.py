"""The ledger's scripts on a server in memory, for quick results; tests/acceptance has the proof."""

from __future__ import annotations

import re
from pathlib import Path

import fakeredis
import pytest

from statemachine.flows import State, Transition
from worker.cells import directory
from worker.ledger import keeping, refunds, reindexing, scripts, stores
from worker.ledger.audit_log import Operator
from worker.ledger.claims import StepCommit
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.queue import broker
from worker.queue.delivery import Delivery
from worker.refund import outcomes
from worker.refund.request import RefundRequest, parse_request

LEDGER = Path(refunds.__file__).parent
SHARED = tuple(f"{part}.lua" for part in (*scripts.SHARED, *scripts.SOMETIMES))
#: Every way in which a key is written: `key('name'`, `ns .. ':name'`, f"{self.ns}:name".
KEY = re.compile(r"key\('(\w+)'|ns \.\. ':(\w+)|\{(?:self\.)?(?:ns|namespace)\}+:(\w+)")
STORE_ID = "4b296c48-0000-4000-8000-000000000001"
ME = Delivery("me", "steps", "m-1", "run-1")


@pytest.fixture
def ledger() -> Ledger:
    """Return a ledger in memory; the worker `me` has a fresh heartbeat."""
    client = fakeredis.FakeRedis(decode_responses=True)
    client.zadd("{unit}:workers", {"me": 10**14})
    return Ledger(client, namespace="unit", lanes=LaneRules(2), worker_dead_after_ms=10_000)


def _request(refund_id: str = "rf-1", number: int = 1, **more: object) -> RefundRequest:
    order_id = f"67668940-527d-4465-94c6-{number:012d}"
    return parse_request(
        {"refund_id": refund_id, "store_id": STORE_ID, "order_id": order_id} | more
    )


def test_a_job_is_accepted_once(ledger: Ledger) -> None:
    """The same content is a duplicate; other content is a conflict and changes nothing."""
    assert ledger.accept(_request(), ME) == "accepted"
    assert ledger.accept(_request(), ME) == "duplicate"
    assert ledger.accept(_request(reason="other"), ME) == "conflict"
    refund = ledger.load("rf-1")
    assert refund is not None
    assert (refund.state, refund.request.reason, refund.version) == (State.ACCEPTED, "", 1)


def _replay(ledger: Ledger) -> bool:
    refund = ledger.load("rf-1")
    assert refund is not None
    return ledger.replay(refund, refund.facts, Operator("ann").act("dead.replay", "rf-1"))


def test_a_step_from_claim_to_commit(ledger: Ledger) -> None:
    """One claim, one commit, one line of history."""
    ledger.accept(_request(), ME)
    claim = ledger.claim("rf-1", Transition.ASSESS_ORDER, ME)
    assert (claim.status, claim.refund is not None) == ("claimed", True)
    line = {"event": "step.done"}
    commit = StepCommit(state=State.REFUNDABLE, next="now", history=(line,))
    assert ledger.commit("rf-1", claim, commit, ME)
    assert [x["event"] for x in ledger.history("rf-1")] == ["refund.accepted", "step.done"]
    assert ledger.claim("rf-1", Transition.ASSESS_ORDER, ME).status == "refused"


def test_a_dead_letter_is_replayed_where_it_died(ledger: Ledger) -> None:
    """A replay works once, and only on a dead letter."""
    ledger.accept(_request(), ME)
    assert not _replay(ledger)
    claim = ledger.claim("rf-1", Transition.ASSESS_ORDER, ME)
    dead = StepCommit(state=State.DEAD, next="end", fields={"died_in": "accepted"})
    assert ledger.commit("rf-1", claim, dead, ME)
    assert [r.refund_id for r in ledger.newest(state=State.DEAD, limit=5)] == ["rf-1"]
    assert _replay(ledger)
    assert not _replay(ledger)
    refund = ledger.load("rf-1")
    assert refund is not None
    assert (refund.state, refund.died_in, refund.attempt) == (State.ACCEPTED, "", 0)


def _scripts() -> list[Path]:
    found = [path for path in (LEDGER / "lua").glob("*.lua") if path.name not in SHARED]
    assert len(found) > 10
    return sorted(found)


@pytest.mark.parametrize("script", _scripts(), ids=lambda path: path.stem)
def test_a_script_begins_with_its_arguments_and_what_it_returns(script: Path) -> None:
    """Each argument that the script uses is listed in its first comment."""
    text = script.read_text()
    header = re.match(r"(--.*\n)+", text)
    assert header is not None
    assert "-- Returns " in header[0]
    used = set(re.findall(r"\bargs\.(\w+)", text))
    assert used <= set(re.findall(r"\w+", header[0].partition("-- args: ")[2]))


def test_the_readme_lists_every_key_and_no_other() -> None:
    """Somebody who looks into Redis finds each key in one table."""
    modules = [
        Path(str(module.__file__))
        for module in (refunds, keeping, reindexing, stores, broker, outcomes, directory)
    ]
    lua = [*(LEDGER / "lua").glob("*.lua"), Path(broker.__file__).parent / "queue.lua"]
    texts = [path.read_text() for path in (*modules, *lua)]
    used = {"".join(names) for text in texts for names in KEY.findall(text)}
    rows = re.findall(r"^\| `(\w+)[^|]*\| [A-Z]", (LEDGER / "README.md").read_text(), re.MULTILINE)
    # The lists of messages have the names of the queues.
    assert set(rows) - {"QUEUE"} == used - set(broker.QUEUES)
