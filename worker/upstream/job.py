"""Check a job before it is sent: the rules of the worker, in plain Python.

The worker checks it again; it also takes what was written a little differently, such as "2" for 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from . import rules
from .invalid import InvalidJob, is_too_large, unknown

Problem = tuple[str, str]
#: Takes the place and the value of a field; yields what is wrong with it.
Check = Callable[[str, Any], Iterator[Problem]]


def check_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job as they are sent: ids in one form, without what was left out.

    Raises:
        InvalidJob: names each invalid field and its problem.
    """
    given = {name: value for name, value in job.items() if not _is_omitted(name, value)}
    problems = dict(_problems("", given, _JOB, _REQUIRED)) or dict(_contradictions(given))
    if not problems and is_too_large(given):
        problems = {"job": rules.TOO_LARGE}
    if problems:
        raise InvalidJob(problems, job)
    for name in ("store_id", "order_id"):
        given[name] = str(UUID(given[name]))
    return {name: _plain(value) for name, value in given.items() if value != _DEFAULTS.get(name)}


def _is_omitted(name: str, value: Any) -> bool:
    return value is None and name in _OPTIONAL


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _problems(
    place: str, given: Mapping[str, Any], checks: Mapping[str, Check], required: frozenset[str]
) -> Iterator[Problem]:
    for name, check in checks.items():
        if name in given:
            yield from check(f"{place}{name}", given[name])
        elif name in required:
            yield f"{place}{name}", rules.REQUIRED
    for name in given:
        if name not in checks:
            yield f"{place}{str(name)[: rules.LONGEST_NAME]}", unknown(str(name), checks)


def _says(name: str, is_right: Callable[[Any], bool]) -> Check:
    """Return a check with the one sentence that says what the field accepts."""

    def check(place: str, value: Any) -> Iterator[Problem]:
        if not is_right(value):
            yield place, rules.TAKES[name]

    return check


def _text(is_right: Callable[[str], Any]) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, str) and not rules.is_broken(value) and bool(is_right(value))
    )


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return len(text) <= rules.LONGEST_GUID


def _is_part(text: str) -> bool:
    return len(text) <= rules.LONGEST_PART and bool(rules.NOT_BLANK.search(text))


def _is_count(value: Any) -> bool:
    return type(value) is int and 1 <= value <= rules.MOST_UNITS


def _amount(place: str, value: Any) -> Iterator[Problem]:
    if value is None:  # a fee without an amount
        return
    if not isinstance(value, str) or not rules.AMOUNT.fullmatch(value):
        yield place, rules.TAKES["amount"]
    elif not value.strip("0."):
        yield place, rules.NOTHING


def _words(place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, str):
        yield place, rules.NOT_TEXT
        return
    longest = rules.LONGEST[place.partition(".")[0]]
    if len(value) > longest:
        yield place, rules.at_most(longest, "characters")
    if rules.is_broken(value):
        yield place, rules.BROKEN


def _metadata(place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping) or len(value) > rules.MOST_NOTES:
        yield place, rules.NOT_NOTES
        return
    for name, text in value.items():
        if not isinstance(name, str) or len(name) > rules.LONGEST_NAME or rules.is_broken(name):
            yield place, rules.WRONG_KEYS
        else:
            yield from _words(f"{place}.{name}", text)


def _list_of(checks: Mapping[str, Check], required: frozenset[str], most: int) -> Check:
    def check(place: str, value: Any) -> Iterator[Problem]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
            yield place, rules.NOT_A_LIST
        elif not value:
            yield place, rules.EMPTY
        elif len(value) > most:
            yield place, rules.at_most(most, "items")
        else:
            for number, item in enumerate(value):
                if isinstance(item, Mapping):
                    yield from _problems(f"{place}.{number}.", item, checks, required)
                else:
                    yield f"{place}.{number}", rules.NOT_A_TABLE

    return check


def _contradictions(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the fields together."""
    fees = given.get("additional_fees", ())
    amounts = (given.get("amount"), given.get("shipping"), *(fee.get("amount") for fee in fees))
    if any(amounts) and not given.get("currency"):
        yield "job", rules.NEEDS_CURRENCY
        return
    is_partial = fees or given.get("amount") or given.get("shipping")
    if given.get("restock") and is_partial and "lines" not in given:
        yield "job", rules.NEEDS_LINES


_LINE: Mapping[str, Check] = {
    "line_item_id": _says("line_item_id", _text(_is_part)),
    "quantity": _says("quantity", _is_count),
}
_FEE: Mapping[str, Check] = {
    "additional_fee_id": _says("additional_fee_id", _text(_is_part)),
    "amount": _amount,
}
_JOB: Mapping[str, Check] = MappingProxyType(
    {
        "refund_id": _says("refund_id", _text(rules.REFUND_ID.fullmatch)),
        "store_id": _says("store_id", _text(_is_guid)),
        "order_id": _says("order_id", _text(_is_guid)),
        "lines": _list_of(_LINE, frozenset(_LINE), rules.MOST_LINES),
        "shipping": _amount,
        "additional_fees": _list_of(_FEE, frozenset({"additional_fee_id"}), rules.MOST_FEES),
        "amount": _amount,
        "currency": _says("currency", _text(rules.CURRENCY.fullmatch)),
        "reason": _words,
        "restock": _says("restock", lambda value: isinstance(value, bool)),
        "notify_buyer": _says("notify_buyer", lambda value: isinstance(value, bool)),
        "manual_payments": _says("manual_payments", lambda value: value in ("escalate", "record")),
        "requested_by": _words,
        "metadata": _metadata,
        "version": _says("version", lambda value: type(value) is int and value == 1),
    }
)
_REQUIRED = frozenset({"refund_id", "store_id", "order_id"})
#: `None` says the same as leaving the field out.
_OPTIONAL = frozenset({"shipping", "amount", "currency"})
_DEFAULTS: Mapping[str, Any] = {
    "reason": "",
    "restock": False,
    "notify_buyer": False,
    "manual_payments": "escalate",
    "requested_by": "",
    "metadata": {},
    "version": 1,
}
