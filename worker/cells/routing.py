"""At intake: keep the jobs of the stores that live here, and send the others to their cells.

A job is put on the queue of its cell first, and acknowledged here last. A worker that is killed
between the two sends it a second time, and its cell accepts it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import redis
from dramatiq.errors import ConnectionClosed

from config.settings import Settings
from worker.cells.clients import Clients
from worker.cells.directory import Directory
from worker.cells.names import FRONT, all_cells, cell_of, front_of, namespace_of
from worker.cells.repeats import checked_home, holders
from worker.errors import StoreInTwoCells
from worker.ledger.connection import TRIES
from worker.queue.broker import INTAKE, Broker
from worker.queue.jobs import Job
from worker.refund.producers import Signed
from worker.refund.request import RefundRequest
from worker.upstream import wire

if TYPE_CHECKING:
    from redis.commands.core import Script

#: How many stores the front remembers, so that it need not ask.
REMEMBERED = 100_000

#: A job that is valid, what it asks for, and who signed it.
Valid = tuple[Job, RefundRequest, Signed | None]


@dataclass
class Sorted:
    """What became of the jobs of a batch."""

    own: list[Valid] = field(default_factory=list)
    """The jobs of stores that live here."""
    sent: list[tuple[Valid, str]] = field(default_factory=list)
    """Those that were sent on, and to which cell."""
    taken: list[Valid] = field(default_factory=list)
    """Those whose id is that of a refund in another cell, of another store."""
    in_doubt: list[tuple[Valid, StoreInTwoCells]] = field(default_factory=list)
    """Those of stores of which several cells have refunds."""
    problems: list[Exception] = field(default_factory=list)
    """Why some were not sent: these come again."""


class Routes:
    """Sorts the jobs that come to one cell."""

    def __init__(self, cell: str, broker: Broker, directory: Directory, clients: Clients) -> None:
        self._cell = cell
        self._broker = broker
        self._directory = directory
        self._clients = clients
        #: The front may remember: should it be wrong, the cell sends the job on.
        self._remembered: dict[str, str] = {}
        #: By cell: what puts messages on its queue.
        self._scripts: dict[str, Script] = {}

    def sort(self, valid: list[Valid]) -> Sorted:
        """Send on the jobs of stores that live elsewhere; a cell that is away fails its own alone.

        Raises:
            redis.RedisError: it is not known where a store lives; all jobs come again.
        """
        result, elsewhere = Sorted(), dict[str, list[Valid]]()
        homes = self._homes({request.store_id for _, request, _ in valid})
        repeated = self._known_here([request.refund_id for _, request, _ in valid])
        for each, home in zip(valid, self._checked(valid, homes, repeated), strict=True):
            if isinstance(home, StoreInTwoCells):
                result.in_doubt.append((each, home))
            elif home is None:
                result.taken.append(each)
            elif home == self._cell:
                result.own.append(each)
            else:
                elsewhere.setdefault(home, []).append(each)
        for cell, jobs in elsewhere.items():
            try:
                self._send([job for job, _, _ in jobs], cell)
            except (redis.RedisError, ConnectionClosed) as error:
                result.problems.append(error)
            else:
                result.sent += [(each, cell) for each in jobs]
        return result

    def grow(self) -> None:
        """Record at the front how many cells there are."""
        if self._cell == FRONT:
            self._directory.grow()

    def forget(self, store_id: str) -> None:
        """Ask the directory about a store again."""
        self._remembered.pop(store_id, None)

    def close(self) -> None:
        """Close the connections to other cells."""
        self._clients.close()

    def _homes(self, store_ids: set[str]) -> dict[str, str | StoreInTwoCells]:
        if self._cell == FRONT:
            if len(self._remembered) > REMEMBERED:
                self._remembered.clear()
            homes: dict[str, str | StoreInTwoCells] = {}
            for store_id in store_ids:
                homes[store_id] = found = self._remembered.get(store_id) or self._ask(store_id)
                if isinstance(found, str):
                    self._remembered[store_id] = found
            return homes
        # What a cell itself has recorded is right, also if the directory has lost it.
        here = self._directory.living_in(self._cell, store_ids)
        return {one: self._cell if one in here else self._settle(one) for one in store_ids}

    def _known_here(self, refund_ids: list[str]) -> set[str]:
        """Return the refunds that the front has, or had: a repeat of their jobs is found there.

        What is left of a refund that it has forgotten does not say where its store lives.
        """
        if self._cell != FRONT:
            return set()
        ns = self._broker.namespace
        with self._broker.client.pipeline(transaction=False) as pipe:
            for refund_id in refund_ids:
                pipe.exists(f"{ns}:refund:{refund_id}")
            return {one for one, has in zip(refund_ids, pipe.execute(), strict=True) if has}

    def _checked(
        self,
        valid: list[Valid],
        homes: Mapping[str, str | StoreInTwoCells],
        repeated: set[str],
    ) -> Iterator[str | StoreInTwoCells | None]:
        """Yield the cell of each job, None if its id is that of a refund in another one.

        The front compares the ids of all cells.
        """
        held: dict[str, dict[str, str]] = {}
        if self._cell == FRONT:
            # It may have forgotten how many there are: then an old worker would accept everything.
            cells = all_cells(self._directory.grow())[1:]
            new = {request.refund_id for _, request, _ in valid} - repeated
            held = holders(self._clients, cells, new)
        for _, request, _ in valid:
            home = homes[request.store_id]
            if request.refund_id in repeated:
                yield self._cell
            elif isinstance(home, StoreInTwoCells):
                yield home
            else:
                yield checked_home(request.store_id, home, held.get(request.refund_id, {}))

    def _ask(self, store_id: str, *, settle: bool = False) -> str | StoreInTwoCells:
        look = self._directory.settle if settle else self._directory.home
        try:
            return look(store_id)
        except StoreInTwoCells as error:
            return error

    def _settle(self, store_id: str) -> str | StoreInTwoCells:
        """Return the cell of a store that this cell does not know; it may be this one."""
        home = self._ask(store_id)
        return self._ask(store_id, settle=True) if home == self._cell else home

    def _send(self, jobs: Iterable[Job], cell: str) -> None:
        """Put messages on the queue of another cell as they came, then acknowledge them here."""
        by_id = {job.delivery.message_id: job for job in jobs}
        ns = self._broker.namespace
        texts: Any = self._broker.client.hmget(f"{ns}:{INTAKE}.msgs", list(by_id))
        flat: list[str] = []
        for (message_id, job), text in zip(by_id.items(), texts, strict=True):
            # If it is gone, another worker has taken it over and sent it.
            if text:
                flat += [message_id, str(job.message.message_id), text]
        if flat:
            keys = wire.queue_keys(namespace_of(self._clients.front, cell))
            self._enqueue(cell)(keys=keys, args=flat)
        self._broker.command("ack_all", INTAKE, ids=list(by_id))

    def _enqueue(self, cell: str) -> Script:
        if cell not in self._scripts:
            self._scripts[cell] = self._clients.of(cell).register_script(wire.ENQUEUE_LUA)
        return self._scripts[cell]


def directory_from(
    settings: Settings, known: Mapping[str, redis.Redis], *, tries: int = TRIES
) -> tuple[Clients, Directory]:
    """Return the directory and the clients of the cells, of which some are *known*."""
    front = front_of(settings.namespace)
    clients = Clients(settings.redis_url.get_secret_value(), front, known, tries=tries)
    directory = Directory(
        clients,
        count=settings.cells,
        settle_delay_ms=settings.settle_delay_ms,
        wait_replicas=settings.redis_wait_replicas,
    )
    return clients, directory


def routes_from(settings: Settings, broker: Broker) -> Routes | None:
    """Return what sends jobs to the cells of their stores; None where there is one ledger."""
    if settings.cells == 1:
        return None
    own = cell_of(settings.namespace)
    clients, directory = directory_from(settings, {own: broker.client})
    return Routes(own, broker, directory, clients)
