"""The parts of the chaos run: its plan, and the harms that it claims."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator

import httpx
import pytest
import redis

from tests.chaos.plan import DISTURBANCES, OLDER, plan
from tests.chaos.report import WRONG, failures, sentence
from tests.chaos.servers import Servers
from tests.chaos.stormy_wix import StormySimulator, served
from tests.support.dark_link import why_not
from tests.support.processes import wait_until

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
    client = redis.Redis.from_url(servers.url)
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
    }
    text = sentence(run)
    assert "9 kills of a worker, 2 of them of the older version, 3 crashes of its machine" in text
    assert "left out: blackout (network namespaces need root)" in text
    assert "blackouts of the link" not in text
    assert failures(run) == []
    assert failures(run | {"doubled": 1}) == ["doubled"]
