"""The parameters in the address: one table for the checks and for the OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from starlette.requests import Request

from worker.api.bodies import invalid
from worker.upstream.invalid import shape_of, unknown

#: How long a request for outcomes may wait. Many clients give up after ten seconds.
LONGEST_WAIT_S, USUAL_WAIT_S = 8, 5
MOST_OUTCOMES, USUAL_OUTCOMES = 500, 100


class Parameter(NamedTuple):
    """What a parameter takes."""

    pattern: str
    text: str
    meaning: str
    schema: Mapping[str, Any]
    default: str | None = None
    """None if it is required."""
    range: tuple[int, int] | None = None


def _number(first: int, last: int, default: int, meaning: str) -> Parameter:
    return Parameter(
        pattern=r"[0-9]{1,4}",
        text=f"must be a whole number from {first} to {last}",
        meaning=meaning,
        schema={"type": "integer", "minimum": first, "maximum": last, "default": default},
        default=str(default),
        range=(first, last),
    )


_GUID = r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
#: Sixteen digits fit into the positions of Redis.
_PLACE = r"[0-9]{1,16}(-[0-9]{1,16})?"
#: One place in each stream, if there are several cells.
_POSITION = rf"{_PLACE}(,{_PLACE}){{0,64}}"

PARAMETERS: Mapping[str, Parameter] = MappingProxyType(
    {
        "order_id": Parameter(
            pattern=_GUID,
            text="must be a Wix order id, like 67668940-527d-4465-94c6-5475d8c7a412",
            meaning="The Wix order id.",
            schema={"type": "string", "format": "uuid", "pattern": f"^{_GUID}$"},
        ),
        "after": Parameter(
            pattern=_POSITION,
            text="must be a position that an answer had in `after`, like 1700000000000-0",
            meaning="Return what comes after this position: the `after` of the last answer."
            " From the beginning if it is not given.",
            schema={"type": "string", "pattern": f"^{_POSITION}$"},
            default="0-0",
        ),
        "limit": _number(1, MOST_OUTCOMES, USUAL_OUTCOMES, "How many outcomes to return at most."),
        "wait_s": _number(
            0,
            LONGEST_WAIT_S,
            USUAL_WAIT_S,
            "How many seconds to wait for the next outcome if there is none.",
        ),
    }
)


def read_parameters(request: Request, names: Iterable[str]) -> dict[str, str]:
    """Return the values of these parameters, or their defaults.

    Raises:
        Problem: one is missing, unknown, repeated or wrong.
    """
    known = list(names)
    errors, found = [], {}
    for name in dict.fromkeys([*known, *request.query_params]):
        values = request.query_params.getlist(name)
        if name not in known:
            errors.append(_error("parameter", "unknown", unknown(name, known), None))
        elif not values and (default := PARAMETERS[name].default) is not None:
            found[name] = default
        elif not values:
            errors.append(_error(name, "required", "is required", None))
        elif len(values) > 1 or not _fits(PARAMETERS[name], values[0]):
            errors.append(_error(name, "format", PARAMETERS[name].text, values[0]))
        else:
            found[name] = values[0]
    if errors:
        raise invalid(errors)
    return found


def _fits(parameter: Parameter, value: str) -> bool:
    if not re.fullmatch(parameter.pattern, value):
        return False
    return parameter.range is None or parameter.range[0] <= int(value) <= parameter.range[1]


def _error(field: str, rule: str, detail: str, value: str | None) -> dict[str, Any]:
    shown = None if value is None else shape_of(value)
    return {"field": field, "rule": rule, "detail": detail, "value": shown}
