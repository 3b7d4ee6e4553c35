"""Background threads: heartbeat, due times, lost refunds, probes, outages, looks at what is done.

They keep nothing in memory that a crash would lose: due times are in the ledger.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import redis
from dramatiq.errors import ConnectionClosed

from config.settings import Settings
from worker.errors import OtherLedger
from worker.ledger.refunds import Ledger
from worker.observability.events import log_event
from worker.queue.broker import Broker
from worker.queue.server_errors import explain
from worker.scheduler.requeue import LaneHealer, log_requeued, requeue_lost
from worker.stores.probing import Prober

#: Minimum pause between two looks for suspended stores that are due for a probe.
PROBE_TICK_MS = 1_000
#: Pause between two looks whether Wix is down for most stores.
OUTAGE_TICK_MS = 1_000
#: Minimum pause between two looks for refunds, and for stores, that are due to be looked at.
WATCH_TICK_MS = 1_000
#: Pause between two looks for outcomes that are to be delivered to a webhook.
WEBHOOK_TICK_MS = 250
#: Pause between two pieces of work on the lists for finding.
INDEX_TICK_MS = 250
#: Pause between two pieces of work on what has been kept long enough.
KEEP_TICK_MS = 1_000
#: Pause between two looks whether the server is still fit.
FITNESS_TICK_MS = 60_000
#: How long to wait for a thread at the end; one that waits for Wix only reads there.
JOIN_S = 2.0


#: Is called again and again, with a function that says whether the worker stops.
Turn = Callable[[Callable[[], bool]], None]


@dataclass(frozen=True)
class Turns:
    """What the threads do, beside what is done in the ledger alone."""

    watch: Turn
    """Looks at finished refunds; every worker does."""
    observe: Turn
    """Looks at what merchants do themselves; every worker does."""
    outages: Turn
    """Looks whether Wix is down for most stores."""
    jobs: Turn
    """Does the items of bulk acts that are due."""
    keep: Turn
    """Archives and forgets finished refunds, and trims outcomes, that were kept long enough."""
    webhooks: Mapping[str, Turn]
    """Delivers outcomes to each webhook, by its name; every worker tries."""
    beat: Callable[[], None] | None = None
    """Writes the heartbeat, if not the broker alone does."""
    fitness: Callable[[], None] = lambda: None
    """Looks whether the server is still fit."""


class Scheduler:
    """Runs the threads: started with the worker, stopped after its last step."""

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        prober: Prober,
        settings: Settings,
        monotonic: Callable[[], float],
        boot_id: str,
        *,
        turns: Turns,
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._prober = prober
        self._settings = settings
        self._stop = threading.Event()
        self._leads = False
        #: Whether this worker has led since its last look for probes.
        self._has_probed = False
        self._monotonic = monotonic
        self._boot_id = boot_id
        self._turns = turns
        self._healer = LaneHealer(ledger, monotonic)
        self._threads = [
            threading.Thread(target=self._every, args=(ms, turn), name=name, daemon=True)
            for name, ms, turn in (*self._work(), *self._deliveries())
        ]

    def _work(self) -> Iterator[tuple[str, int, Callable[[], object]]]:
        """Yield the name of each thread, its pause, and what it does."""
        settings = self._settings
        yield "heart", settings.worker_beat_ms, self.beat
        yield "clock", settings.schedule_tick_ms, self.wake
        yield "reconcile", settings.reconcile_every_ms, self.requeue_lost
        yield "index", INDEX_TICK_MS, self.reindex
        # A thread of its own: a slow Wix must not delay what is due.
        yield "probe", min(PROBE_TICK_MS, settings.probe_first_ms), self.probe
        yield "outages", OUTAGE_TICK_MS, self.look_for_outages
        yield "jobs", settings.schedule_tick_ms, self.do_jobs
        yield "keep", KEEP_TICK_MS, self.keep
        yield "fitness", FITNESS_TICK_MS, self._turns.fitness
        # Of each worker: looks at finished refunds take no thread from the steps.
        yield "watch", WATCH_TICK_MS, lambda: self._turns.watch(self._stop.is_set)
        yield "observe", WATCH_TICK_MS, lambda: self._turns.observe(self._stop.is_set)

    def _deliveries(self) -> Iterator[tuple[str, int, Callable[[], object]]]:
        for name, turn in self._turns.webhooks.items():
            yield f"webhook-{name}", WEBHOOK_TICK_MS, partial(turn, self._stop.is_set)

    def beat(self) -> None:
        """Write one heartbeat, before anything is fetched.

        Raises:
            ConnectionClosed: Redis did not answer.
        """
        (self._turns.beat or self._broker.beat)()

    def start(self) -> None:
        """Start all threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End all threads."""
        self._stop.set()
        until = time.monotonic() + JOIN_S
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        # A thread may have been handed a refund when it had to stop. Without Redis, another worker
        # finds it.
        with contextlib.suppress(redis.RedisError, OtherLedger, ConnectionClosed):
            self.give_back(0)
            for turn in self._turns.webhooks.values():
                turn(self._stop.is_set)  # it only lets another worker deliver
            self._broker.leave()

    def wake(self) -> None:
        """If this worker leads, wake what is due, and tick the ledger's clock."""
        lead_ms = max(self._settings.worker_dead_after_ms // 2, 3 * self._settings.schedule_tick_ms)
        woken = self._ledger.wake_due(
            self._broker.broker_id,
            lead_ms=lead_ms,
            boot_id=self._boot_id,
            boot_ms=round(self._monotonic() * 1000),
        )
        self._leads = woken.leads
        if woken.stepped_ms:
            log_event("worker.clock_stepped", by_ms=woken.stepped_ms)

    def requeue_lost(self) -> None:
        """If this worker leads, reclaim dead workers' messages and requeue lost refunds.

        Each worker gives back what it was handed and does not run.
        """
        self.give_back()
        if not self._leads:
            return
        lost = self._broker.reclaim(self._settings.worker_dead_after_ms)
        if lost:
            log_event("worker.reclaimed", workers=lost)
        self._healer.turn()
        requeue_lost(self._ledger)

    def reindex(self) -> None:
        """If this worker leads, list the next few refunds that older versions did not list."""
        if self._leads:
            self._ledger.reindexing.turn()

    def give_back(self, older_than_ms: int | None = None) -> None:
        """Give back refunds that were handed to this worker, and that no thread runs."""
        worker_id, running = self._broker.broker_id, tuple(self._broker.executions)
        log_requeued(
            self._ledger.give_back(worker_id, running=running, older_than_ms=older_than_ms)
        )

    def probe(self) -> None:
        """If this worker leads, ask Wix again about suspended stores."""
        if self._leads and not self._has_probed:
            self._prober.ask_soon()
        self._has_probed = self._leads
        if self._leads:
            self._prober.turn(self._stop.is_set)

    def look_for_outages(self) -> None:
        """If this worker leads, look whether Wix is down for most stores."""
        if self._leads:
            self._turns.outages(self._stop.is_set)

    def do_jobs(self) -> None:
        """If this worker leads, do what is due of the bulk acts."""
        if self._leads:
            self._turns.jobs(self._stop.is_set)

    def keep(self) -> None:
        """If this worker leads, archive and forget what has been kept long enough."""
        if self._leads:
            self._turns.keep(self._stop.is_set)

    def _every(self, period_ms: int, turn: Callable[[], object]) -> None:
        is_lost = False
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                turn()
                is_lost = False
            except (redis.RedisError, ConnectionClosed) as error:
                if not is_lost:
                    log_event("worker.redis_lost", error=explain(error))
                is_lost = True
            except OtherLedger:
                pass  # the program logs it once, and stops
            except Exception as bug:  # noqa: BLE001 - a thread must not end silently
                log_event(
                    "worker.bug", error=type(bug).__name__, thread=threading.current_thread().name
                )
            spent_s = time.monotonic() - started
            self._stop.wait(max(0.01, period_ms / 1000 - spent_s))
