"""A simulated Wix for the chaos run: calls fail, and some are carried out late."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from tests.support.dark_link import Link, dark_link
from worker.simulator import Fault, Flags, Simulator, serve
from worker.simulator.contract.routes import MUTATING

#: Not the link of the tests: they would wait for the end of the run.
LINK = 1
#: How Wix may change the text that carries our fingerprint; each run has one of these.
REASON_TEXTS: tuple[Literal["kept", "upper", "spaced"], ...] = ("kept", "upper", "spaced")
LATE = "committed 2.5 s later"
#: How a call fails. A slow one takes effect after the worker has given it up.
WRONGS: Mapping[str, Fault] = {
    "429": Fault("status", status=429, retry_after_s=1),
    "500": Fault("status", status=500),
    "503": Fault("status", status=503),
    "504 after commit": Fault("lost_reply"),
    "cut before": Fault("drop"),
    "cut after commit": Fault("drop_after"),
    LATE: Fault("slow", slow_ms=2_500),
    "committed 4 s later": Fault("slow", slow_ms=4_000),
    "garbage": Fault("garbage"),
}


#: How Wix behaves where that is unknown. Reads without the token are half a second old, and the
#: provider needs time, too.
FLAGS = Flags(provider_ms=300, authorization_ms=300, stale_ms=500, consistent_token=True)


@dataclass
class StormySimulator(Simulator):
    """A simulated Wix of which every tenth call fails.

    The nth call about an order has the same fault in every run of a seed, whatever the timing.
    """

    seed: int = 0
    is_calm: bool = False
    accidents: int = 0
    """While Redis has some, every mutating call is carried out late: they seldom come alone."""
    wrongs: Counter[str] = field(default_factory=Counter)
    _visits: Counter[str] = field(default_factory=Counter)

    def take_fault(self, endpoint: str, order_id: str) -> Fault | None:
        """Return a fault for every tenth call."""
        with self.lock:
            visit = f"{endpoint}/{order_id}"
            self._visits[visit] += 1
            chance = random.Random(f"{self.seed}/{visit}/{self._visits[visit]}")  # noqa: S311 - repeatable
            if self.accidents and endpoint in MUTATING:
                name = LATE
            elif self.is_calm or chance.random() >= 0.1:
                return None
            else:
                name = chance.choice(sorted(WRONGS))
            self.wrongs[name] += 1
        return WRONGS[name]

    @contextmanager
    def sluggish(self) -> Iterator[None]:
        """Carry out every mutating call late as long as this lasts."""
        with self.lock:
            self.accidents += 1
        try:
            yield
        finally:
            with self.lock:
                self.accidents -= 1

    def change_reasons(self) -> None:
        """Change the text with our fingerprint from now on, if the seed says so."""
        self.set_flags(reason_text=REASON_TEXTS[self.seed % len(REASON_TEXTS)])

    def calm_down(self) -> None:
        """Stop all faults and stale reads."""
        self.is_calm = True
        self.set_flags(stale_ms=0)


@contextmanager
def served(simulator: Simulator, *, is_far: bool) -> Iterator[tuple[str, Link | None]]:
    """Serve the simulator here, or behind a link that can be cut; yields its URL and the link."""
    if not is_far:
        with serve(simulator) as url:
            yield url, None
        return
    with dark_link(LINK) as link:
        serving = serve(simulator, host=link.far)
        yield link.call(serving.__enter__), link
        serving.__exit__(None, None, None)
