"""What a chaos run does to the workers, their Redis and their link to Wix."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

from tests.chaos.crew import Crew
from tests.chaos.nodes import Nodes
from tests.chaos.plan import CELLS, NUMBERS_OF_CELLS
from tests.chaos.report import OLDER_KILL
from tests.chaos.servers import Servers
from tests.chaos.stormy_wix import StormySimulator
from tests.chaos.upstream import Upstream
from tests.support.dark_link import Link

HOUR_S = 3_600
#: How long a blackout lasts: some outlast the settle delay. A kernel that kept a call would deliver
#: it after such a one, when the worker has looked already.
BLACKOUT_S = (0.5, 12.0)
#: When a server crashes after a cell was added: by then most workers know of it.
GROWING_S = 4.0


class Harms:
    """Carries out what the plan says; what takes a while happens in the background."""

    def __init__(
        self,
        crew: Crew,
        nodes: Nodes,
        wix: StormySimulator,
        link: Link | None,
        upstream: Upstream,
        freeze_s: float,
    ) -> None:
        self._crew = crew
        self._nodes = nodes
        self._wix = wix
        self._link = link
        self._upstream = upstream
        self._freeze_s = freeze_s
        self._is_dark = threading.Lock()
        self._grows = threading.Lock()
        self._numbers = iter(NUMBERS_OF_CELLS[1:])
        self._pause = threading.Event()
        self._counted = threading.Lock()
        self._pool = ThreadPoolExecutor(32)
        self._running: list[Future[None]] = []
        self.counts: Counter[str] = Counter()
        self._does: Mapping[str, Callable[[float], object]] = {
            "deploy": lambda _: crew.start(),
            "retire": lambda _: self._retire(),
            "kill": self._kill,
            "restart": lambda size: self._shake(size, lambda one: one.restart(signal.SIGTERM)),
            "server_kill": lambda size: self._shake(size, lambda one: one.restart(signal.SIGKILL)),
            "crash": lambda size: self._shake(size, Servers.crash),
            "failover": lambda size: self._shake(size, Servers.fail_over),
            "step": self._step,
            "blackout": self._black_out,
            "freeze": lambda _: crew.freeze(self._freeze_s, self._pause),
            CELLS: self._grow,
        }

    def begin(self, what: str, size: float) -> None:
        """Begin one action of the plan."""
        self._running.append(self._pool.submit(self._do, what, size))

    def finish(self) -> None:
        """Wait until all have happened.

        Raises:
            Exception: one could not happen, so the run does not count.
        """
        for one in self._running:
            one.result()

    def _do(self, what: str, size: float) -> None:
        self._does[what](size)
        self.count(what)

    def count(self, what: str, number: int = 1) -> None:
        """Count what happened."""
        with self._counted:
            self.counts[what] += number

    def _retire(self) -> None:
        """Stop the older version, which knows our fingerprint only as it was sent."""
        self._crew.retire_older()
        self._wix.change_reasons()

    def _kill(self, size: float) -> None:
        if self._crew.kill(size):
            self.count(OLDER_KILL)

    def _shake(self, size: float, accident: Callable[[Servers], None]) -> None:
        """Let a server have an accident while Wix is slow; then upstream sends its jobs again."""
        with self._wix.sluggish():
            self._nodes.strike(size, accident)
        self.count("jobs sent again", self._upstream.send_again())

    def _step(self, size: float) -> None:
        """Step the clock ahead or back."""
        self._nodes.step(size * 2 % 1, HOUR_S if size < 0.5 else -HOUR_S)

    def _grow(self, size: float) -> None:
        """Add a cell; meanwhile a server forgets what it has just learned of it."""
        with self._grows:
            cells = next(self._numbers)
            growing = threading.Thread(target=self._crew.grow, args=(cells, self._pause))
            growing.start()
            self._pause.wait(size * GROWING_S)
            self._shake(size * 7 % 1, Servers.crash)
            growing.join()

    def _black_out(self, size: float) -> None:
        """Unplug the link to Wix for a while."""
        assert self._link
        shortest, longest = BLACKOUT_S
        with self._is_dark:
            self._link.darken()
            self._pause.wait(shortest + size * (longest - shortest))
            self._link.light()
