"""The composition root: settings in, parts out. Importing it does nothing."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from config.settings import Settings
from worker.actors import declare_actors
from worker.cells.recorded import recorded_cell
from worker.cells.routing import Routes, routes_from
from worker.flows.backlog import Backlog
from worker.flows.reads import RecentReads
from worker.ledger.acts import Acts
from worker.ledger.connection import TRIES, redis_client
from worker.ledger.jobs import Jobs
from worker.ledger.lanes import LaneRules
from worker.ledger.memory import Memory, default_directory
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.counts import Counts
from worker.observability.redaction import register_secrets
from worker.observability.tracing import UNTRACED, Tracer, WixCall
from worker.operations.acts.wix_desk import WixDesk
from worker.operations.fitness import Fitness
from worker.operations.installation import Membership
from worker.operations.jobs.runner import JobRunner
from worker.operations.turns import keep_turn, prober_of
from worker.operations.unconfirmed import COUNTER
from worker.queue.broker import Broker
from worker.queue.middleware import MessageContext, Running
from worker.queue.own_calls import OwnCalls
from worker.queue.threads import Threads
from worker.refund.producers import Producers
from worker.scheduler.heart import Heart
from worker.scheduler.scheduler import Scheduler, Turn, Turns
from worker.scheduler.signs import about, heart_of, seen_by
from worker.steps.clock import boot_id, boottime
from worker.steps.observe import Observer
from worker.steps.retry import RetryPolicy
from worker.steps.runner import Steps
from worker.steps.watch import Watch
from worker.stores.keyring import Keyring
from worker.stores.outages import Outages
from worker.stores.probing import Prober
from worker.stores.vault import Vault
from worker.webhooks.delivering import Deliverer
from worker.webhooks.sending import sender_for
from worker.webhooks.targets import Target, target_of
from worker.wix.client import ClientFactory, Transport, Way


@dataclass(frozen=True, kw_only=True)
class App:
    """The parts of one worker program."""

    settings: Settings
    keyring: Keyring
    stores: Stores
    broker: Broker
    ledger: Ledger
    wix: ClientFactory
    steps: Steps
    watch: Watch
    observer: Observer
    prober: Prober
    jobs: JobRunner
    heart: Heart
    running: Running
    counts: Counts
    fitness: Fitness
    scheduler: Scheduler
    routes: Routes | None

    def worker(self) -> Threads:
        """Return the worker threads on our broker; not started yet."""
        return Threads(self.broker, threads=self.settings.threads)


def _lanes(settings: Settings) -> LaneRules:
    return LaneRules(settings.lane_width, settings.store_calls_per_min, settings.retry_for_s)


def ledger_from(settings: Settings, *, tries: int = TRIES) -> tuple[Broker, Ledger]:
    """Connect to queues and ledger: what a producer or an operator needs."""
    url = settings.redis_url.get_secret_value()
    register_secrets([url])
    client = redis_client(url, namespace=settings.namespace, tries=tries)
    broker = Broker(client, namespace=settings.namespace, middleware=[MessageContext()])
    ledger = Ledger(
        client,
        namespace=settings.namespace,
        lanes=_lanes(settings),
        worker_dead_after_ms=settings.worker_dead_after_ms,
        settle_delay_ms=settings.settle_delay_ms,
        wait_replicas=settings.redis_wait_replicas,
        knows_cells=settings.cells > 1,
    )
    broker.fetch_steps = ledger.fetch
    broker.own_calls = OwnCalls(boottime)
    broker.vouch = ledger.intents.vouch_for(broker.own_calls, broker.broker_id).turn
    ledger.intents.unconfirmed = lambda: broker.meter.add({COUNTER: 1})
    return broker, ledger


def acts_from(settings: Settings, broker: Broker, ledger: Ledger) -> Acts:
    """Return what people can do to refunds and letters."""
    return Acts(
        broker.client,
        ledger,
        namespace=settings.namespace,
        lanes=_lanes(settings),
        worker_dead_after_ms=settings.worker_dead_after_ms,
        settle_delay_ms=settings.settle_delay_ms,
    )


def jobs_from(settings: Settings, broker: Broker, ledger: Ledger) -> Jobs:
    """Return the bulk acts."""
    return Jobs(broker.client, ledger, namespace=settings.namespace, lanes=_lanes(settings))


def membership_from(settings: Settings, client: redis.Redis) -> Membership:
    """Return what compares the ledger with the one that this machine remembers."""
    memory = Memory(settings.state_dir or default_directory(os.environ))
    return Membership(client, settings, memory, recorded_cell(settings))


def stores_from(settings: Settings, broker: Broker) -> Stores:
    """Return the stores, on the broker's connection."""
    return Stores(
        broker.client,
        namespace=settings.namespace,
        lanes=_lanes(settings),
        worker_dead_after_ms=settings.worker_dead_after_ms,
    )


def producers_from(settings: Settings) -> Producers:
    """Return what checks who may send jobs."""
    entries = settings.producer_keys
    register_secrets(key.get_secret_value() for one in entries.values() for key in one.keys)
    return Producers(entries, settings.producer_max_age_s)


def keyring_from(settings: Settings) -> Keyring:
    """Return the keyring: keys from the environment, and the vault that opens the others."""
    keys = settings.vault_keys.get_secret_value().split(",") if settings.vault_keys else []
    return Keyring(settings.stores, Vault(keys) if keys else None)


def way_of(settings: Settings) -> Way:
    """Return how calls to Wix leave the network."""
    proxy = settings.wix_proxy.get_secret_value() if settings.wix_proxy else None
    register_secrets([proxy] if proxy else [])
    return Way(proxy, settings.wix_ca_file)


def wix_from(
    settings: Settings,
    transport: Callable[[], Transport] | None = None,
    seen: Callable[[WixCall], None] = lambda _call: None,
) -> ClientFactory:
    """Return the client of Wix with its timeouts; *transport* replaces the network."""
    return ClientFactory(
        settings.wix_base_url,
        connect_timeout_ms=settings.wix_connect_timeout_ms,
        read_timeout_ms=settings.wix_read_timeout_ms,
        total_timeout_ms=settings.wix_total_timeout_ms,
        transport=transport,
        seen=seen,
        way=way_of(settings),
    )


def targets_from(settings: Settings) -> list[Target]:
    """Return the webhooks; their addresses and secrets are masked from now on."""
    for entry in settings.webhooks.values():
        register_secrets(
            [entry.url.get_secret_value(), *entry.secret.get_secret_value().split(",")]
        )
    return [target_of(name, entry) for name, entry in settings.webhooks.items()]


@dataclass(frozen=True, kw_only=True)
class Seams:
    """What a test replaces: clock, chance, network, and what happens at named points."""

    monotonic: Callable[[], float] = boottime
    random: Callable[[], float] = random.SystemRandom().random
    """Returns random numbers from 0 to 1, without 1."""
    pause: Callable[[float], None] = time.sleep
    """Waits, seconds: between two attempts to commit while Redis is away."""
    transport: Callable[[], Transport] | None = None
    """Makes the transport to Wix; None for the network."""
    checkpoint: Callable[[str], None] = lambda _: None
    """Called with the name of each point of a step."""
    tracer: Tracer = UNTRACED
    """Gets what traces are made of."""


#: Real clocks, chance and network.
REAL = Seams()


def _steps(settings: Settings, seams: Seams, *, ledger: Ledger, **parts: Any) -> Steps:
    return Steps(
        ledger=ledger,
        settings=settings,
        retry=RetryPolicy.from_settings(settings),
        random=seams.random,
        checkpoint=seams.checkpoint,
        pause=seams.pause,
        monotonic=seams.monotonic,
        tracer=seams.tracer,
        recent=RecentReads(seams.monotonic),
        backlog=Backlog(seams.monotonic, ledger.waiting_orders),
        **parts,
    )


def deliverers_from(settings: Settings, ledger: Ledger, seams: Seams = REAL) -> list[Deliverer]:
    """Return what delivers to each webhook."""
    return [
        Deliverer(target, sender_for(target), ledger.webhooks, seams.random)
        for target in targets_from(settings)
    ]


def _webhook_turns(settings: Settings, ledger: Ledger, seams: Seams) -> dict[str, Turn]:
    return {one.name: one.turn for one in deliverers_from(settings, ledger, seams)}


def _job_runner(desk: WixDesk, broker: Broker) -> JobRunner:
    """Return what does bulk acts."""
    return JobRunner(
        acts=acts_from(desk.settings, broker, desk.ledger),
        jobs=jobs_from(desk.settings, broker, desk.ledger),
        desk=desk,
    )


def _scheduler(
    settings: Settings, seams: Seams, broker: Broker, ledger: Ledger, prober: Prober, turns: Turns
) -> Scheduler:
    """Return the background threads."""
    clock = seams.monotonic
    return Scheduler(broker, ledger, prober, settings, clock, boot_id(), turns=turns)


def build(settings: Settings, seams: Seams = REAL) -> App:
    """Put a worker together."""
    (broker, ledger), running, counts = ledger_from(settings), Running(), Counts()
    keyring, stores = keyring_from(settings), stores_from(settings, broker)
    wix = wix_from(settings, seams.transport, seen=seen_by(broker, running, counts, seams.tracer))
    broker.about = about(settings, running)
    heart = heart_of(settings, broker, running, counts)
    steps = _steps(settings, seams, ledger=ledger, keyring=keyring, stores=stores, wix=wix)
    outages = Outages(circuit=ledger.circuit, stores=stores, keyring=keyring, wix=wix)
    desk = WixDesk(keyring=keyring, ledger=ledger, stores=stores, wix=wix, settings=settings)
    jobs = _job_runner(desk, broker)
    watch = Watch(watched=ledger.watched, keyring=keyring, wix=wix, settings=settings)
    observer = Observer(stores=ledger.observed, records=ledger, keyring=keyring, wix=wix)
    routes = routes_from(settings, broker)
    declare_actors(broker, ledger, steps, producers_from(settings), settings.webhooks, routes)
    prober = prober_of(desk)
    keep = keep_turn(ledger, settings, seams.monotonic)
    hooks = _webhook_turns(settings, ledger, seams)
    fitness = Fitness(broker.client, settings.redis_wait_replicas, settings.namespace)
    beat, fit = heart.beat, fitness.turn
    turns = Turns(watch.turn, observer.turn, outages.turn, jobs.turn, keep, hooks, beat, fit)
    return App(
        settings=settings,
        keyring=keyring,
        stores=stores,
        broker=broker,
        ledger=ledger,
        wix=wix,
        steps=steps,
        watch=watch,
        observer=observer,
        prober=prober,
        jobs=jobs,
        heart=heart,
        running=running,
        counts=counts,
        fitness=fitness,
        routes=routes,
        scheduler=_scheduler(settings, seams, broker, ledger, prober, turns),
    )
