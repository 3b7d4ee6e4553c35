"""Check a job before it is sent: the rules of the worker, in plain Python.

The worker checks it again; it also takes what was written a little differently, such as "2" for 2.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

from . import rules
from .invalid import InvalidJob, escaped, is_too_large, unknown
from .reason_codes import REASON_CODES

Problem = tuple[str, str]
#: Takes the place and the value of a field; returns what is wrong with it, nothing if it is right.
Check = Callable[[str, Any], Collection[Problem]]


def check_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a job as they are sent: ids in one form, without what was left out.

    Raises:
        InvalidJob: names each invalid field and its problem.
    """
    return encode_job(job)[0]


def encode_job(job: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the same as `check_job`, and as compact JSON.

    Raises:
        InvalidJob: names each invalid field and its problem.
    """
    sent, problems = _sorted_out(job)
    if problems or (problems := dict(_contradictions(sent))):
        raise InvalidJob(_in_order(problems), job)
    for name in sent.keys() & {"store_id", "order_id"}:
        if not rules.PLAIN_GUID.fullmatch(sent[name]):
            sent[name] = str(UUID(sent[name]))
    text = escaped(sent)
    if is_too_large(sent, text):
        raise InvalidJob({"job": rules.TOO_LARGE}, job)
    return sent, text


def _sorted_out(job: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the fields that are right, without those that say nothing, and what is wrong."""
    sent: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, value in job.items():
        if value is None and name in _OPTIONAL:
            continue
        check = _JOB.get(name)
        if check is None:
            problems[str(name)[: rules.LONGEST_NAME]] = unknown(str(name), _JOB)
        elif found := check(name, value):
            problems.update(found)
        elif value != _DEFAULTS.get(name):
            sent[name] = value if type(value) is str else _plain(value)
    required = _REQUIRED if job.get("order_number") is None else _REQUIRED - {"order_id"}
    if not job.keys() >= required:
        problems.update(_missing("", job, required))
    return sent, problems


def _in_order(problems: Mapping[str, str]) -> dict[str, str]:
    """Return the problems in the order of the table of fields, unknown ones last."""
    places = {name: place for place, name in enumerate(_JOB)}
    fields = sorted(problems, key=lambda field: places.get(field.partition(".")[0], len(places)))
    return {field: problems[field] for field in fields}


def _plain(value: Any) -> Any:
    """Return what JSON can hold."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def _missing(place: str, given: Mapping[str, Any], required: frozenset[str]) -> Iterable[Problem]:
    return [(f"{place}{name}", rules.REQUIRED) for name in sorted(required - given.keys())]


def _problems(
    place: str, given: Mapping[str, Any], checks: Mapping[str, Check], required: frozenset[str]
) -> Iterator[Problem]:
    for name, value in given.items():
        if name in checks:
            yield from checks[name](place + name, value)
        else:
            yield f"{place}{str(name)[: rules.LONGEST_NAME]}", unknown(str(name), checks)
    yield from _missing(place, given, required)


def _says(name: str, is_right: Callable[[Any], bool]) -> Check:
    """Return a check with the one sentence that says what the field accepts."""

    def check(place: str, value: Any) -> Collection[Problem]:
        return () if is_right(value) else ((place, rules.TAKES[name]),)

    return check


def _says_text(name: str, is_right: Callable[[str], Any]) -> Check:
    """Return the same for a text."""
    return _says(
        name,
        lambda value: isinstance(value, str) and is_right(value) and not rules.is_broken(value),
    )


def _is_guid(text: str) -> bool:
    if rules.PLAIN_GUID.fullmatch(text):
        return True
    try:
        UUID(text)
    except ValueError:
        return False
    return len(text) <= rules.LONGEST_GUID


def _is_part(text: str) -> bool:
    return len(text) <= rules.LONGEST_PART and bool(rules.NOT_BLANK.search(text))


def _is_whole(value: Any) -> bool:
    """Whether it is a whole number in JSON: 1.0 is one, True is none."""
    return type(value) is int or (type(value) is float and value.is_integer())


def _is_count(value: Any) -> bool:
    return _is_whole(value) and 1 <= value <= rules.MOST_UNITS


def _amount(place: str, value: Any) -> Collection[Problem]:
    if value is None:  # a fee without an amount
        return ()
    if not isinstance(value, str) or not rules.AMOUNT.fullmatch(value):
        return ((place, rules.TAKES["amount"]),)
    return () if value.strip("0.") else ((place, rules.NOTHING),)


def _moment(place: str, value: Any) -> Collection[Problem]:
    try:
        rules.moment_ms(value)
    except (TypeError, ValueError):
        return ((place, rules.TAKES[place]),)
    return ()


def _words(place: str, value: Any) -> Collection[Problem]:
    if not isinstance(value, str):
        return ((place, rules.NOT_TEXT),)
    longest = rules.LONGEST[place.partition(".")[0]]
    problems = []
    if len(value) > longest:
        problems.append((place, rules.at_most(longest, "characters")))
    if rules.is_broken(value):
        problems.append((place, rules.BROKEN))
    return problems


def _metadata(place: str, value: Any) -> Collection[Problem]:
    if not isinstance(value, Mapping) or len(value) > rules.MOST_NOTES:
        return ((place, rules.NOT_NOTES),)
    problems: list[Problem] = []
    for name, text in value.items():
        if not isinstance(name, str) or len(name) > rules.LONGEST_NAME or rules.is_broken(name):
            problems.append((place, rules.WRONG_KEYS))
        else:
            problems += _words(f"{place}.{name}", text)
    return problems


def _list_of(checks: Mapping[str, Check], required: frozenset[str], most: int) -> Check:
    def item_problems(place: str, item: Any) -> Iterable[Problem]:
        if isinstance(item, Mapping):
            return _problems(f"{place}.", item, checks, required)
        return ((place, rules.NOT_A_TABLE),)

    def check(place: str, value: Any) -> Collection[Problem]:
        if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Sequence):
            return ((place, rules.NOT_A_LIST),)
        if not value:
            return ((place, rules.EMPTY),)
        if len(value) > most:
            return ((place, rules.at_most(most, "items")),)
        return [
            problem
            for number, item in enumerate(value)
            for problem in item_problems(f"{place}.{number}", item)
        ]

    return check


def _contradictions(given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with the fields together."""
    if not given.keys() & _ENTANGLED:
        return
    if "order_number" in given and "order_id" in given:
        yield "job", rules.TWO_ORDERS
        return
    fees, lines = given.get("additional_fees", ()), given.get("lines", ())
    of_lines = [line["amount"] for line in lines if line.get("amount")]
    named = (given.get("amount"), given.get("shipping"), *(fee.get("amount") for fee in fees))
    if any((*named, *of_lines)) and not given.get("currency"):
        yield "job", rules.NEEDS_CURRENCY
        return
    if of_lines and given.get("amount"):
        yield "job", rules.TWO_TOTALS
        return
    is_partial = fees or given.get("amount") or given.get("shipping")
    if given.get("restock") and is_partial and not lines:
        yield "job", rules.NEEDS_LINES
        return
    first, last = given.get("not_before"), given.get("expires_at")
    if first and last and rules.moment_ms(first) >= rules.moment_ms(last):
        yield "job", rules.NEVER


_LINE: Mapping[str, Check] = {
    "line_item_id": _says_text("line_item_id", _is_part),
    "quantity": _says("quantity", _is_count),
    "amount": _amount,
    "reason": _words,
}
_LINE_REQUIRED = frozenset({"line_item_id", "quantity"})
_FEE: Mapping[str, Check] = {
    "additional_fee_id": _says_text("additional_fee_id", _is_part),
    "amount": _amount,
}
_JOB: Mapping[str, Check] = MappingProxyType(
    {
        "refund_id": _says_text("refund_id", rules.REFUND_ID.fullmatch),
        "store_id": _says_text("store_id", _is_guid),
        "order_id": _says_text("order_id", _is_guid),
        "order_number": _says_text("order_number", rules.ORDER_NUMBER.fullmatch),
        "lines": _list_of(_LINE, _LINE_REQUIRED, rules.MOST_LINES),
        "shipping": _amount,
        "additional_fees": _list_of(_FEE, frozenset({"additional_fee_id"}), rules.MOST_FEES),
        "amount": _amount,
        "currency": _says_text("currency", rules.CURRENCY.fullmatch),
        "reason": _words,
        "restock": _says("restock", lambda value: isinstance(value, bool)),
        "notify_buyer": _says("notify_buyer", lambda value: isinstance(value, bool)),
        "manual_payments": _says("manual_payments", lambda value: value in ("escalate", "record")),
        "requested_by": _words,
        "metadata": _metadata,
        "reason_code": _says_text("reason_code", REASON_CODES.__contains__),
        "not_before": _moment,
        "expires_at": _moment,
        "priority": _says("priority", lambda value: value in ("normal", "high")),
        "traceparent": _says_text("traceparent", rules.TRACEPARENT.fullmatch),
        "callback": _says_text("callback", rules.CALLBACK.fullmatch),
        "version": _says("version", lambda value: _is_whole(value) and value == 1),
    }
)
_REQUIRED = frozenset({"refund_id", "store_id", "order_id"})
#: Fields that may contradict others.
_ENTANGLED = frozenset(
    {"amount", "shipping", "additional_fees", "restock", "lines", "not_before", "expires_at"}
    | {"order_number"}
)
#: `None` says the same as leaving the field out.
_OPTIONAL = frozenset(
    {"shipping", "amount", "currency", "reason_code", "not_before", "expires_at"}
    | {"traceparent", "callback", "order_number"}
)
_DEFAULTS: Mapping[str, Any] = {
    "reason": "",
    "restock": False,
    "notify_buyer": False,
    "manual_payments": "escalate",
    "requested_by": "",
    "metadata": {},
    "priority": "normal",
    "version": 1,
}
