"""Finds refunds by the lists that the scripts keep (`lua/index.lua`), piece by piece."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import redis

from worker.ledger.lanes import LaneRules
from worker.ledger.reindexing import is_indexed
from worker.ledger.scripts import load_scripts

#: How many refunds one call of a script looks at: some milliseconds of the server's time.
PIECE = 1_000
#: The kinds of lists of dead letters, in the order of the first fields of a card (`lua/index.lua`).
KINDS = ("reason", "code", "store", "transition")


class Match(NamedTuple):
    """A refund that was found."""

    refund_id: str
    at_ms: int
    """When it was accepted, or became a dead letter, unix ms by the server's time."""
    amount: str
    """A decimal, "" if it is not known."""
    currency: str
    cursor: str
    """Where a later search continues."""
    version: int | None = None
    """The version of its record; None for what is no refund."""


class Search:
    """Searches one ledger. Raises redis.RedisError if the server does not answer."""

    def __init__(self, client: redis.Redis, *, namespace: str) -> None:
        self.ns = f"{{{namespace}}}"
        self._redis = client
        names = ("find", "letters")
        self._scripts = load_scripts(client, names, namespace=namespace, lanes=LaneRules(1))

    def smallest(self, lists: list[str]) -> str:
        """Return the list with the fewest refunds."""
        sizes = [self.size(name) for name in lists]
        return lists[sizes.index(min(sizes))]

    def is_complete(self) -> bool:
        """Whether all dead letters are in the lists by kind."""
        return is_indexed(self._redis, self.ns[1:-1])

    def size(self, name: str) -> int:
        """Return how many refunds a list has."""
        return int(self._redis.zcard(f"{self.ns}:{name}"))

    def count(self, name: str, *, since_ms: int = 0, until_ms: int = 0) -> int:
        """Return how many refunds of a list were accepted, or died, in this time."""
        shift_ms = self._shift_ms() if _is_by_ledger(name) else 0
        last: int | str = until_ms - shift_ms if until_ms else "+inf"
        return int(self._redis.zcount(f"{self.ns}:{name}", since_ms - shift_ms, last))

    def _shift_ms(self) -> int:
        """By how much the server's time is ahead of the ledger's clock."""
        return -int(self._redis.hget(f"{self.ns}:clock", "offset_ms") or 0)

    def matches(
        self,
        name: str,
        tests: Mapping[str, str],
        *,
        since_ms: int = 0,
        until_ms: int = 0,
        newest: bool = True,
        after: str = "",
        wants_card: bool = False,
        ids: list[str] | None = None,
    ) -> Iterator[Match]:
        """Yield what matches the tests of `find.lua` in one list; one refund only once.

        With *ids* only these are looked at, in this order.
        """
        score, _, refund_id = after.partition(":")
        seen: set[str] = set()
        given = {
            "list": name,
            "tests": dict(tests),
            "newest": newest,
            "by_ledger": _is_by_ledger(name),
            "since_ms": since_ms,
            "until_ms": until_ms,
            "piece": PIECE,
            "wants_card": wants_card,
            **({} if ids is None else {"ids": ids}),
        }
        while True:
            given |= {"after_score": score or "0", "after_id": refund_id}
            shift, score, refund_id, *flat = self._run("find", given)
            rows = zip(*(flat[place::5] for place in range(5)), strict=True)
            for found_id, at, amount, currency, version in rows:
                if found_id not in seen:
                    seen.add(found_id)
                    at_ms, cursor = int(at) + int(shift), f"{at}:{found_id}"
                    yield Match(found_id, at_ms, amount, currency, cursor, int(version or 0))
            if not refund_id:
                return

    def letters(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the letters of messages that never became a refund, in no order."""
        cursor = "0"
        while True:
            cursor, *flat = self._run("letters", {"cursor": cursor, "piece": PIECE // 4})
            for letter_id, text in zip(flat[::2], flat[1::2], strict=True):
                yield letter_id, json.loads(text)
            if cursor == "0":
                return

    def of_order(self, order_id: str) -> list[str]:
        """Return the ids of an order's refunds, whatever its store; sorted."""
        found: Any = self._redis.zrangebylex(f"{self.ns}:orders", f"[{order_id}:", f"({order_id};")
        with self._redis.pipeline(transaction=False) as pipe:
            for entry in found:
                store_id = entry.rpartition(":")[2]
                pipe.smembers(f"{self.ns}:order:{store_id}:{order_id}")
            return sorted(refund_id for ids in pipe.execute() for refund_id in ids)

    def members(self, name: str) -> list[str]:
        """Return the ids in a list, in its order."""
        found: Any = self._redis.zrange(f"{self.ns}:{name}", 0, -1)
        return list(found)

    def stores_of(self, ids: Iterable[str]) -> dict[str, str]:
        """Return the store of each refund."""
        found: dict[str, str] = {}
        listed = list(ids)
        for start in range(0, len(listed), PIECE):
            with self._redis.pipeline(transaction=False) as pipe:
                for refund_id in listed[start : start + PIECE]:
                    pipe.hget(f"{self.ns}:refund:{refund_id}", "store_id")
                stores = [store or "" for store in pipe.execute()]
            found.update(zip(listed[start : start + PIECE], stores, strict=True))
        return found

    def cards(self, ids: list[str], kind: str) -> dict[str, str]:
        """Return by what each of these dead letters is listed, of one kind."""
        place, found = KINDS.index(kind), {}
        for start in range(0, len(ids), PIECE):
            piece = ids[start : start + PIECE]
            cards: Any = self._redis.hmget(f"{self.ns}:cards", piece)
            for refund_id, card in zip(piece, cards, strict=True):
                found[refund_id] = card.split("\x1f")[place] if card else ""
        return found

    def ends(self, name: str) -> tuple[Match | None, Match | None]:
        """Return the oldest and the newest of a list of dead letters."""
        shift_ms = self._shift_ms()
        with self._redis.pipeline(transaction=False) as pipe:
            for place in (0, -1):
                pipe.zrange(f"{self.ns}:{name}", place, place, withscores=True)
            oldest, newest = (
                Match(rows[0][0], round(rows[0][1]) + shift_ms, "", "", "") if rows else None
                for rows in pipe.execute()
            )
        return oldest, newest

    def groups(self, kind: str) -> dict[str, str]:
        """Return the counts of dead letters by this kind (worker.operations.tallies)."""
        found: Any = self._redis.hgetall(f"{self.ns}:dead_groups:{kind}")
        return dict(found)

    def _run(self, script: str, given: Mapping[str, Any]) -> list[Any]:
        return list(self._scripts[script](keys=[self.ns], args=[json.dumps(given)]))


def _is_by_ledger(name: str) -> bool:
    """Whether the scores of a list are by the ledger's clock."""
    return name.startswith("dead")
