"""The rate limit of the sign-in: who failed too often waits."""

from __future__ import annotations

import ipaddress
from collections import deque
from collections.abc import Callable

from starlette.requests import Request

#: So many failures within this time, then nobody with this address can sign in.
MOST_FAILURES, WINDOW_S = 10, 60
#: Addresses that are remembered; the one that failed least recently is forgotten first.
MOST_ADDRESSES = 10_000


class Attempts:
    """Failed sign-ins by address. A token cannot be guessed; this spares the log and the CPU."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._failed: dict[str, deque[float]] = {}

    def wait_s(self, address: str) -> int:
        """Return how long this address has to wait, 0 if it need not."""
        failed = self._recent(address)
        if len(failed) < MOST_FAILURES:
            return 0
        return max(1, round(failed[0] + WINDOW_S - self._now_s()))

    def note_failure(self, address: str) -> None:
        """Count a failure."""
        failed = self._recent(address)
        failed.append(self._now_s())
        self._failed.pop(address, None)
        self._failed[address] = failed
        if len(self._failed) > MOST_ADDRESSES:
            del self._failed[next(iter(self._failed))]

    def _recent(self, address: str) -> deque[float]:
        failed = self._failed.get(address) or deque(maxlen=MOST_FAILURES)
        while failed and failed[0] <= self._now_s() - WINDOW_S:
            failed.popleft()
        return failed


def address_of(request: Request, *, behind_proxy: bool) -> str:
    """Return where a request comes from; of IPv6 the network, which one machine has for itself.

    A server on `::` sees IPv4 addresses written as IPv6: they are no network of one machine.

    Of `X-Forwarded-For` only the last address counts: the proxy in front has added it.
    """
    peer = request.client.host if request.client else ""
    forwarded = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
    for given in (forwarded if behind_proxy else "", peer):
        try:
            address = ipaddress.ip_address(given)
        except ValueError:
            continue
        if address.version == 4:
            return str(address)
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return "unknown"
