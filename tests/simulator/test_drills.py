"""`refunds simulator key|fault|merchant`: what a drill changes in a simulator that runs."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import refunds
from worker.cli import drills
from worker.simulator import Simulator
from worker.simulator.http import admin
from worker.simulator.http.server import serve

SITE, OTHER = "4b296c48-0000-4000-8000-000000000001", "4b296c48-0000-4000-8000-000000000002"
ORDER = "67668940-527d-4465-94c6-5475d8c7a412"
README = Path(__file__).parents[2] / "worker" / "simulator" / "README.md"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def world() -> Simulator:
    """A simulator with one store and one order."""
    made = Simulator()
    made.add_store(SITE, "IST.one")
    made.add_order(SITE, created_date="2025-01-02T03:04:05Z", order_id=ORDER)
    return made


@pytest.fixture
def run(world: Simulator) -> Iterator[Run]:
    """Run `refunds simulator ...` against it, found by the setting of the worker."""
    with serve(world, port=0) as url:

        def call(*arguments: str, at: str = url) -> subprocess.CompletedProcess[str]:
            return refunds(None, "simulator", *arguments, environment={"REFUNDS_WIX_BASE_URL": at})

        yield call


def test_a_key_is_revoked_and_restored(world: Simulator, run: Run) -> None:
    """Without a store id it is the key of the only store."""
    assert run("key", "revoke").stderr == f"the API key of {SITE} is revoked\n"
    assert world.keys["IST.one"].revoked
    done = run("key", "restore", SITE, "--json")
    assert json.loads(done.stdout) == {"ok": True, "store_id": SITE}
    assert not world.keys["IST.one"].revoked


def test_with_two_stores_one_must_be_named(world: Simulator, run: Run) -> None:
    """The message lists them, and nothing changes."""
    world.add_store(OTHER, "IST.two")
    done = run("key", "revoke")
    assert (done.returncode, done.stderr) == (2, f"name one of the stores: {SITE}, {OTHER}\n")
    assert not any(key.revoked for key in world.keys.values())


def test_a_fault_is_added_and_cleared(world: Simulator, run: Run) -> None:
    """With all that it needs; clear says how many faults still applied."""
    options = ["--endpoint", "submit_refund", "--status", "428", "--code", "X", "--times", "3"]
    added = run("fault", "add", "status", *options)
    assert added.stderr == "fault added: status, for the next 3 matching calls\n"
    [fault] = world.faults
    assert (fault.endpoint, fault.status, fault.code, fault.times) == ("submit_refund", 428, "X", 3)
    assert run("fault", "clear").stderr == "faults cleared: 1\n"
    assert world.faults == []


def test_a_fault_until_cleared_does_not_end_by_itself(world: Simulator, run: Run) -> None:
    """Also as JSON."""
    done = run("fault", "add", "drop", "--until-cleared", "--json")
    assert json.loads(done.stdout)["fault"]["times"] == drills.UNTIL_CLEARED
    assert world.faults[0].times == drills.UNTIL_CLEARED


def test_the_merchant_fulfils_cancels_and_refunds(world: Simulator, run: Run) -> None:
    """As in the dashboard."""
    order = world.orders[ORDER]
    assert run("merchant", "fulfil", ORDER).returncode == 0
    assert len(order.fulfillments) == 1
    assert run("merchant", "refund", ORDER, "--amount", "10.00").stderr == (
        f"{ORDER}: refunded 10.00\n"
    )
    answer = json.loads(run("merchant", "refund", ORDER, "--external", "--json").stdout)
    assert answer["refund"]["transactions"][0]["externalRefund"] is True
    assert run("merchant", "cancel", ORDER).returncode == 0
    assert order.status == "CANCELED"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["key", "revoke", OTHER], 2, f"there is no store {OTHER}; stores: {SITE}"),
        (["merchant", "cancel", OTHER], 2, f"there is no order {OTHER}; orders: {ORDER}"),
        (["merchant", "refund", ORDER, "--amount", "ten"], 2, "--amount takes an amount like"),
        (["fault", "add", "status", "--endpoint", "submit"], 2, "must be one of *, add_activities"),
        (["fault", "add", "boom"], 2, "for 'kind': 'boom' is not one of 'status', 'lost_reply'"),
        (["fault", "clear", "--url", "https://www.wixapis.com"], 2, "address of a simulator"),
        (["fault", "clear", "--url", "http://127.0.0.1:1"], 1, "no simulator answers at"),
    ],
)
def test_what_is_wrong_is_said(run: Run, arguments: list[str], code: int, said: str) -> None:
    """In words that say what would be right."""
    done = run(*arguments)
    assert done.returncode == code
    assert said in done.stderr


def test_nothing_left_to_refund_is_no_refund(world: Simulator, run: Run) -> None:
    """An empty refund would confuse the drill."""
    run("merchant", "refund", ORDER)
    assert "nothing is left to refund" in run("merchant", "refund", ORDER).stderr
    assert len(world.orders[ORDER].refunds) == 1


def test_ids_complete_from_the_simulator(world: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stores, orders and endpoints; nothing if no simulator answers."""
    with serve(world, port=0) as url:
        monkeypatch.setenv("REFUNDS_WIX_BASE_URL", url)
        assert drills.store_ids("4b29") == [SITE]
        assert drills.order_ids("6") == [ORDER]
    assert drills.order_ids("6") == []
    assert drills.endpoints("submit") == ["submit_refund"]


def test_every_admin_endpoint_is_documented() -> None:
    """In the table of worker/simulator/README.md."""
    text = README.read_text()
    served = {f"GET /_simulator/{name}" for name in admin.GETS}
    served |= {f"POST /_simulator/{name}" for name in admin.POSTS}
    assert set(re.findall(r"^\| `((?:GET|POST) /_simulator/\w+)` \|", text, re.MULTILINE)) == served
