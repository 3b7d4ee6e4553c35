"""What is sent to Wix and what comes back: the interface between the calls and the network."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import httpx

#: Maximum size of an answer; Wix's answers are far smaller.
MAX_BODY_BYTES = 5_000_000
#: The headers of an answer that are read.
KEPT_HEADERS = frozenset({"x-wix-request-id", "x-wix-consistent", "retry-after", "content-type"})
_KEPT = {name.encode(): name for name in KEPT_HEADERS}


class Asked(NamedTuple):
    """A request."""

    method: str
    path: str
    """With the query, quoted; it follows the base URL."""
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes


class Answer(Protocol):
    """An answer, read completely."""

    @property
    def status_code(self) -> int:
        """The HTTP status."""

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers that are read, by their names in lower case."""

    @property
    def content(self) -> bytes:
        """The body, decompressed."""


class Read(NamedTuple):
    """An answer that was read."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


#: Scheme, host and port.
Origin = tuple[str, str, int]


class Place(NamedTuple):
    """Where Wix is, and how long a call may take."""

    base_url: str
    origin: Origin
    host: bytes
    """What the header `Host` says."""
    prefix: bytes
    """The path of the base URL."""
    timeouts_s: Mapping[str, float]
    """Limits of each wait, by httpx's names."""
    total_s: float
    """The total timeout of a call."""


def place_of(base_url: str, timeouts_s: Mapping[str, float], total_s: float) -> Place:
    """Return where calls to this address go."""
    url = httpx.URL(base_url)
    port = url.port or (443 if url.scheme == "https" else 80)
    prefix = httpx.URL(f"{base_url}/x").raw_path.removesuffix(b"/x")
    origin = (url.scheme, url.raw_host.decode(), port)
    return Place(base_url, origin, url.netloc, prefix, timeouts_s, total_s)


def as_asked(request: httpx.Request, total_s: float) -> tuple[Asked, Place]:
    """Return what a request of httpx's asks, and where it goes."""
    url = request.url
    base = f"{url.scheme}://{url.netloc.decode()}"
    place = place_of(base, request.extensions.get("timeout", {}), total_s)
    headers = tuple((bytes(name), bytes(text)) for name, text in request.headers.raw)
    return Asked(request.method, url.raw_path.decode("ascii"), headers, request.read()), place


class Exchange(Protocol):
    """Makes calls. Threads may share it; it raises httpx's errors."""

    def exchange(self, asked: Asked, place: Place) -> Answer:
        """Send a request and read the answer."""

    def close(self) -> None:
        """Close the idle connections."""


class OverHttpx:
    """Makes calls by a transport of httpx's, in the place of our own connections."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport

    def exchange(self, asked: Asked, place: Place) -> Answer:
        """Send a request and read the answer."""
        request = httpx.Request(
            asked.method,
            place.base_url + asked.path,
            headers=list(asked.headers),
            stream=httpx.ByteStream(asked.content),
            extensions={"timeout": place.timeouts_s, "total_s": place.total_s},
        )
        return read(self._transport.handle_request(request), place.total_s)

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()


def read(response: httpx.Response, total_s: float) -> Read:
    """Read an answer, but not beyond the total timeout.

    A transport limits each wait. The check here is for a server that keeps sending, so that there
    is nothing to wait for.
    """
    until = time.monotonic() + total_s
    content = bytearray()
    try:
        for chunk in response.iter_bytes():
            content += chunk
            if time.monotonic() > until or len(content) > MAX_BODY_BYTES:
                raise httpx.ReadTimeout("the answer took longer than the total timeout")
    finally:
        response.close()
    headers = ((name.lower(), text) for name, text in response.headers.items())
    kept = _kept((name, text) for name, text in headers if name in KEPT_HEADERS)
    return Read(response.status_code, kept, bytes(content))


def answer_from(status: int, headers: Sequence[tuple[bytes, bytes]], content: bytes) -> Read:
    """Return the answer with these headers, whose names are in lower case, and this body."""
    texts = [(_KEPT[name], text.decode("latin-1")) for name, text in headers if name in _KEPT]
    return Read(status, _kept(texts), content)


def _kept(headers: Iterable[tuple[str, str]]) -> Mapping[str, str]:
    kept: dict[str, str] = {}
    for name, text in headers:
        kept[name] = f"{kept[name]}, {text}" if name in kept else text
    return kept
