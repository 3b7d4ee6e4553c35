"""Finds the fields of an answer that no model reads, and changes them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

Path = tuple[str | int, ...]
Model = type[BaseModel]


def unread(model: Model, answer: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of fields that the model does not have, without the fields inside them."""
    if isinstance(answer, list):
        for number, item in enumerate(answer):
            yield from unread(model, item, (*path, number))
        return
    if not isinstance(answer, dict):
        return
    fields = {to_camel(name): field for name, field in model.model_fields.items()}
    for name, value in answer.items():
        if name not in fields:
            yield (*path, name)
        elif inner := _model_in(fields[name].annotation):
            yield from unread(inner, value, (*path, name))


def _model_in(annotation: Any) -> Model | None:
    """Return the model in the type of a field, such as `list[Model] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(part) for part in get_args(annotation))
    return next((model for model in found if model), None)


def _removed(parent: dict[str, Any], name: str) -> None:
    del parent[name]


def _null(parent: dict[str, Any], name: str) -> None:
    parent[name] = None


def _retyped(parent: dict[str, Any], name: str) -> None:
    """Replace the value by one of another type."""
    was = parent[name]
    parent[name] = [{"odd": 1}] if isinstance(was, str | int | dict | None) else "odd"


CHANGES: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "removed": _removed,
    "null": _null,
    "retyped": _retyped,
}


def changed(answer: Any, change: str, paths: Iterable[Path]) -> Any:
    """Return a copy of the answer with these fields removed, set to null, or of another type."""
    made = copy.deepcopy(answer)
    for *places, name in paths:
        parent = made
        for place in places:
            parent = parent[place]
        CHANGES[change](parent, str(name))
    return made
