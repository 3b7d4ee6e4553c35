"""The parts of the chaos run: its plan, and the harms that it claims."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.chaos.adopting import adopt_emptied
from tests.chaos.failures import count_failures
from tests.chaos.nodes import Nodes
from tests.chaos.plan import CELLS, DISTURBANCES, OLDER, has_cells, plan
from tests.chaos.report import WRONG, failures, sentence
from tests.chaos.servers import Servers
from tests.chaos.stormy_wix import StormySimulator, served
from tests.support.cells import Cells
from tests.support.dark_link import why_not
from tests.support.processes import wait_until
from tests.support.rig import AFTER, STORE_ID
from worker.app import membership_from
from worker.ledger.connection import redis_client

REASON = why_not()


def test_a_plan_has_all_disturbances_and_depends_on_the_seed_alone() -> None:
    """A run can be repeated, also without the one that is suspected."""
    actions = plan(7, 5)
    assert actions == plan(7, 5) != plan(8, 5)
    counts = {what: sum(action.what == what for action in actions) for what in DISTURBANCES}
    assert counts == {what: one.usual for what, one in DISTURBANCES.items()}
    assert plan(7, 5, ["crash"]) == [action for action in actions if action.what != "crash"]
    short = {action.what for action in plan(7, 0.1)}
    assert set(DISTURBANCES) <= short


def test_only_what_the_older_version_survives_happens_while_it_runs() -> None:
    """It has holes that this version closed, so it would double refunds."""
    actions = plan(7, 5)
    [retired] = [action.at_s for action in actions if action.what == "retire"]
    meanwhile = {action.what for action in actions if action.at_s < retired}
    suited = {what for what, one in DISTURBANCES.items() if one.suits_older}
    assert meanwhile == {"job", "deploy", *suited}
    without = {action.what for action in plan(7, 5, [OLDER]) if action.at_s < retired}
    assert without - meanwhile


def test_a_third_of_the_seeds_has_cells_whatever_wix_does_to_fingerprints() -> None:
    """And cells are added as often in a run of any length: there is a server for so many."""
    assert [seed for seed in range(12) if has_cells(seed)] == [0, 1, 2, 9, 10, 11]
    for minutes in (0.1, 30):
        actions = plan(7, minutes)
        assert sum(action.what == CELLS for action in actions) == DISTURBANCES[CELLS].usual
    without = plan(7, 5, [CELLS])
    assert without == [action for action in plan(7, 5) if action.what != CELLS]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server and its replica."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    servers.start()
    yield servers
    servers.end()


def _acknowledged(servers: Servers, accident: Callable[[], None]) -> tuple[int, int]:
    """Count up during an accident; returns what was acknowledged, and what the server then has."""
    counted = [0]
    # One that tries again may never notice the accident, and would count for ever.
    client = redis.Redis.from_url(servers.url, retry=Retry(NoBackoff(), 0))
    client.set("counter", 0)
    client.set("long ago", "kept")

    def count() -> None:
        with contextlib.suppress(redis.RedisError):
            while True:
                counted[0] = client.incr("counter")

    counting = threading.Thread(target=count)
    counting.start()
    wait_until(lambda: counted[0] > 0)
    with redis.Redis.from_url(servers.url) as another:
        # On a busy machine the replica may not have had the first of these writes yet.
        another.set("counting", "yes")
        assert another.wait(1, 60_000) == 1
    accident()
    counting.join()
    with redis.Redis.from_url(servers.url) as after:
        assert after.get("long ago") == b"kept"
        return counted[0], int(str(after.get("counter"), "ascii"))


@pytest.mark.parametrize("accident", [Servers.crash, Servers.fail_over])
def test_a_crash_and_a_failover_lose_what_was_acknowledged_last(
    servers: Servers, accident: Callable[[Servers], None]
) -> None:
    """But nothing older; and the run goes on at the same address."""
    acknowledged, kept = _acknowledged(servers, lambda: accident(servers))
    assert 0 < kept < acknowledged


def test_a_restart_loses_nothing(servers: Servers) -> None:
    """Nothing that was acknowledged; one more may have been written without an answer."""
    acknowledged, kept = _acknowledged(servers, lambda: servers.restart(signal.SIGTERM))
    assert kept - acknowledged in {0, 1}


def test_cells_are_on_two_servers_that_can_crash_alone(tmp_path: Path) -> None:
    """Each client finds its own; the clock of one of them steps alone, too."""
    nodes = Nodes(tmp_path, "run", 3)
    nodes.start()
    try:
        where = {}
        for cell in ("run", "run:0", "run:1", "run:2"):
            with redis_client(nodes.url, namespace=cell) as client:
                where[cell] = client.info("server")["tcp_port"]
        first, second = (nodes.struck(size)[0] for size in (0.0, 0.4))
        assert where["run"] == where["run:0"] != where["run:1"] == where["run:2"]
        assert list(nodes.struck(0.9)) == [first, second]
        nodes.step(0.4, 3_600)
        stepped = {}
        for cell in where:
            with redis_client(nodes.url, namespace=cell) as client:
                stepped[cell] = client.get(f"{{{cell}}}:test_clock_s")
        assert stepped == {"run": None, "run:0": None, "run:1": "3600", "run:2": "3600"}
        crashed: list[Servers] = []
        nodes.strike(0.9, crashed.append)
        assert set(crashed) == {first, second}
        with pytest.raises(RuntimeError, match="could not happen"):
            nodes.strike(0.0, lambda _: crashed[0].no_such_accident())  # type: ignore[attr-defined]  # it fails
    finally:
        nodes.end()


def test_a_store_with_refunds_in_two_cells_is_counted(redis_url: str) -> None:
    """Nothing keeps two workers from refunding its orders at the same time."""
    cells = Cells(redis_url)
    order = cells.simulator.add_order(STORE_ID, created_date=AFTER)
    for cell in ("0", "2"):
        cells.move_in(cell, STORE_ID)
        cells.rigs[cell].request(order, f"rf-{cell}")
        cells.rigs[cell].run_queued()
    found = {cell: (rig.settings, rig.ledger) for cell, rig in cells.rigs.items()}
    assert count_failures(found, {})["in_two_cells"] == 1
    cells.close()


def test_a_cell_that_lost_its_first_second_is_adopted_and_no_other(redis_url: str) -> None:
    """Its workers refuse to start until a person has looked."""
    cells = Cells(redis_url)
    found = {cell: (rig.settings, rig.ledger) for cell, rig in cells.rigs.items()}
    assert adopt_emptied(found) == 0
    rig = cells.rigs["1"]
    membership = membership_from(rig.settings, rig.broker.client)
    assert membership.join().installation
    rig.redis.delete(rig.key("installation"))
    # The machine remembers it, also if the front has forgotten it at the same time.
    cells.front.redis.hdel(cells.front.key("installation"), "cell:1")
    assert membership.join().installation == ""
    assert adopt_emptied(found) == 1
    rig.ledger.installation = membership.join().installation
    assert rig.ledger.installation
    cells.close()


@pytest.mark.skipif(bool(REASON), reason=REASON or "possible here")
def test_wix_behind_the_link_answers_until_the_link_is_dark() -> None:
    """In a blackout no call gets through, and afterwards they do."""
    with served(StormySimulator(), is_far=True) as (url, link):
        assert link
        assert url.startswith(f"http://{link.far}:")
        with httpx.Client(base_url=url, trust_env=False, timeout=0.2) as client:
            link.darken()
            with pytest.raises(httpx.ConnectTimeout):
                client.get("/nothing")
            link.light()
            assert client.get("/nothing", timeout=60).status_code == 404


def test_the_report_says_what_the_run_contained_and_what_not() -> None:
    """Figures without it would claim too much."""
    found = {"runs": 1_200, "took_s": 300, "wix_calls": 2_000, "seed": 5} | dict.fromkeys(WRONG, 0)
    run = found | {
        "actions": {"kill": 9, "kill of an older worker": 2, "crash": 3, "jobs sent again": 40},
        "left_out": {"blackout": "network namespaces need root"},
        "wix_wrongs": {"429": 20},
        "reason_text": "spaced",
        "stores": {"front": 20},
    }
    text = sentence(run)
    assert "9 kills of a worker, 2 of them of the older version, 3 crashes of its machine" in text
    assert "left out: blackout (network namespaces need root)" in text
    assert "blackouts of the link" not in text
    assert "refunds of 4 kinds on 20 stores in 300 s" in text
    spread = sentence(run | {"stores": {"front": 5, "0": 7, "1": 8}})
    assert "on 20 stores (5 in front, 7 in 0, 8 in 1) in" in spread
    assert failures(run) == []
    assert failures(run | {"doubled": 1}) == ["doubled"]
