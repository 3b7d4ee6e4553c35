"""Scrapes of a rig, as Prometheus would read them, and as input of `promtool test rules`."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from prometheus_client.parser import text_string_to_metric_families

from tests.support.rig import Rig
from worker.ledger.connection import redis_client
from worker.operations.metrics.exposition import Page
from worker.operations.metrics.of_ledger import LedgerMetrics
from worker.operations.metrics.of_program import Report
from worker.process.reporting import report_of

#: The name of a metric with its labels, as in an expression.
Series = dict[str, float]


def page_of(
    rig: Rig, *, url: str = "", per_store: bool = False, report: Report | None = None
) -> Page:
    """Return the page of a program with one process; its ledger is at *url*."""
    client = redis_client(url, tries=1, timeout_s=1) if url else rig.broker.client
    ledger = LedgerMetrics(
        client, rig.settings.namespace, dead_after_ms=10_000, per_store=per_store
    )
    return Page(lambda: ([report or report_of(rig.app, threading.Event(), None)], {}), ledger)


def scrape(page: Page) -> Series:
    """Return the values of a page, by the name with its labels."""
    status, kind, content = page.answer("/metrics", "")
    assert (status, kind.split(";")[0]) == (200, "text/plain")
    return dict(_series(content.decode()))


def _series(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            yield f"{sample.name}{{{labels}}}", sample.value
