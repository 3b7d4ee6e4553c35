"""What Prometheus reads, and what probes ask: /metrics, /healthz and /readyz on one port."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import redis
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from worker.observability.counts import Snapshot
from worker.operations.metrics.of_cells import CellMetrics
from worker.operations.metrics.of_ledger import LedgerMetrics, Sample
from worker.operations.metrics.of_program import (
    Histogram,
    Report,
    program_histograms,
    program_samples,
)
from worker.operations.metrics.table import METRICS

#: How long a client may take to ask.
SLOWEST_S = 5.0
_FAMILIES: Any = {"gauge": GaugeMetricFamily, "counter": CounterMetricFamily}

#: Returns what each process says, and what those counted that have ended.
Look = Callable[[], tuple[Sequence[Report], Snapshot]]


class Page:
    """What is answered to each path."""

    def __init__(self, look: Look, ledger: LedgerMetrics | CellMetrics) -> None:
        self._look = look
        self._ledger = ledger
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(_Collected(self._families))

    def answer(self, path: str, accept: str) -> tuple[int, str, bytes]:
        """Return the HTTP status, the type of the content, and the content."""
        if path == "/metrics":
            encode, kind = choose_encoder(accept)
            return 200, kind, encode(self._registry)
        if path not in {"/healthz", "/readyz"}:
            return 404, "text/plain", b"/metrics, /healthz and /readyz are here\n"
        reports, _ = self._look()
        field = "is_healthy" if path == "/healthz" else "is_ready"
        flags = [bool(getattr(report, field)) for report in reports]
        is_fine = bool(flags) and all(flags)
        text = json.dumps({"ok": is_fine, "processes": len(flags), "fine": sum(flags)})
        return 200 if is_fine else 503, "application/json", f"{text}\n".encode()

    def _families(self) -> Iterator[Any]:
        reports, ended = self._look()
        yield from families([*program_samples(reports, ended), *self._of_ledger()])
        yield from histogram_families(program_histograms(reports, ended))

    def _of_ledger(self) -> list[Sample]:
        try:
            return self._ledger.samples()
        except redis.RedisError:
            return [Sample("refunds_ledger_up", 0)]


class _Collected(Collector):
    """Asks at each scrape."""

    def __init__(self, collect: Callable[[], Iterable[Any]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Any]:
        """Return the metrics."""
        return self._collect()


def families(samples: Iterable[Sample]) -> Iterator[Any]:
    """Group values by metric, as prometheus-client writes them."""
    made: dict[str, Any] = {}
    for name, value, labels in samples:
        metric = METRICS[name]
        if name not in made:
            made[name] = _FAMILIES[metric.kind](name, metric.meaning, labels=metric.labels)
        made[name].add_metric(labels, value)
    yield from made.values()


def histogram_families(histograms: Iterable[Histogram]) -> Iterator[Any]:
    """Group histograms by metric."""
    made: dict[str, Any] = {}
    for name, labels, buckets, total in histograms:
        metric = METRICS[name]
        if name not in made:
            made[name] = HistogramMetricFamily(name, metric.meaning, labels=metric.labels)
        made[name].add_metric(labels, buckets, total)
    yield from made.values()


def serve(page: Page, host: str, port: int) -> ThreadingHTTPServer:
    """Answer in threads of its own, until the program ends.

    Raises:
        OSError: the port cannot be had.
    """

    class Handler(BaseHTTPRequestHandler):
        """Answers one request."""

        timeout = SLOWEST_S

        def do_GET(self) -> None:
            """Answer with the page."""
            path = self.path.partition("?")[0]
            status, kind, content = page.answer(path, self.headers.get("Accept", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Log nothing: each probe would be a line."""

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
