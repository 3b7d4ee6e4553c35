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
from worker.errors import NoSuchCell, StoreInTwoCells
from worker.ledger.connection import TRIES
from worker.queue.broker import INTAKE, Broker
from worker.queue.jobs import Job
from worker.refund.producers import Signed
from worker.refund.request import RefundRequest
from worker.upstream import wire

if TYPE_CHECKING:
    from redis.commands.core import Script

#: How many times another cell is asked at most: all jobs here wait meanwhile, and these come again.
TRIES_ELSEWHERE = 2

#: A job that is valid, what it asks for, and who signed it.
Valid = tuple[Job, RefundRequest, Signed | None]
#: The cell of a store, or why it is not known.
Place = str | StoreInTwoCells | NoSuchCell | redis.RedisError


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
        #: By cell: what puts messages on its queue.
        self._scripts: dict[str, Script] = {}

    def sort(self, valid: list[Valid]) -> Sorted:
        """Send on the jobs of stores that live elsewhere.

        A cell that is away fails its own jobs, and those of stores that are in no directory yet.

        Raises:
            redis.RedisError: the server of this cell, or the front's, does not answer.
        """
        result, elsewhere = Sorted(), dict[str, list[Valid]]()
        homes = self._homes({request.store_id for _, request, _ in valid})
        repeated = self._known_here([request.refund_id for _, request, _ in valid])
        for each, home in zip(valid, self._checked(valid, homes, repeated), strict=True):
            if isinstance(home, StoreInTwoCells):
                result.in_doubt.append((each, home))
            elif isinstance(home, NoSuchCell | redis.RedisError):
                result.problems.append(home)
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

    def close(self) -> None:
        """Close the connections to other cells."""
        self._clients.close()

    def _homes(self, store_ids: set[str]) -> dict[str, Place]:
        """Return where stores live; the directory is asked each time, since a person may change it.

        If a server does not answer about one of them, it is not asked about the others.
        """
        homes: dict[str, Place] = {}
        if self._cell == FRONT:
            homes |= self._directory.all_known(store_ids)
        else:
            # What a cell itself has recorded is right, also if the directory has lost it.
            homes |= dict.fromkeys(self._directory.living_in(self._cell, store_ids), self._cell)
        unknown = store_ids - homes.keys()
        problem = self._lacking() if unknown else None
        for store_id in unknown:
            homes[store_id] = found = problem or self._find(store_id)
            if isinstance(found, redis.ConnectionError | redis.TimeoutError):
                problem = found
        return homes

    def _lacking(self) -> redis.RedisError | None:
        """Return why a store that is not known here cannot be found: a cell hangs.

        The front asks all cells, and a cell asks the front.
        """
        hanging = self._clients.hanging()
        asked = hanging - {FRONT} if self._cell == FRONT else hanging & {FRONT}
        return _hangs(min(asked)) if asked else None

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
        homes: Mapping[str, Place],
        repeated: set[str],
    ) -> Iterator[Place | None]:
        """Yield the cell of each job, None if its id is that of a refund in another one.

        The front compares the ids of all cells.
        """
        held: dict[str, dict[str, str]] = {}
        cells: tuple[str, ...] = ()
        if self._cell == FRONT:
            # It may have forgotten how many there are: then an old worker would accept everything.
            cells = all_cells(self._directory.grow())[1:]
            new = {request.refund_id for _, request, _ in valid} - repeated
            held = holders(self._clients, cells, new)
        for _, request, _ in valid:
            home = homes[request.store_id]
            if request.refund_id in repeated:
                yield self._cell
            elif not isinstance(home, str):
                yield home
            elif cells and home not in (FRONT, *cells):
                # Nobody would take it from that queue.
                yield NoSuchCell(request.store_id, home)
            else:
                yield checked_home(request.store_id, home, held.get(request.refund_id, {}))

    def _find(self, store_id: str) -> Place:
        """Return the cell of a store that is not known here; it may be this one."""
        try:
            home = self._directory.home(store_id)
            is_here = home == self._cell != FRONT
            return self._directory.settle(store_id) if is_here else home
        except (StoreInTwoCells, redis.RedisError) as error:
            return error

    def _send(self, jobs: Iterable[Job], cell: str) -> None:
        """Put messages on the queue of another cell as they came, then acknowledge them here."""
        if cell in self._clients.hanging():
            raise _hangs(cell)
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
            with self._clients.watched(cell):
                self._enqueue(cell)(keys=keys, args=flat)
        self._broker.command("ack_all", INTAKE, ids=list(by_id))

    def _enqueue(self, cell: str) -> Script:
        if cell not in self._scripts:
            self._scripts[cell] = self._clients.of(cell).register_script(wire.ENQUEUE_LUA)
        return self._scripts[cell]


def _hangs(cell: str) -> redis.RedisError:
    return redis.TimeoutError(f"cell {cell} did not answer a moment ago")


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
    known = {own: broker.client}
    clients, directory = directory_from(settings, known, tries=TRIES_ELSEWHERE)
    return Routes(own, broker, directory, clients)
