"""What Prometheus reads: the figures are right, the same everywhere, and their labels bounded."""

from __future__ import annotations

import http.client
import os
import signal

import pytest

from tests.support.processes import child_pids, wait_until
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from tests.support.scrapes import page_of, scrape
from tests.support.servers import free_port
from tests.support.worker_program import worker
from worker.observability.counts import Counts, added
from worker.observability.events import EVENTS
from worker.operations.metrics.exposition import serve as serve_page
from worker.operations.metrics.of_program import Report
from worker.operations.metrics.table import METRICS
from worker.simulator import serve


def test_figures_of_the_ledger(rig: Rig) -> None:
    """Refunds by state, flow and reason; amounts by currency; where the unfinished ones are."""
    rig.run(rig.order(AFTER))
    rig.run(rig.order(BEFORE))
    waiting = rig.request(rig.order(AFTER))
    rig.request(rig.order(AFTER))
    rig.run_one_step()
    rig.redis.hset(rig.key("quarantine"), "m-1", "{}")
    found = scrape(page_of(rig))
    assert found['refunds_by_state{state="refunded"}'] == 1
    assert found["refunds_accepted_total{}"] == 4
    ended = 'refunds_ended_total{flow="standard",reason="",state="refunded"}'
    assert found[ended] == 1
    assert found['refunds_ended_total{flow="cancellation",reason="",state="cancelled"}'] == 1
    assert found['refunds_amount_total{currency="USD"}'] > 0
    places = ("lane", "later", "in_flight", "on_hold")
    assert sum(found[f'refunds_waiting{{place="{place}"}}'] for place in places) == 2
    assert 0 < found["refunds_oldest_unfinished_seconds{}"] < 60
    assert found["refunds_dead_messages{}"] == 1
    assert found['refunds_workers{condition="alive"}'] == 1
    assert rig.load(waiting).refund_id == waiting


def test_dead_letters_by_reason_and_jobs_that_wait(rig: Rig) -> None:
    """A reason that never occurred is 0, so that an alert sees it rise."""
    rig.simulator.set_flags()
    before = scrape(page_of(rig))
    assert before['refunds_dead_letters{reason="attempts_used_up"}'] == 0
    refund_id = rig.request(rig.order(AFTER), amount="99999.00", currency="USD")
    rig.run_until_idle()
    rig.request(rig.order(AFTER))
    found = scrape(page_of(rig))
    assert found['refunds_queue_length{queue="refunds"}'] == 1
    assert 0 <= found['refunds_queue_oldest_seconds{queue="refunds"}'] < 60
    reason, state = rig.load(refund_id).reason["reason"], rig.load(refund_id).state
    assert found[f'refunds_ended_total{{flow="standard",reason="{reason}",state="{state}"}}'] == 1


def test_every_metric_is_in_the_table_and_no_label_is_an_id(rig: Rig) -> None:
    """Prometheus keeps each combination of labels for ever."""
    rig.run(rig.order(AFTER))
    refund_id = rig.request(rig.order(AFTER))
    text = page_of(rig).answer("/metrics", "")[2].decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}
    # What has not happened in this process has no value yet.
    rare = {"refunds_worker_steps_total", "refunds_worker_step_seconds"}
    rare |= {"refunds_worker_redis_seconds", "refunds_store_lane"}
    assert set(METRICS) - rare <= names <= set(METRICS)
    assert refund_id not in text
    assert STORE_ID not in text


def test_lanes_of_stores_are_told_only_if_that_is_wanted(rig: Rig) -> None:
    """REFUNDS_METRICS_PER_STORE."""
    for _ in range(8):
        rig.request(rig.order(AFTER))
    rig.run_one_step()
    name = f'refunds_store_lane{{store="{STORE_ID}"}}'
    assert name not in scrape(page_of(rig))
    assert scrape(page_of(rig, per_store=True))[name] > 0


def test_a_ledger_that_does_not_answer_leaves_the_figures_of_the_program(rig: Rig) -> None:
    """No figure is invented."""
    found = scrape(page_of(rig, url="redis://127.0.0.1:1/0"))
    assert found["refunds_ledger_up{}"] == 0
    assert "refunds_overdue{}" not in found
    assert found["refunds_worker_processes{}"] == 1


def test_workers_that_died_do_not_look_alive(rig: Rig) -> None:
    """Also when nobody is left to tick the ledger's clock."""
    rig.ledger.wake_due(rig.broker.broker_id, lead_ms=1)
    for name in ("last_ms", "reconciled_ms"):
        rig.redis.hincrbyfloat(rig.key("clock"), name, -120_000)
    rig.redis.zincrby(rig.key("workers"), -120_000, rig.broker.broker_id)
    found = scrape(page_of(rig))
    assert found['refunds_workers{condition="alive"}'] == 0
    assert found['refunds_workers{condition="silent"}'] == 1
    assert 119 < found["refunds_scheduler_lag_seconds{}"] < 180


def test_what_a_process_counts() -> None:
    """Steps and calls by what became of them; what children counted is added up."""
    counts = Counts()
    counts.saw_event("step.done", {"transition": "assess_order", "duration_ms": 80})
    counts.saw_event("worker.started", {})
    counts.saw_call("get_order", "503", 0.3)
    both = added([counts.snapshot(), counts.snapshot()])
    assert both["refunds_worker_steps_total\x1fassess_order\x1fdone"] == [2]
    assert both["refunds_worker_events_total\x1fworker.started"] == [2]
    classes = both["refunds_worker_wix_call_seconds\x1fget_order"]
    assert classes[3] == 2
    assert classes[-1] == pytest.approx(0.6)


def _ask(port: int, path: str) -> tuple[int, str]:
    """Return status and text; 0 as long as nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


def test_probes_over_http(rig: Rig) -> None:
    """200 or 503, and nothing else is there."""
    server = serve_page(page_of(rig, report=Report({}, is_ready=False)), "127.0.0.1", 0)
    port = server.server_address[1]
    assert _ask(port, "/healthz") == (200, '{"ok": true, "processes": 1, "fine": 1}\n')
    assert [_ask(port, path)[0] for path in ("/readyz", "/", "/metrics?x")] == [503, 404, 200]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("processes", [1, 2])
def test_one_port_for_all_processes(rig: Rig, processes: int) -> None:
    """Figures of all children are added up, and do not fall back when one is killed."""
    port = free_port()
    more = {"REFUNDS_METRICS_PORT": str(port), "REFUNDS_PROCESSES": str(processes)}
    with serve(rig.simulator) as url, worker(rig, url, **more) as program:
        wait_until(lambda: f'"fine": {processes}' in _ask(port, "/readyz")[1])
        refund_id = rig.request(rig.order(BEFORE))
        wait_until(lambda: (r := rig.ledger.load(refund_id)) and r.state == "cancelled")
        name = 'refunds_worker_steps_total{result="done",transition="cancel_order"} 1.0'
        wait_until(lambda: name in _ask(port, "/metrics")[1])
        if processes > 1:
            for pid in child_pids(program.pid):
                os.kill(pid, signal.SIGKILL)
            ended = 'refunds_worker_events_total{event="worker.child_ended"} 2.0'
            wait_until(lambda: ended in _ask(port, "/metrics")[1])
            wait_until(lambda: f'"fine": {processes}' in _ask(port, "/readyz")[1])
            assert name in _ask(port, "/metrics")[1]
        wait_until(lambda: f"refunds_worker_processes {processes}.0" in _ask(port, "/metrics")[1])
        assert '"ok": true' in _ask(port, "/healthz")[1]


def test_every_event_is_counted_from_0(rig: Rig) -> None:
    """A counter that first appears with 1 would never have increased."""
    found = scrape(page_of(rig))
    assert {f'refunds_worker_events_total{{event="{event}"}}' for event in EVENTS} <= set(found)
