"""The servers of a chaos run: one, or two that share the cells."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from tests.chaos.servers import Servers
from tests.chaos.signpost import Signpost
from tests.chaos.steppable import step_clock

#: The namespaces of each server, by the number of cells at the end of the run. The front shares its
#: server with a cell: an accident takes the last second of both.
_SPREAD = {1: [["{}"]], 3: [["{}", "{}:0"], ["{}:1", "{}:2"]]}


class Nodes:
    """Servers, each with its replica."""

    def __init__(self, place: Path, namespace: str, cells: int) -> None:
        self._all = {
            Servers(place / f"node-{number}"): [name.format(namespace) for name in names]
            for number, names in enumerate(_SPREAD[cells])
        }
        self._signpost: Signpost | None = None

    def start(self) -> None:
        """Start all."""
        for servers in self._all:
            servers.start()
        self.front_url = next(iter(self._all)).url
        """Leads to the server of the front; the older version knows no other address."""
        self.url = self.front_url
        """Leads to all of them."""
        if len(self._all) > 1:
            ports = {name: one.port for one, names in self._all.items() for name in names}
            self._signpost = Signpost(ports)
            self.url = self._signpost.url

    def end(self) -> None:
        """End all."""
        if self._signpost:
            self._signpost.close()
        for servers in self._all:
            servers.end()

    def struck(self, size: float) -> Sequence[Servers]:
        """Return those that an accident of this *size* strikes: one of them, or all at once."""
        every = list(self._all)
        choices = [[one] for one in every] + ([every] if len(every) > 1 else [])
        return choices[int(size * len(choices))]

    def strike(self, size: float, accident: Callable[[Servers], None]) -> None:
        """Let it have an accident; if several have it, at once.

        Raises:
            RuntimeError: it could not happen everywhere, so the run does not count.
        """
        failed: list[Exception] = []

        def strike_one(servers: Servers) -> None:
            try:
                accident(servers)
            except Exception as error:  # noqa: BLE001 - raised below, in the thread of the run
                failed.append(error)

        threads = [threading.Thread(target=strike_one, args=(one,)) for one in self.struck(size)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failed:
            raise RuntimeError("an accident could not happen") from failed[0]

    def step(self, size: float, by_s: int) -> None:
        """Step the clock of a server, or of all."""
        for servers in self.struck(size):
            with servers.lock, redis.Redis.from_url(servers.url) as client:
                for namespace in self._all[servers]:
                    step_clock(client, f"{{{namespace}}}", by_s)
