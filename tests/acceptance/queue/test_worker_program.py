"""`python -m worker`: it starts, works, stops cleanly, and says what is wrong."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from statemachine.flows import State
from tests.support.processes import (
    PATIENCE_S,
    WORKER,
    child_pids,
    command_line,
    run_program,
    wait_until,
)
from tests.support.rig import AFTER, BEFORE, KEY, STORE_ID, Rig, settings_for
from tests.support.worker_program import worker
from worker.__main__ import count_stores
from worker.demo.embedded import embedded_server
from worker.ledger.connection import redis_client
from worker.ledger.lanes import LaneRules
from worker.ledger.stores import Stores
from worker.simulator import Fault, Simulator, serve
from worker.stores.vault import Credentials, Vault, new_key

#: Those that this process and its children may use.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _working(rig: Rig) -> set[str]:
    """Return the workers that have fetched messages, and found none.

    A heartbeat says less: a worker beats before the checks of its start, and a signal that comes
    then ends it before it has begun.
    """
    fetching = set(rig.redis.zrange(rig.key("idle"), 0, -1))
    return {worker_id for worker_id in fetching if not worker_id.startswith("idle-")}  # the rig's


def _is_up(rig: Rig, programs: int = 1) -> Callable[[], bool]:
    return lambda: len(_working(rig)) >= programs


def _state(rig: Rig, refund_id: str) -> State | None:
    refund = rig.ledger.load(refund_id)
    return refund.state if refund else None


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("group", "times"), [(False, 1), (True, 1), (True, 2)])
def test_sigterm_lets_running_steps_finish(
    rig: Rig, processes: int, group: bool, times: int
) -> None:
    """Sent once or twice, to the program or its group: the step commits, and the exit code is 0."""
    order = rig.order(AFTER)
    rig.simulator.script(Fault("slow", "submit_refund", slow_ms=700))
    with serve(rig.simulator) as url, worker(rig, url, REFUNDS_PROCESSES=str(processes)) as program:
        wait_until(_is_up(rig, processes))
        refund_id = rig.request(order)
        wait_until(lambda: not rig.simulator.faults[0].times)
        for _ in range(times):
            (os.killpg if group else os.kill)(program.pid, signal.SIGTERM)
        _, log = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 0
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert "worker.stopping" in events
    assert events.count("worker.stopped") == processes
    assert _state(rig, refund_id) in {State.REFUND_SUBMITTED, State.REFUNDED}
    assert len(order.refunds) == 1
    assert KEY not in log


def test_a_killed_worker_loses_and_doubles_nothing(rig: Rig) -> None:
    """SIGKILL during the refund call; a new worker finds out what happened."""
    orders = [rig.order(AFTER), rig.order(BEFORE)]
    rig.simulator.script(
        Fault("slow", "submit_refund", slow_ms=500), Fault("slow", "cancel_order", slow_ms=500)
    )
    quick = {"REFUNDS_WORKER_DEAD_AFTER_MS": "600", "REFUNDS_WORKER_BEAT_MS": "100",
             "REFUNDS_RECONCILE_EVERY_MS": "50", "REFUNDS_SETTLE_DELAY_MS": "1500",
             "REFUNDS_WIX_TOTAL_TIMEOUT_MS": "1500",
             "REFUNDS_CONFIRM_FIRST_MS": "50"}  # fmt: skip
    with serve(rig.simulator) as url:
        with worker(rig, url, **quick) as program:
            wait_until(_is_up(rig))
            ids = [rig.request(order) for order in orders]
            wait_until(lambda: not any(fault.times for fault in rig.simulator.faults))
            os.killpg(program.pid, signal.SIGKILL)
        with worker(rig, url, **quick):
            wait_until(lambda: _state(rig, ids[0]) is State.REFUNDED)
            wait_until(lambda: _state(rig, ids[1]) is State.CANCELLED)
    assert len(orders[0].refunds) == 1
    assert orders[1].cancellations == 1


def test_a_child_that_dies_is_started_again(rig: Rig) -> None:
    """The log reports it."""
    with serve(rig.simulator) as url, worker(rig, url, REFUNDS_PROCESSES="2") as program:
        wait_until(_is_up(rig, 2))
        before = _working(rig)
        os.kill(child_pids(program.pid)[0], signal.SIGKILL)
        wait_until(lambda: _working(rig) - before)
        os.kill(program.pid, signal.SIGTERM)
        _, log = program.communicate(timeout=PATIENCE_S)
    assert "worker.child_ended" in log
    assert program.returncode == 0


def _cores(pid: int) -> list[int]:
    """Return the cores that the threads of a process may use."""
    threads = (int(path.name) for path in Path(f"/proc/{pid}/task").iterdir())
    return sorted(set().union(*(os.sched_getaffinity(thread) for thread in threads)))


@pytest.mark.skipif(not 2 <= len(CORES) <= 8, reason="this test needs two to eight cores")
def test_as_many_processes_as_cores_keep_to_one_core_each(rig: Rig) -> None:
    """With all of their threads, also after a new start; the parent may use each core."""
    with serve(rig.simulator) as url, worker(rig, url, REFUNDS_PROCESSES="auto") as program:
        wait_until(_is_up(rig, len(CORES)))
        children = child_pids(program.pid)
        assert sorted(map(_cores, children)) == [[core] for core in CORES]
        before = _working(rig)
        os.kill(children[0], signal.SIGKILL)
        wait_until(lambda: _working(rig) - before)
        assert sorted(map(_cores, child_pids(program.pid))) == [[core] for core in CORES]
        assert _cores(program.pid) == CORES


def test_other_numbers_of_processes_use_any_core(rig: Rig) -> None:
    """Another program may keep to the same one."""
    count = str(len(CORES) + 1)
    with serve(rig.simulator) as url, worker(rig, url, REFUNDS_PROCESSES=count) as program:
        wait_until(_is_up(rig, len(CORES) + 1))
        assert all(_cores(pid) == CORES for pid in child_pids(program.pid))


def test_a_vault_key_that_opens_no_store_ends_all_processes(rig: Rig) -> None:
    """A new start would find the same."""
    sealed = Vault([new_key()]).seal(Credentials(STORE_ID, "a", KEY))
    rig.redis.zadd(rig.key("stores"), {STORE_ID: 1})
    rig.redis.hset(rig.key("store", STORE_ID), "sealed", sealed)
    given = {"REFUNDS_STORES": "{}", "REFUNDS_VAULT_KEYS": new_key(), "REFUNDS_PROCESSES": "2"}
    with worker(rig, "http://127.0.0.1:1", **given) as program:
        _, log = program.communicate(timeout=PATIENCE_S)
    assert program.returncode == 1
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert ("doctor.refused" in events, "worker.child_ended" in events) == (True, False)


def test_children_end_when_their_parent_was_killed(rig: Rig) -> None:
    """No orphaned process continues to move money."""
    with serve(rig.simulator) as url, worker(rig, url, REFUNDS_PROCESSES="2") as program:
        wait_until(_is_up(rig, 2))
        os.kill(program.pid, signal.SIGKILL)
        _, log = program.communicate(timeout=PATIENCE_S)
    assert [json.loads(x)["event"] for x in log.splitlines()].count("worker.stopped") == 2


def test_a_start_without_settings_is_refused_with_the_variables_name() -> None:
    """The exit code is 2, and each problem is one line."""
    done = run_program(WORKER, {"REFUNDS_THREADS": "x"})
    assert done.returncode == 2
    assert "REFUNDS_REDIS_URL is not set" in done.stderr
    assert "REFUNDS_THREADS is invalid" in done.stderr


def _count_waiting(listener: socket.socket) -> int:
    """Return how many connections were opened that nobody has accepted."""
    listener.settimeout(0)
    count = 0
    with suppress(BlockingIOError):
        while True:
            listener.accept()[0].close()
            count += 1
    return count


def test_a_server_that_never_answers_is_reported_soon(rig: Rig) -> None:
    """The first line is logged before the retries of the worker's own client are used up."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        url = f"redis://127.0.0.1:{deaf.getsockname()[1]}/0"
        with worker(rig, "http://127.0.0.1:1", REFUNDS_REDIS_URL=url) as program:
            assert program.stderr is not None
            with deaf.accept()[0]:
                first = json.loads(program.stderr.readline())
            os.kill(program.pid, signal.SIGTERM)
            rest = program.stderr.read()  # unlike `communicate`, with what came along with the line
            program.wait(PATIENCE_S)
        connections = 1 + _count_waiting(deaf)
    assert (first["event"], "does not answer" in first["error"]) == ("worker.redis_lost", True)
    # Each attempt to connect is told, except for one that SIGTERM ended.
    assert connections <= 2 + rest.count("worker.redis_lost")
    assert program.returncode == 0


def test_a_worker_waits_for_redis_and_can_be_stopped_meanwhile(rig: Rig) -> None:
    """It logs what is missing instead of exiting; an unknown variable is reported."""
    unreachable = {"REFUNDS_REDIS_URL": "redis://127.0.0.1:1/0", "REFUNDS_THREAD": "3"}
    with worker(rig, "http://127.0.0.1:1", **unreachable) as program:
        assert program.stderr is not None
        first = [json.loads(program.stderr.readline()) for _ in range(2)]
        os.kill(program.pid, signal.SIGTERM)
        program.communicate(timeout=PATIENCE_S)
    assert [line["event"] for line in first] == ["settings.unknown", "worker.redis_lost"]
    assert first[0]["nearest"] == "REFUNDS_THREADS"
    assert program.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_whose_redis_hangs_ends_within_the_grace_time(
    simulator: Simulator, number: signal.Signals
) -> None:
    """It is not busy with a step, so the exit code is 0; a terminal that is closed ends it, too."""
    with embedded_server() as redis_url:
        rig = Rig(settings_for(redis_url), simulator)
        server = int(rig.redis.info("server")["process_id"])
        with worker(rig, "http://127.0.0.1:1", REFUNDS_GRACE_S="2") as program:
            wait_until(_is_up(rig))
            os.kill(server, signal.SIGSTOP)
            try:
                os.kill(program.pid, number)
                code = program.wait(PATIENCE_S)
            finally:
                os.kill(server, signal.SIGCONT)
        rig.close()
    assert code == 0


def test_children_that_had_not_begun_end_with_0(rig: Rig) -> None:
    """A deploy that is taken back at once is no failure."""
    with worker(rig, "http://127.0.0.1:1", REFUNDS_PROCESSES="3") as program:
        wait_until(lambda: any("--child" in command_line(pid) for pid in child_pids(program.pid)))
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait(PATIENCE_S) == 0


def test_a_worker_starts_even_if_redis_does_not_answer_the_count_for_its_log() -> None:
    """It is working by then; ending it would interrupt its steps."""
    with redis_client("redis://127.0.0.1:1/0", tries=1) as unreachable:
        stores = Stores(
            unreachable, namespace="none", lanes=LaneRules(1, 0), worker_dead_after_ms=1
        )
        assert count_stores((), stores) is None
