"""Alert rules and dashboard: what they name exists, and each alert fires when it should."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.house.documents import ROOT
from tests.support.processes import wait_until
from tests.support.rig import AFTER, Rig
from tests.support.scrapes import Series, page_of, scrape
from worker.observability.events import log_event, observe
from worker.operations.metrics.of_program import Report
from worker.operations.metrics.relay import Reports
from worker.operations.metrics.table import METRICS
from worker.process.reporting import report_of

FOLDER = ROOT / "worker" / "observability"
RULES = (FOLDER / "alerts.yml").read_text()
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
ALERTS = re.findall(r"- alert: (\w+)", RULES)

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian package prometheus)"
)


def _named(expression: str) -> set[str]:
    found = set(re.findall(r"\brefunds_\w+", expression))
    return {re.sub(r"_(bucket|count|sum)$", "", name) for name in found}


def test_every_metric_that_is_named_exists() -> None:
    """In the rules and in the dashboard; and each metric is in one of them."""
    panels = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    rules = re.findall(r"expr: >-\n\s+(.*)", RULES)
    named = {name for text in (*panels, *rules) for name in _named(text)}
    assert named <= set(METRICS)
    assert len(rules) == len(ALERTS)
    unused = {"refunds_worker_info", "refunds_worker_processes", "refunds_by_state"}
    assert set(METRICS) - named <= unused | {
        "refunds_store_lane",
        "refunds_dead_letter_oldest_seconds",
    }


def test_every_alert_links_to_its_section_of_the_runbook() -> None:
    """The section exists."""
    text = (ROOT / "worker" / "operations" / "README.md").read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"runbook: worker/operations/README.md#(\S+)", RULES)
    assert len(links) == len(ALERTS)
    assert set(links) <= anchors


def _dead(rig: Rig, count: int) -> None:
    for number in range(count):
        rig.redis.hincrby(rig.key("dead_groups", "reason"), "attempts_used_up", 1)
        rig.redis.zadd(rig.key("dead"), {f"rf-{number}": 1})


def _clock(rig: Rig, name: str, by_ms: int) -> None:
    rig.redis.hincrbyfloat(rig.key("clock"), name, -by_ms)


def _old_job(rig: Rig) -> None:
    rig.request(rig.order(AFTER))
    message_id = rig.redis.lindex(rig.key("refunds"), 0)
    message = json.loads(rig.redis.hget(rig.key("refunds.msgs"), message_id))
    message["message_timestamp"] -= 1_000_000
    rig.redis.hset(rig.key("refunds.msgs"), message_id, json.dumps(message))


def _overdue(rig: Rig) -> None:
    rig.redis.zadd(rig.key("due"), {"rf-1": 1})


def _old_refund(rig: Rig) -> None:
    rig.redis.zadd(rig.key("state", "refund_submitted"), {"rf-1": 1})


def _failing_calls(rig: Rig) -> None:
    for _ in range(500):
        rig.app.counts.saw_call("get_order", "503", 0.1)


#: What happens in each incident.
INCIDENTS: dict[str, Callable[[Rig], object]] = {
    "RefundsSchedulerLate": lambda rig: _clock(rig, "last_ms", 200_000),
    "RefundsOverdue": _overdue,
    "RefundsReconcileLate": lambda rig: _clock(rig, "reconciled_ms", 900_000),
    "RefundsIntakeSlow": _old_job,
    "RefundsDeadLetters": lambda rig: _dead(rig, 1),
    "RefundsDeadLettersRise": lambda rig: _dead(rig, 40),
    "RefundsDeadMessages": lambda rig: rig.redis.hset(rig.key("quarantine"), "m-1", "{}"),
    "RefundsStoreSuspended": lambda rig: rig.redis.zadd(rig.key("probes"), {"s-1": 1}),
    "RefundsWixOutage": lambda rig: rig.redis.hset(rig.key("outage"), "since_ms", 1),
    "RefundsWixErrors": _failing_calls,
    "RefundsUnfinishedTooLong": _old_refund,
    "RefundsPaidTwice": lambda _: log_event("refund.overpaid"),
    "RefundsReversed": lambda _: log_event("refund.reversed"),
    "RefundsWorkerBug": lambda _: log_event("worker.bug"),
    "RefundsApprovalsWait": lambda rig: rig.redis.zadd(rig.key("approvals"), {"rf-1": 1}),
    "RefundsLogDropped": lambda rig: rig.app.counts.count("refunds_worker_log_lines_dropped_total"),
}


def _quiet(rig: Rig) -> Series:
    """Return what is scraped while all is well."""
    rig.run(rig.order(AFTER))
    for status in ["200"] * 100 + ["503"]:
        rig.app.counts.saw_call("get_order", status, 0.1)
    rig.ledger.wake_due(rig.broker.broker_id, lead_ms=1)
    rig.broker.reclaim(10_000)
    return scrape(page_of(rig))


def _incident(alert: str, rig: Rig, quiet: Series) -> Series:
    """Let it happen, and return what is scraped then."""
    report = report_of(rig.app, threading.Event(), None)
    if alert == "RefundsNoWorker":
        return {}
    if alert == "RefundsLedgerDown":
        return scrape(page_of(rig, url="redis://127.0.0.1:1/0"))
    if alert == "RefundsHeartSilent":
        return scrape(page_of(rig, report=Report(report.counts, silent_s=200.0)))
    if alert == "RefundsRedisFull":
        used = quiet["refunds_redis_memory_bytes{}"]
        return quiet | {"refunds_redis_memory_limit_bytes{}": used * 1.1}
    INCIDENTS[alert](rig)
    return scrape(page_of(rig))


def _series(quiet: Series, incident: Series) -> list[dict[str, str]]:
    """Return the quiet values for half an hour, and then those of the incident for two hours."""
    series = []
    for name in sorted({*quiet, *incident}):
        if "_bucket{" in name:
            continue
        labelled = name[:-1] + (',instance="a"}' if not name.endswith("{}") else 'instance="a"}')
        before, after = (str(given[name]) if name in given else "" for given in (quiet, incident))
        values = [f"{before}+0x29" if before else "_x30", f"{after}+0x120" if after else "_x121"]
        series.append({"series": labelled, "values": " ".join(values)})
    return series


def _firing(path: Path, tests: list[tuple[list[dict[str, str]], dict[str, list[str]]]]) -> None:
    """Let promtool check which alerts fire: by minute, their names."""
    cases: list[dict[str, Any]] = []
    for series, expected in tests:
        checks = [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": moment,
                "exp_samples": [
                    {"labels": f'{{alertname="{name}"}}', "value": 1} for name in names
                ],
            }
            for moment, names in expected.items()
        ]
        cases.append({"interval": "1m", "input_series": series, "promql_expr_test": checks})
    (path / "alerts.yml").write_text(RULES)
    # JSON is YAML.
    text = json.dumps({"rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": cases})
    (path / "test.yml").write_text(text)
    done = subprocess.run(
        [str(PROMTOOL), "test", "rules", "test.yml"],
        cwd=path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_reads_the_rules() -> None:
    """And finds nothing wrong with them, nor with what is scraped."""
    command = [str(PROMTOOL), "check", "rules", str(FOLDER / "alerts.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_metrics(rig: Rig) -> None:
    """Names, units and help texts are as Prometheus wants them."""
    rig.run(rig.order(AFTER))
    text = page_of(rig).answer("/metrics", "")[2]
    done = subprocess.run(
        [str(PROMTOOL), "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


@needs_promtool
def test_a_quiet_hour_is_silent(rig: Rig, tmp_path: Path) -> None:
    """No alert fires, nor is one pending at its end."""
    observe(rig.app.counts.saw_event)
    quiet = _quiet(rig)
    _firing(tmp_path, [(_series(quiet, quiet), {"20m": [], "1h": [], "2h": []})])


#: When it fires, if not after 12 minutes: some wait longer, some look back at a few minutes only.
WHEN = {
    "RefundsUnfinishedTooLong": "100m",
    "RefundsApprovalsWait": "100m",
    "RefundsDeadLetters": "60m",
    "RefundsDeadMessages": "60m",
    "RefundsDeadLettersRise": "36m",
    "RefundsWixErrors": "37m",
}


@needs_promtool
@pytest.mark.parametrize("alert", ALERTS)
def test_each_alert_fires_in_its_incident(rig: Rig, tmp_path: Path, alert: str) -> None:
    """It was silent before."""
    observe(rig.app.counts.saw_event)
    quiet = _quiet(rig)
    series = _series(quiet, _incident(alert, rig, quiet))
    _firing(tmp_path, [(series, {"29m": [], WHEN.get(alert, "42m"): [alert]})])


def _of_a_stopped_child(report: Report, stopped_s: float) -> Report:
    """Return what a parent says of a child whose last report was this one, so long ago."""
    now_s = [0.0]
    reports = Reports(lambda: now_s[0])
    reads, writes = os.pipe()
    with os.fdopen(writes, "w") as pipe:
        reports.listen(reads)
        print(json.dumps(report.fields()), file=pipe, flush=True)
        wait_until(lambda: reports.look()[0] == [report])
        now_s[0] += stopped_s
        [found], _ = reports.look()
    return found


@needs_promtool
def test_a_child_that_is_stopped_sends_no_heartbeat(rig: Rig, tmp_path: Path) -> None:
    """Its last report cannot say so; its parent does, also while other children work."""
    observe(rig.app.counts.saw_event)
    quiet = _quiet(rig)
    last = report_of(rig.app, threading.Event(), None)._replace(silent_s=0.5)
    incident = scrape(page_of(rig, report=_of_a_stopped_child(last, 200.0)))
    assert incident["refunds_worker_heartbeat_age_seconds{}"] == 200.5
    _firing(tmp_path, [(_series(quiet, incident), {"29m": [], "42m": ["RefundsHeartSilent"]})])


def test_a_child_that_has_sent_no_heartbeat_yet_is_not_late() -> None:
    """It waits for Redis, or has just started."""
    assert _of_a_stopped_child(Report({}, threads=1), 10.0).silent_s is None


@needs_promtool
def test_a_worker_that_ends_at_each_start_is_noticed(tmp_path: Path) -> None:
    """It is scraped now and then, so it is never absent for long, and wakes nothing."""
    at_start = "stale {0} stale stale {1} stale {2} "
    lag = "".join(at_start.format(n, n + 180, n + 300) for n in range(120, 3_600, 420))
    info = "".join(at_start.format(1, 1, 1) for _ in range(9))
    series = [
        {"series": 'refunds_scheduler_lag_seconds{instance="a"}', "values": f"0x29 {lag}"},
        {"series": 'refunds_worker_info{instance="a"}', "values": f"1x29 {info}"},
    ]
    _firing(tmp_path, [(series, {"29m": [], "42m": ["RefundsSchedulerLate"]})])
