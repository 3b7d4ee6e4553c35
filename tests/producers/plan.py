"""What four producers send: new jobs, repeats, and what must be refused. The seed decides all."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from tests.producers.malformed import BY_NAME, MESSAGES, SHELL, broken_message, spoiled

Kind = Literal["new", "repeat", "malformed", "conflicting", "badly signed"]

#: The share of each kind; the others are new jobs.
SHARES: Mapping[Kind, float] = MappingProxyType(
    {"repeat": 0.3, "malformed": 0.05, "conflicting": 0.02, "badly signed": 0.02}
)
#: How much of all each producer sends: the shell starts some programs for each job.
PRODUCERS: Mapping[str, float] = MappingProxyType(
    {"python": 0.32, "node": 0.32, "http": 0.28, "shell": 0.08}
)
STORES = 10


@dataclass(frozen=True)
class Item:
    """One job that one producer sends."""

    number: int
    producer: str
    kind: Kind
    refund_id: str
    job: Mapping[str, Any]
    """As it is sent; of a broken message, as it would have been."""
    way: str = ""
    """In which way it is malformed."""
    message: str = ""
    """The text of a message that is broken itself."""


class Plan:
    """Everything that is sent in one run."""

    def __init__(self, seed: int, jobs: int, producers: Sequence[str] = tuple(PRODUCERS)) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        self._producers = producers
        self.stores = [self._uuid() for _ in range(STORES)]
        counts = {kind: round(jobs * share) for kind, share in SHARES.items()}
        new = [self._new() for _ in range(jobs - sum(counts.values()))]
        self.orders: dict[str, str] = {job["refund_id"]: job["order_id"] for job in new}
        """The order of each refund that must be made."""
        self.others: list[str] = []
        """Orders that no refund must reach."""
        self.items = list(self._items(new, counts))

    def of(self, producer: str) -> list[Item]:
        """Return what one producer sends, in order."""
        return [item for item in self.items if item.producer == producer]

    def _items(
        self, new: Sequence[Mapping[str, Any]], counts: Mapping[Kind, int]
    ) -> Iterator[Item]:
        kinds: list[tuple[Kind, Mapping[str, Any]]] = [("new", job) for job in new]
        kinds += [("repeat", self._chance.choice(new)) for _ in range(counts["repeat"])]
        kinds += [
            ("conflicting", {**job, "reason": "another one"})
            for job in self._chance.sample(list(new), counts["conflicting"])
        ]
        for kind in ("malformed", "badly signed"):
            jobs = [self._new() for _ in range(counts[kind])]
            self.others += [job["order_id"] for job in jobs]
            kinds += [(kind, job) for job in jobs]
        self._chance.shuffle(kinds)
        ways = list(BY_NAME) + list(MESSAGES)
        number_of_way = 0
        weights = [PRODUCERS[name] for name in self._producers]
        for number, (kind, job) in enumerate(kinds):
            producer = self._chance.choices(self._producers, weights)[0]
            if kind != "malformed":
                yield Item(number, producer, kind, job["refund_id"], job)
                continue
            # Each way has its turn; one that this producer cannot send is left to the next.
            way = ways[number_of_way % len(ways)]
            if _can_send(producer, way):
                number_of_way += 1
            else:
                way = self._chance.choice([one for one in ways if _can_send(producer, one)])
            yield _malformed(number, producer, job, way)

    def _new(self) -> dict[str, Any]:
        return {
            "refund_id": f"rf-{self._uuid()}",
            "store_id": self._chance.choice(self.stores),
            "order_id": self._uuid(),
            "reason": "damaged",
        }

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


def _can_send(producer: str, way: str) -> bool:
    if way in MESSAGES:
        return producer in {"node", "shell"}
    return producer != "shell" or way in SHELL


def _malformed(number: int, producer: str, job: Mapping[str, Any], way: str) -> Item:
    refund_id = job["refund_id"]
    if way in MESSAGES:
        text = broken_message(refund_id, way)
        return Item(number, producer, "malformed", refund_id, job, way, text)
    return Item(number, producer, "malformed", refund_id, spoiled(job, way), way)
