"""The composition root: settings in, a worker's parts out. Nothing here happens at import."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import dramatiq

from config.settings import Settings
from worker.actors import declare_actors
from worker.ledger.connection import redis_client
from worker.ledger.lanes import LaneRules
from worker.ledger.refunds import Ledger
from worker.ledger.stores import Stores
from worker.observability.redaction import register_secrets
from worker.queue.broker import Broker
from worker.queue.middleware import MessageContext
from worker.scheduler.heart import Heart
from worker.scheduler.scheduler import Scheduler
from worker.steps.clock import boottime
from worker.steps.retry import RetryPolicy
from worker.steps.runner import Steps
from worker.steps.watch import Watch
from worker.stores.keyring import Keyring
from worker.stores.probing import Prober
from worker.stores.vault import Vault
from worker.wix.client import ClientFactory


@dataclass(frozen=True, kw_only=True)
class App:
    """The parts of one worker program."""

    settings: Settings
    keyring: Keyring
    stores: Stores
    broker: Broker
    ledger: Ledger
    scheduler: Scheduler

    def worker(self) -> dramatiq.Worker:
        """The worker threads on our broker; not yet started."""
        return dramatiq.Worker(
            self.broker, worker_threads=self.settings.threads, worker_timeout=100
        )


def _lanes(settings: Settings) -> LaneRules:
    return LaneRules(settings.lane_width, settings.store_calls_per_min)


def ledger_from(settings: Settings) -> tuple[Broker, Ledger]:
    """Connect to queues and ledger: all that a producer or an operator needs."""
    url = settings.redis_url.get_secret_value()
    register_secrets([url])
    client = redis_client(url)
    broker = Broker(client, namespace=settings.namespace, middleware=[MessageContext()])
    ledger = Ledger(
        client,
        namespace=settings.namespace,
        lanes=_lanes(settings),
        worker_dead_after_ms=settings.worker_dead_after_ms,
    )
    return broker, ledger


def stores_from(settings: Settings, broker: Broker) -> Stores:
    """What is known of stores, on the broker's connection."""
    return Stores(
        broker.client,
        namespace=settings.namespace,
        lanes=_lanes(settings),
        worker_dead_after_ms=settings.worker_dead_after_ms,
    )


def keyring_from(settings: Settings) -> Keyring:
    """The keys of the environment, and what opens those of the vault."""
    keys = settings.vault_keys.get_secret_value().split(",") if settings.vault_keys else []
    return Keyring(settings.stores, Vault(keys) if keys else None)


def wix_from(settings: Settings) -> ClientFactory:
    """The client of Wix with its timeouts."""
    return ClientFactory(
        settings.wix_base_url,
        connect_timeout_ms=settings.wix_connect_timeout_ms,
        read_timeout_ms=settings.wix_read_timeout_ms,
        total_timeout_ms=settings.wix_total_timeout_ms,
    )


def build(settings: Settings, *, checkpoint: Callable[[str], None] = lambda _: None) -> App:
    """Put a worker together; *checkpoint* is called at each named point of a step."""
    broker, ledger = ledger_from(settings)
    keyring, stores = keyring_from(settings), stores_from(settings, broker)
    heart = Heart(broker.beat, dead_after_ms=settings.worker_dead_after_ms, monotonic=boottime)
    wix = wix_from(settings)
    steps = Steps(
        ledger=ledger,
        keyring=keyring,
        stores=stores,
        wix=wix,
        settings=settings,
        retry=RetryPolicy(
            first_ms=settings.retry_first_ms,
            cap_ms=settings.retry_cap_ms,
            for_s=settings.retry_for_s,
            attempts=settings.retry_attempts,
        ),
        random=random.SystemRandom().random,
        is_surely_alive=heart.is_surely_alive,
        checkpoint=checkpoint,
    )
    watch = Watch(ledger=ledger, keyring=keyring, stores=stores, wix=wix, settings=settings)
    declare_actors(broker, ledger, steps, watch)
    prober = Prober(stores=stores, keyring=keyring, wix=wix, settings=settings)
    return App(
        settings=settings,
        keyring=keyring,
        stores=stores,
        broker=broker,
        ledger=ledger,
        scheduler=Scheduler(broker, ledger, heart, prober, settings),
    )
