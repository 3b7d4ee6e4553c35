"""Find the primary: ask Sentinel, or the nodes of a Redis Cluster.

A locator is asked each time that a connection is opened, and Sentinel also while connections are
open. All keys of one namespace are in one slot of a cluster, so one primary has them all, as with
Sentinel.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.retry import Retry
from redis.sentinel import Sentinel

Node = tuple[str, int]

#: How long one node may take to say where the primary is; the next one is asked then.
ANSWER_S = 1.0
#: How often Sentinel is asked while connections are open. After `SENTINEL FAILOVER` the old primary
#: goes on for about ten seconds, and forgets then what it was told.
ASK_AGAIN_S = 2.0
#: Options of a connection that also apply to the questions.
_TLS = "ssl_"


class Locator:
    """Says where the primary is, and remembers it."""

    name: str
    """Names the place for people, without a password, the same before and after a failover."""

    def __init__(self) -> None:
        #: Where the last connection was opened.
        self.current: Node | None = None

    def find(self) -> Node:
        """Return host and port of the primary.

        Raises:
            redis.ConnectionError: nobody knows it at present.
        """
        self.current = self._ask()
        return self.current

    def _ask(self) -> Node:
        raise NotImplementedError

    def keep_up(self) -> None:
        """Find out, from time to time, whether open connections lead to a server of the past."""

    def moved(self, answer: str) -> None:
        """Note where a node says that the keys are: "SLOT HOST:PORT"."""


def _quick(options: Mapping[str, Any], *, tls: bool) -> dict[str, Any]:
    return {
        "ssl": tls,
        "decode_responses": True,
        "socket_timeout": ANSWER_S,
        "socket_connect_timeout": ANSWER_S,
        "retry": Retry(NoBackoff(), 0),
        **{name: value for name, value in options.items() if name.startswith(_TLS)},
    }


class _Sentinels(Sentinel):
    """Keeps the epoch of the last answer, which grows with each failover."""

    epoch = 0

    def check_master_state(self, state: Any, service_name: str) -> bool:
        """Return whether the answer can be used."""
        self.epoch = int(state.get("config-epoch", 0))
        return bool(super().check_master_state(state, service_name))  # type: ignore[no-untyped-call]  # redis-py's


class SentinelLocator(Locator):
    """Asks Sentinels for the primary of a service."""

    def __init__(
        self,
        nodes: Sequence[Node],
        service: str,
        login: Mapping[str, Any],
        *,
        tls: bool,
        **options: Any,
    ) -> None:
        super().__init__()
        self._service = service
        self.name = f"{service} at the Sentinels {_listed(nodes)}"
        self._sentinel: Any = _Sentinels(  # type: ignore[no-untyped-call]  # redis-py's
            nodes, sentinel_kwargs={**_quick(options, tls=tls), **login}
        )
        self._asking = threading.Lock()
        self._ask_again_s = 0.0
        #: The epoch of the answer that named the present primary.
        self._epoch = 0

    def find(self) -> Node:
        """Return host and port of the primary."""
        found = super().find()
        self._epoch = self._sentinel.epoch
        return found

    def keep_up(self) -> None:
        """Ask again, one thread at a time, if the last answer is old.

        A Sentinel that was away, and still names an earlier primary, is not followed.
        """
        if time.monotonic() < self._ask_again_s or not self._asking.acquire(blocking=False):
            return
        began_s = time.monotonic()
        try:
            with contextlib.suppress(redis.RedisError, OSError):
                found = self._ask()
                if self._sentinel.epoch >= self._epoch:
                    self.current, self._epoch = found, self._sentinel.epoch
        finally:
            now_s = time.monotonic()
            # Sentinels that do not answer must not hold up the work.
            self._ask_again_s = now_s + max(ASK_AGAIN_S, 10 * (now_s - began_s))
            self._asking.release()

    def _ask(self) -> Node:
        host, port = self._sentinel.discover_master(self._service)
        return str(host), int(port)


class ClusterLocator(Locator):
    """Asks nodes of a cluster which of them holds a key."""

    def __init__(self, nodes: Sequence[Node], key: str, *, tls: bool, **options: Any) -> None:
        super().__init__()
        self._slot = key_slot(key.encode())
        self._nodes = list(nodes)
        self.name = f"the cluster of {_listed(nodes)}"
        login: dict[str, Any] = {
            name: options[name] for name in ("username", "password") if name in options
        }
        self._options = {**_quick(options, tls=tls), **login}
        #: Where a node has just said that the keys are.
        self._hint: Node | None = None

    def moved(self, answer: str) -> None:
        """Note where a node says that the keys are: "SLOT HOST:PORT"."""
        host, _, port = answer.rpartition(" ")[2].rpartition(":")
        if host and port.isdigit():
            self._hint = host, int(port)

    def _ask(self) -> Node:
        if self._hint:
            found, self._hint = self._hint, None
            return found
        for node in tuple(self._nodes):
            if found_by := self._ask_node(node):
                return found_by
            # Ask it last from now on.
            self._nodes = [*(other for other in self._nodes if other != node), node]
        raise redis.ConnectionError(f"no node says where our keys are: {self.name}")

    def _ask_node(self, node: Node) -> Node | None:
        with contextlib.suppress(redis.RedisError, OSError):
            return self._primary(node)
        return None

    def _primary(self, node: Node) -> Node:
        """Return the primary of our slot, as this node knows it; remember all nodes."""
        with redis.Redis(host=node[0], port=node[1], **self._options) as client:
            # As two words: redis-py's own reading of the answer differs between its versions.
            ranges: Any = client.execute_command("CLUSTER", "SLOTS")
        found: Node | None = None
        for first, last, *holders in ranges:
            hosts = [(str(holder[0] or node[0]), int(holder[1])) for holder in holders]
            self._nodes += [host for host in hosts if host not in self._nodes]
            if int(first) <= self._slot <= int(last):
                found = hosts[0]
        if found is None:
            raise redis.ConnectionError(f"no node of the cluster serves slot {self._slot}")
        return found


def _listed(nodes: Sequence[Node]) -> str:
    return ",".join(f"{host}:{port}" for host, port in sorted(nodes))
