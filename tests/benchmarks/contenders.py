"""Who is measured: our worker, the queues that people would use instead, and the floor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.benchmarks.peers.calls import order_id
from tests.benchmarks.world import ROOT, Group, World
from worker.client import RefundClient

KEY = "IST.bench-key.aaaabbbb.ccccdddd"
PROCESSES, THREADS = 2, 8
#: Our refunds belong to these stores in turn. There are so many that no limit of a single store
#: counts, and that no store has so many refunds waiting that they share a read.
STORES = tuple(f"4b296c48-0000-4000-8000-{number:012d}" for number in range(400))
#: Where `make bench` installs the peers.
PEERS = ROOT / ".venv-bench" / "bin" / "python"
PEER = "tests.benchmarks.peers"


@dataclass(frozen=True)
class Size:
    """How a contender is run, the same for all."""

    calls: int
    """Of one refund; the fourth one refunds."""
    processes: int = PROCESSES
    threads: int = THREADS

    @property
    def after(self) -> int:
        """The number of calls after the refund call."""
        return max(0, self.calls - 4)


class Contender:
    """One that is measured; subclasses say how to start it and how to send orders to it."""

    name = ""

    def start(self, world: World, size: Size) -> Group:
        """Start its programs."""
        raise NotImplementedError

    def send(self, world: World, group: Group, series: int, count: int) -> None:
        """Send the orders of a series."""
        raise NotImplementedError


class Ours(Contender):
    """Our worker with its default settings, except that a store's calls are not limited."""

    name = "ours"

    def __init__(self, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        self._settings = settings

    def start(self, world: World, size: Size) -> Group:
        """Start `python -m worker`."""
        stores = {store: {"account_id": "a", "api_key": KEY} for store in STORES}
        environ = {
            "REFUNDS_REDIS_URL": world.redis_url,
            "REFUNDS_WIX_BASE_URL": world.wix_url,
            "REFUNDS_STORES": json.dumps(stores),
            "REFUNDS_STATE_DIR": str(world.folder / "state" / os.urandom(4).hex()),
            "REFUNDS_PROCESSES": str(size.processes),
            "REFUNDS_THREADS": str(size.threads),
            "REFUNDS_STORE_CALLS_PER_MIN": "0",
        }
        command = [sys.executable, "-m", "worker"]
        return Group([command], environ | dict(self._settings), world.folder)

    def send(self, world: World, group: Group, series: int, count: int) -> None:  # noqa: ARG002 - one interface
        """Send the jobs, one store after the other."""
        client = RefundClient(world.redis_url)
        for number in range(count):
            send_one(client, STORES[number % len(STORES)], order_id(series, number))


def send_one(client: RefundClient, store_id: str, order: str) -> None:
    """Send one job; its refund has the id of its order."""
    client.request(refund_id=order, store_id=store_id, order_id=order, reason="damaged")


class Floor(Contender):
    """Threads without a queue."""

    name = "floor"

    def start(self, world: World, size: Size) -> Group:
        """Start a program per process."""
        command = [sys.executable, "-m", f"{PEER}.floor"]
        return Group([command] * size.processes, environ_of(world, size), world.folder)

    def send(self, world: World, group: Group, series: int, count: int) -> None:  # noqa: ARG002 - one interface
        """Divide the orders among the programs."""
        for number in range(count):
            self.send_one(group, order_id(series, number), number)
        for program in group.programs:
            assert program.stdin is not None
            program.stdin.flush()

    @staticmethod
    def send_one(group: Group, order: str, number: int) -> None:
        """Write an order to the standard input of one of the programs."""
        stdin = group.programs[number % len(group.programs)].stdin
        assert stdin is not None
        stdin.write(f"{order}\n".encode())


class Peer(Contender):
    """A queue from PyPI, in its natural configuration."""

    def __init__(
        self, name: str, module: str, needs: str, commands: Callable[[Size], Sequence[str]]
    ) -> None:
        self.name = name
        self.needs = needs
        self._module = f"{PEER}.{module}"
        self._commands = commands

    def start(self, world: World, size: Size) -> Group:
        """Start its own worker program."""
        lines = [line.format(module=self._module) for line in self._commands(size)]
        commands = [[self.python(), "-m", *line.split()] for line in lines]
        return Group(commands, environ_of(world, size), world.folder)

    def send(self, world: World, group: Group, series: int, count: int) -> None:  # noqa: ARG002 - one interface
        """Let a program of the peer send the orders, in its own way."""
        subprocess.run(
            [self.python(), "-m", self._module, str(series), str(count)],
            env={**os.environ, **environ_of(world, Size(calls=0))},
            cwd=ROOT,
            check=True,
        )

    def python(self) -> str:
        """Return the Python that has the peer installed."""
        return str(PEERS) if PEERS.exists() else sys.executable

    def is_installed(self) -> bool:
        """Whether the peer can be imported."""
        found = subprocess.run(
            [self.python(), "-c", f"import {self.needs}"], capture_output=True, check=False
        )
        return found.returncode == 0


def environ_of(world: World, size: Size) -> dict[str, str]:
    """Return what the programs in `peers` read from the environment."""
    return {
        "BENCH_REDIS_URL": world.redis_url,
        "BENCH_WIX_URL": world.wix_url,
        "BENCH_CALLS": str(size.calls),
        "BENCH_THREADS": str(size.threads),
        "BENCH_DBOS_URL": f"sqlite:///{Path(world.folder) / 'dbos.sqlite'}",
    }


PLAIN = Peer(
    "plain_dramatiq",
    "plain_dramatiq",
    "dramatiq",
    lambda s: [f"dramatiq {{module}} --processes {s.processes} --threads {s.threads}"],
)
TASKIQ = Peer(
    "taskiq",
    "taskiq_chain",
    "taskiq_redis",
    lambda s: [
        f"taskiq worker {{module}}:broker --workers {s.processes} --max-async-tasks {s.threads}"
    ],
)
SAQ = Peer("saq", "saq_chain", "saq", lambda s: ["saq {module}.settings"] * s.processes)
CELERY = Peer(
    "celery",
    "celery_chain",
    "celery",
    lambda s: [
        f"celery -A {{module}} worker --pool threads --concurrency {s.threads} -n {n}@bench"
        for n in range(s.processes)
    ],
)
DBOS = Peer("dbos", "dbos_chain", "dbos", lambda s: ["{module}"] * s.processes)
#: Everybody; ours is compared with each.
CONTENDERS: tuple[Contender, ...] = (Ours(), Floor(), PLAIN, TASKIQ, SAQ, CELERY, DBOS)
