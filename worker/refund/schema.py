"""JSON Schema 2020-12 of the job and of the outcomes, from their models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic.json_schema import GenerateJsonSchema

from worker import upstream
from worker.refund.event import Event
from worker.refund.request import RefundRequest
from worker.upstream import rules
from worker.upstream.reason_codes import REASON_CODES

Name = Literal["job", "outcome"]
NAMES: tuple[Name, ...] = ("job", "outcome")

_STORE, _ORDER = "4b296c48-0000-4000-8000-000000000001", "67668940-527d-4465-94c6-5475d8c7a412"
_SEVERAL: Mapping[str, Any] = {"minItems": 1}
_SOME: Mapping[str, Any] = {"not": {"type": "string", "pattern": "^[0.]*$"}}
_MOMENT: Mapping[str, Any] = {"format": "date-time", "pattern": f"^{rules.MOMENT.pattern}$"}
#: What the model checks when a job arrives, but does not tell its schema, and an example.
_JOB_FIELDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "refund_id": {"examples": ["rf-2024-000123"], "maxLength": 100},
        "store_id": {"format": "uuid", "examples": [_STORE]},
        "order_id": {"format": "uuid", "examples": [_ORDER]},
        "order_number": {"pattern": f"^{rules.ORDER_NUMBER.pattern}$", "examples": ["10124"]},
        "lines": {**_SEVERAL, "examples": [[{"line_item_id": "l1", "quantity": 2}]]},
        "shipping": {**_SOME, "examples": ["4.90"]},
        "additional_fees": {**_SEVERAL, "examples": [[{"additional_fee_id": "f1"}]]},
        "amount": {**_SOME, "examples": ["12.50"]},
        "currency": {"examples": ["EUR"]},
        "reason": {"maxLength": rules.LONGEST["reason"], "examples": ["damaged"]},
        "restock": {"examples": [True]},
        "notify_buyer": {"examples": [True]},
        "manual_payments": {"examples": ["record"]},
        "requested_by": {"maxLength": rules.LONGEST["requested_by"], "examples": ["returns"]},
        "metadata": {
            "propertyNames": {"maxLength": rules.LONGEST_NAME},
            "additionalProperties": {"type": "string", "maxLength": rules.LONGEST["metadata"]},
            "examples": [{"ticket": "T-7"}],
        },
        "reason_code": {"enum": [*REASON_CODES, None], "examples": ["defective"]},
        "not_before": {**_MOMENT, "examples": ["2026-01-31T08:00:00Z"]},
        "expires_at": {**_MOMENT, "examples": ["2026-02-01T08:00:00+01:00"]},
        "priority": {"examples": ["high"]},
        "traceparent": {
            "pattern": f"^{rules.TRACEPARENT.pattern}$",
            "examples": ["00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"],
        },
        "callback": {"pattern": f"^{rules.CALLBACK.pattern}$", "examples": ["billing"]},
        "version": {"examples": [1]},
    }
)
_GIVEN = {"type": "string"}
_HAS_AMOUNT: list[Mapping[str, Any]] = [
    {"required": ["amount"], "properties": {"amount": _GIVEN}},
    {"required": ["shipping"], "properties": {"shipping": _GIVEN}},
]
_HAS_FEE_AMOUNT: Mapping[str, Any] = {
    "required": ["additional_fees"],
    "properties": {"additional_fees": {"contains": _HAS_AMOUNT[0]}},
}
_HAS_LINE_AMOUNT: Mapping[str, Any] = {
    "required": ["lines"],
    "properties": {"lines": {"contains": _HAS_AMOUNT[0]}},
}
_HAS_NUMBER: dict[str, Any] = {
    "required": ["order_number"],
    "properties": {"order_number": _GIVEN},
}
_RESTOCKS = {"required": ["restock"], "properties": {"restock": {"const": True}}}
#: The rules about several fields.
_TOGETHER: list[Mapping[str, Any]] = [
    {
        "$comment": rules.NEEDS_CURRENCY,
        "if": {"anyOf": [*_HAS_AMOUNT, _HAS_FEE_AMOUNT, _HAS_LINE_AMOUNT]},
        "then": {"required": ["currency"], "properties": {"currency": _GIVEN}},
    },
    {
        "$comment": rules.NEEDS_LINES,
        "if": {"allOf": [_RESTOCKS, {"anyOf": [*_HAS_AMOUNT, {"required": ["additional_fees"]}]}]},
        "then": {"required": ["lines"]},
    },
    {
        "$comment": rules.TWO_ORDERS,
        "oneOf": [
            {"required": ["order_id"], "not": _HAS_NUMBER},
            _HAS_NUMBER | {"not": {"required": ["order_id"]}},
        ],
    },
    {"$comment": rules.TWO_TOTALS, "not": {"allOf": [_HAS_AMOUNT[0], _HAS_LINE_AMOUNT]}},
]


def schema_of(name: Name) -> dict[str, Any]:
    """Return the JSON Schema of a job or of an outcome."""
    model = RefundRequest if name == "job" else Event
    made = model.model_json_schema(mode="validation" if name == "job" else "serialization")
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **made}
    if name == "job":
        for field, more in _JOB_FIELDS.items():
            schema["properties"][field].update(more)
            if "minItems" in more:  # an empty list must not mean everything
                schema["properties"][field].pop("default")
        for part in ("RefundLine", "RefundFee"):
            schema["$defs"][part]["properties"]["amount"].update(_SOME)
        schema["$defs"]["RefundLine"]["properties"]["reason"]["maxLength"] = rules.LONGEST["lines"]
        schema["$comment"] = f"A job {rules.TOO_LARGE.replace('must have', 'has')}."
        schema["required"].remove("order_id")
        schema["allOf"] = _TOGETHER
    return schema


def schema_text(name: Name) -> str:
    """Return the schema as it is in the package of upstream's client."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def schema_file(name: Name) -> Path:
    """Return the place of the schema in the package of upstream's client."""
    return Path(upstream.__file__).parent / f"{name}.schema.json"
