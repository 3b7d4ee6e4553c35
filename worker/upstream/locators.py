"""Find the primary: ask Sentinel, or the nodes of a Redis Cluster.

A locator is asked each time that a connection is opened. All keys of one namespace are in one slot
of a cluster, so one primary has them all, as with Sentinel.
"""

from __future__ import annotations

import contextlib
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
        self._sentinel: Any = Sentinel(  # type: ignore[no-untyped-call]  # redis-py's
            nodes, sentinel_kwargs={**_quick(options, tls=tls), **login}
        )

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
