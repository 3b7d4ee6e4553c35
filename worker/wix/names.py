"""Resolve host names within a time limit.

`socket.getaddrinfo()` has no timeout: if the name server does not answer it blocks for ten seconds
or more, beyond the total timeout of a call.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

import httpcore

#: Takes a host, a port and a limit in seconds; returns at least one address.
Resolve = Callable[[str, int, float], list[str]]
#: The result of the resolver thread.
Answer = list[str] | OSError


def resolve(
    host: str,
    port: int,
    limit_s: float,
    *,
    look_up: Callable[[str, int], list[str]] | None = None,
) -> list[str]:
    """Return the addresses of *host*, in the order in which they should be tried.

    Raises:
        httpcore.ConnectTimeout: the name server did not answer in time.
        httpcore.ConnectError: the name does not exist, or the name server refuses.
    """
    answers: SimpleQueue[Answer] = SimpleQueue()

    def work() -> None:
        try:
            answers.put((look_up or _look_up)(host, port))
        except OSError as error:
            answers.put(error)

    # In a thread, because nothing can interrupt the C library. It ends when the library gives up.
    threading.Thread(target=work, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=limit_s)
    except Empty:
        raise httpcore.ConnectTimeout(f"the name server did not answer for {host}") from None
    if isinstance(answer, OSError):
        raise httpcore.ConnectError(str(answer)) from None
    return answer


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
