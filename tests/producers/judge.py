"""Compares what was sent with what became of it, and what the consumers got with the stream."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.producers.malformed import BY_NAME, MESSAGES
from tests.producers.plan import Item, Plan

#: The number of an event: in the stream, or in the file of a consumer.
Key = tuple[str, str, str]


class World(NamedTuple):
    """What there was at the end."""

    answers: Mapping[int, str]
    """What the producers were told, by the number of the item."""
    accepted: Mapping[str, Mapping[str, Any]]
    """The job of each refund in the ledger."""
    letters: Sequence[Mapping[str, Any]]
    """The letters of messages that never became a refund."""
    refunds: Mapping[str, int]
    """How many refunds each order has at Wix."""


def judge_items(plan: Plan, world: World) -> list[tuple[Item, str]]:
    """Return each item whose answer or letter is not what it must be, and why."""
    letters = _by_id(world.letters)
    wrong = []
    for item in plan.items:
        why = _wrong(item, world, letters.get(item.refund_id, []))
        if why:
            wrong.append((item, why))
    return wrong


def _by_id(letters: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for letter in letters:
        job = letter.get("job") or {}
        refund_id = job.get("refund_id") if isinstance(job, dict) else None
        if not refund_id:
            # Of a message that could not be read, there is only the text.
            _, _, after = str(letter.get("message", "")).partition('"refund_id": "')
            refund_id = after.partition('"')[0]
        found[str(refund_id)].append(letter)
    return found


def _wrong(item: Item, world: World, letters: Sequence[Mapping[str, Any]]) -> str:
    """Say what is wrong with the fate of one item, "" if nothing is."""
    answer = world.answers.get(item.number, "none")
    if item.kind in {"malformed", "badly signed"}:
        if item.refund_id in world.accepted:
            return "it became a refund"
        judge = _wrong_refusal if item.kind == "malformed" else _wrong_signature
        return judge(item, answer, letters)
    kept = world.accepted.get(item.refund_id)
    if kept is None:
        return "there is no refund"
    is_other = kept.get("reason") != item.job["reason"]
    if item.producer == "http":
        return "" if answer in ({"409"} if is_other else {"200", "202"}) else f"told {answer}"
    reasons = {one["reason"] for one in letters if one["job"].get("reason") == item.job["reason"]}
    if answer != "sent" or reasons != ({"conflict"} if is_other else set()):
        return f"told {answer}; letters {reasons}; is another than the refund: {is_other}"
    return ""


def _wrong_signature(item: Item, answer: str, letters: Sequence[Mapping[str, Any]]) -> str:
    reasons = [one["reason"] for one in letters]
    if item.producer == "http":
        return "" if (answer, reasons) == ("401", []) else f"told {answer}; letters {reasons}"
    is_right = (answer, reasons) == ("sent", ["bad_signature"])
    return "" if is_right else f"told {answer}; letters {reasons}"


def _wrong_refusal(item: Item, answer: str, letters: Sequence[Mapping[str, Any]]) -> str:
    if item.way in MESSAGES:
        found = [one["reason"] for one in letters]
        return "" if found == [MESSAGES[item.way]] else f"{item.way}: letters {found}"
    field = BY_NAME[item.way].field
    if item.producer == "python":
        return "" if answer == f"refused {field}" else f"{item.way}: {answer}"
    if item.producer == "http":
        return "" if answer == f"422 {field}" else f"{item.way}: {answer}"
    told = [(one["reason"], [error["field"] for error in one["errors"]]) for one in letters]
    fine = len(told) == 1 and told[0][0] == "invalid_job" and field in told[0][1]
    return "" if fine and answer == "sent" else f"{item.way}: {told}"


def judge_refunds(plan: Plan, world: World) -> Counter[str]:
    """Count the orders that do not have the refunds that they must have."""
    wrong: Counter[str] = Counter()
    for refund_id, order_id in plan.orders.items():
        count = world.refunds.get(order_id, 0)
        if count != 1:
            wrong["doubled" if count else "not refunded"] += 1
        if refund_id not in world.accepted:
            wrong["lost"] += 1
    wrong["refunded, but refused"] = sum(world.refunds.get(order, 0) for order in plan.others)
    wrong["unknown refunds"] = len(world.accepted.keys() - plan.orders.keys())
    return +wrong


class Got(NamedTuple):
    """What a consumer got."""

    events: int
    repeats: int
    missing: int
    """How many events of the stream it did not get."""
    unknown: int
    """How many of its events are not in the stream."""
    out_of_order: int
    """How many refunds had events that came first in another order than that of the stream."""

    @property
    def is_wrong(self) -> bool:
        """Whether it missed something."""
        return bool(self.missing or self.unknown or self.out_of_order)


def read_lines(path: Path) -> list[Key]:
    """Return the events in the file of a consumer, which has none while it starts."""
    text = path.read_text() if path.exists() else ""
    rows = (line.split("\t") for line in text.splitlines())
    return [(row[0], row[1], row[2]) for row in rows]


def judge_consumer(stream: Sequence[Key], got: Sequence[Key]) -> Got:
    """Compare what a consumer got with the stream."""
    first = list(dict.fromkeys(got))
    known = set(stream)
    return Got(
        events=len(got),
        repeats=len(got) - len(first),
        missing=len(known - set(first)),
        unknown=len(set(first) - known),
        out_of_order=sum(a != b for a, b in _pairs(_by_subject(stream), _by_subject(first))),
    )


def _by_subject(events: Iterable[Key]) -> dict[str, list[Key]]:
    found: dict[str, list[Key]] = defaultdict(list)
    for event in events:
        found[event[1]].append(event)
    return found


def _pairs(
    one: Mapping[str, list[Key]], other: Mapping[str, list[Key]]
) -> Iterable[tuple[list[Key], list[Key]]]:
    for subject, events in one.items():
        found = other.get(subject, [])
        yield [event for event in events if event in set(found)], found


def letters_of(raw: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the letters of the quarantine."""
    return [json.loads(text) for text in raw.values()]
