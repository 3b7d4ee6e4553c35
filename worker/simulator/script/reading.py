"""Validates scenarios and flags; an error names the place and what is allowed there."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from types import GenericAlias
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


class InvalidInput(ValueError):
    """Raised when an option, a flag or a scenario is invalid; each line of the text is an error."""


class Table(BaseModel):
    """A TOML table: unknown names are refused, and values must have the type of their field."""

    @model_validator(mode="before")
    @classmethod
    def _only_known_names(cls, given: Any) -> Any:
        if isinstance(given, dict) and (unknown := sorted(given.keys() - cls.model_fields)):
            words = "unknown name {name}; expected one of {names}"
            context = {"name": unknown[0], "names": ", ".join(cls.model_fields)}
            raise PydanticCustomError("unknown_name", words, context)
        return given


def _amount(given: Any) -> Decimal:
    try:
        amount = Decimal(given) if isinstance(given, str | int) else Decimal("NaN")
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise ValueError('must be an amount in quotes, such as "12.50"')
    return amount


def _moment(given: Any) -> str:
    try:
        moment = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a date and time with a time zone, such as 2025-01-02T03:04:05Z")
    return given if isinstance(given, str) else moment.isoformat().replace("+00:00", "Z")


def _guid(given: str) -> str:
    try:
        return str(uuid.UUID(given))
    except ValueError:
        raise ValueError("must be a UUID, such as 4b296c48-0000-4000-8000-000000000001") from None


def _currency(given: str) -> str:
    if not re.fullmatch("[A-Z]{3}", given):
        raise ValueError("must be three capital letters, such as EUR")
    return given


Amount = Annotated[Decimal, BeforeValidator(_amount), Field(ge=0)]
Count = Annotated[StrictInt, Field(ge=0)]
Moment = Annotated[str, BeforeValidator(_moment)]
Guid = Annotated[str, AfterValidator(_guid)]
Currency = Annotated[str, AfterValidator(_currency)]

#: The type of a value in a TOML file, for types of the simulator.
_WRITTEN_AS: Mapping[Any, Any] = {
    bool: StrictBool,
    int: Count,
    int | None: Count | None,
    Decimal: Amount,
    Decimal | None: Amount | None,
}


def among(names: Iterable[str]) -> AfterValidator:
    """Allow only these names."""
    allowed = sorted(names)

    def check(name: str) -> str:
        if name not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return name

    return AfterValidator(check)


def list_of(table: type[Table]) -> Any:
    """Return `list[table]`, which type checkers do not accept if *table* is a variable."""
    return GenericAlias(list, (table,))


def table_of(
    kind: type,
    *,
    required: Collection[str] = (),
    hidden: Collection[str] = (),
    **changed: Any,
) -> type[Table]:
    """Make a table with the fields of the dataclass *kind*.

    *hidden* fields are left out; *changed* adds fields or changes their types.
    """
    types = {name: of for name, of in get_type_hints(kind).items() if name not in hidden}
    fields = {name: _WRITTEN_AS.get(of, of) for name, of in types.items()} | changed
    arguments: dict[str, Any] = {
        name: (of, ... if name in required else None) for name, of in fields.items()
    }
    return create_model(kind.__name__, __base__=Table, **arguments)


def read(table: type[Table], given: Any, prefix: str = "") -> dict[str, Any]:
    """Return the given fields, validated and converted; *prefix* begins the places in errors.

    Raises:
        InvalidInput: a name is unknown or missing, or a value is invalid.
    """
    try:
        valid: dict[str, Any] = _given(table.model_validate(given))
    except ValidationError as error:
        lines = [_line(problem, prefix) for problem in error.errors(include_url=False)]
        raise InvalidInput("\n".join(lines)) from None
    return valid


def _given(value: Any) -> Any:
    """Return tables as dicts with the given fields only."""
    if isinstance(value, Table):
        return {name: _given(getattr(value, name)) for name in value.model_fields_set}
    return [_given(item) for item in value] if isinstance(value, list) else value


#: Our words for pydantic's types of errors.
_WORDS: Mapping[str, str] = {
    "missing": "is required",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "greater_than_equal": "must be {ge} or more",
    "literal_error": "must be one of {expected}",
    "list_type": "must be a list",
    "frozen_set_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


def _line(problem: ErrorDetails, prefix: str) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    place = (prefix + "".join(parts).removeprefix(".")).rstrip(" .")
    context = {name: str(value) for name, value in problem.get("ctx", {}).items()}
    if "expected" in context:
        context["expected"] = context["expected"].replace("'", "").replace(" or ", ", ")
    words = _WORDS.get(problem["type"], "").format(**context)
    if problem["type"] == "list_type" and isinstance(problem["input"], dict):
        words = "must be a list of tables: [[...]]"
    words = words or problem["msg"].removeprefix("Value error, ")
    if problem["type"] not in {"missing", "unknown_name"}:
        words += f", not {shown(problem['input'])}"
    return f"{place}: {words}" if place else words


def shown(value: Any) -> str:
    """Write a value as in TOML; of a table, say only that it is one."""
    if isinstance(value, dict):
        return "a table"
    return str(value) if isinstance(value, date | time) else json.dumps(value, default=str)
