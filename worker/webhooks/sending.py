"""One POST to a webhook: at most ten seconds, no redirect, no address of a private network."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from worker.webhooks.targets import Target
from worker.wix.deadline import DeadlineTransport
from worker.wix.names import Resolve, resolve

#: How long a delivery may take, from the name to the headers of the answer.
TOTAL_S = 10.0
#: How much is read of an answer, so that its connection can be used again.
MOST_READ = 16_384
#: The longest pause that an answer may ask for.
LONGEST_PAUSE_MS = 3_600_000
#: Where public IPv6 addresses are; all other ones are for special purposes, or not given out yet.
_GLOBAL = ipaddress.IPv6Network("2000::/3")
#: Networks for examples only, which Python 3.11 does not know yet.
_EXAMPLES = ipaddress.IPv6Network("3fff::/20")
#: Networks that lead to IPv4 addresses, and how many bits come after these.
_EMBEDDING = {"64:ff9b::/96": 0, "2002::/16": 80}


class PrivateAddress(Exception):
    """The name leads to an address that is not of the public internet."""


class Answer(NamedTuple):
    """What came back."""

    status: int
    """The HTTP status; 0 if there was no answer."""
    error: str = ""
    """Why it counts as failed, "" if it does not."""
    retry_after_ms: int = 0

    @property
    def is_ok(self) -> bool:
        """Whether the event was taken."""
        return 200 <= self.status < 300


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet, also inside of an IPv6 address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return is_public(str(found.ipv4_mapped))
        for network, shift in _EMBEDDING.items():
            if found in ipaddress.ip_network(network):
                inner = ipaddress.IPv4Address((int(found) >> shift) & 0xFFFFFFFF)
                return is_public(str(inner))
        if found not in _GLOBAL or found in _EXAMPLES:
            return False
    return found.is_global and not found.is_multicast


@dataclass(frozen=True)
class Sender:
    """Sends to one webhook; connections are kept between two deliveries."""

    transport: httpx.BaseTransport
    url: str = field(repr=False)

    def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one event."""
        request = httpx.Request(
            "POST",
            self.url,
            headers={"user-agent": "wix-refund-worker", "accept": "*/*", **headers},
            content=body,
            extensions={"total_s": TOTAL_S, "timeout": {}},
        )
        try:
            response = self.transport.handle_request(request)
        except PrivateAddress:
            return Answer(0, "its name leads to an address that is not public")
        except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
            # The text may repeat the address, which may hold a secret.
            return Answer(0, f"no answer ({type(error).__name__})")
        _read(response)
        return _judged(response)

    def close(self) -> None:
        """Close the connections that are kept."""
        self.transport.close()


def sender_for(
    target: Target, names: Resolve = resolve, tls: ssl.SSLContext | None = None
) -> Sender:
    """Return the sender of a webhook. Each address is checked right before it is connected to."""
    checked = names if target.allow_private else _public(names)
    transport = DeadlineTransport(round(TOTAL_S * 1000), resolve=checked, tls=tls, resets=False)
    return Sender(transport, target.url)


def _public(names: Resolve) -> Resolve:
    def checked(host: str, port: int, limit_s: float) -> list[str]:
        found = [address for address in names(host, port, limit_s) if is_public(address)]
        if not found:
            raise PrivateAddress
        return found

    return checked


def _read(response: httpx.Response) -> None:
    """Read a short answer to its end; of a long one only the beginning.

    Its status has said all: a body that is slow or broken only costs the connection.
    """
    read = 0
    with suppress(httpx.HTTPError, httpx.StreamError, OSError, ValueError), closing(response):
        for chunk in response.iter_raw():
            read += len(chunk)
            if read > MOST_READ:
                return


def _judged(response: httpx.Response) -> Answer:
    status = response.status_code
    if 200 <= status < 300:
        return Answer(status)
    error = f"HTTP {status}" + (", a redirect, is not followed" if 300 <= status < 400 else "")
    after = response.headers.get("retry-after", "")
    seconds = int(after) if after.isascii() and after.isdigit() and len(after) < 7 else 0
    return Answer(status, error, min(seconds * 1000, LONGEST_PAUSE_MS))


#: Makes the sender of a webhook; tests replace it.
MakeSender = Callable[[Target], Sender]
