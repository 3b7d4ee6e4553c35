"""The OpenAPI 3.1 document, made from the models and tables that the server itself uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from worker.api.outcomes import OutcomePage
from worker.api.parameters import PARAMETERS
from worker.api.problems import KINDS
from worker.api.views import RefundList, RefundView
from worker.refund.schema import schema_of
from worker.upstream import rules

#: The problems that each request can have.
_ANY = ("malformed", "unauthorized", "invalid", "internal", "unavailable")
_REFUND_ID = {"type": "string", "pattern": f"^{rules.REFUND_ID.pattern}$", "maxLength": 100}
_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "The refund's id: the same key with the same job counts once. It may be in"
    " quotes.",
    "schema": _REFUND_ID,
}
_PATH_ID = {
    "name": "refund_id",
    "in": "path",
    "required": True,
    "description": "The refund's id.",
    "schema": _REFUND_ID,
}
_PROBLEM: Mapping[str, Any] = MappingProxyType(
    {
        "type": "object",
        "description": "RFC 9457 problem details.",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "description": "Which problem it is."},
            "title": {"type": "string", "description": "What the problem is."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "What is wrong with this request."},
            "errors": {
                "type": "array",
                "description": "The invalid fields.",
                "items": {
                    "type": "object",
                    "required": ["field", "rule", "detail"],
                    "properties": {
                        "field": {"type": "string", "description": "Such as `lines.0.quantity`."},
                        "rule": {"type": "string", "enum": sorted(rules.RULES)},
                        "detail": {"type": "string", "description": "The rest of a sentence."},
                        "value": {
                            "type": ["string", "null"],
                            "description": "The shape of the value: letters as a, digits as 9.",
                        },
                    },
                },
            },
        },
    }
)


@lru_cache
def document() -> dict[str, Any]:
    """Return the document."""
    schemas: dict[str, Any] = {"Problem": dict(_PROBLEM)}
    _add(schemas, "Job", _job())
    for model in (RefundView, RefundList, OutcomePage):
        _add(schemas, model.__name__, model.model_json_schema(mode="serialization"))
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Wix refund worker",
            "version": version("wix-refund-worker"),
            "description": "Ask for refunds of Wix orders, and read what became of them.",
        },
        "security": [{"token": []}],
        "paths": {
            "/v1/refunds": {"post": _request_refund(), "get": _list_refunds()},
            "/v1/refunds/{refund_id}": {"get": _show_refund()},
            "/v1/outcomes": {"get": _read_outcomes()},
        },
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _job() -> dict[str, Any]:
    """The job of the queue; its id is in the header, and may be in the job too."""
    job = schema_of("job")
    job["required"] = [name for name in job["required"] if name != "refund_id"]
    return job


def _add(schemas: dict[str, Any], name: str, schema: Mapping[str, Any]) -> None:
    """Add a schema and what it refers to."""
    text = json.dumps(schema).replace("#/$defs/", "#/components/schemas/")
    found = json.loads(text)
    found.pop("$schema", None)
    schemas.update(found.pop("$defs", {}))
    schemas[name] = found


def _request_refund() -> dict[str, Any]:
    where = {"Location": {"description": "Its address.", "schema": {"type": "string"}}}
    more = ("producer-limit", "store-not-allowed", "conflict", "too-slow", "too-large", "not-json")
    return {
        "operationId": "requestRefund",
        "summary": "Ask for a refund.",
        "description": "Safe to repeat with the same content: it counts once. If no answer comes,"
        " send it again.",
        "parameters": [_KEY],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _ref("Job")}},
        },
        "responses": {
            "202": _answer("The job is recorded; the refund begins.", RefundView, headers=where),
            "200": _answer("The same job was recorded before.", RefundView, headers=where),
            **_problems(*_ANY, *more),
        },
    }


def _list_refunds() -> dict[str, Any]:
    return {
        "operationId": "listRefunds",
        "summary": "Find the refunds of an order.",
        "parameters": _parameters("order_id"),
        "responses": {"200": _answer("Its refunds.", RefundList), **_problems(*_ANY)},
    }


def _show_refund() -> dict[str, Any]:
    return {
        "operationId": "showRefund",
        "summary": "Look at a refund.",
        "parameters": [_PATH_ID],
        "responses": {"200": _answer("The refund.", RefundView), **_problems(*_ANY, "not-found")},
    }


def _read_outcomes() -> dict[str, Any]:
    return {
        "operationId": "readOutcomes",
        "summary": "Read what became of the refunds, and wait for more.",
        "description": "At least once, and in order: keep `after` together with what you made of"
        " the outcomes. `source` and `id` of an outcome tell a repeat.",
        "parameters": _parameters("after", "limit", "wait_s"),
        "responses": {"200": _answer("The next outcomes.", OutcomePage), **_problems(*_ANY)},
    }


def _parameters(*names: str) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "query",
            "required": PARAMETERS[name].default is None,
            "description": PARAMETERS[name].meaning,
            "schema": dict(PARAMETERS[name].schema),
        }
        for name in names
    ]


def _answer(text: str, model: type[BaseModel], **more: Any) -> dict[str, Any]:
    content = {"application/json": {"schema": _ref(model.__name__)}}
    return {"description": text, "content": content, **more}


def _problems(*kinds: str) -> dict[str, Any]:
    return {
        str(KINDS[kind][0]): {
            "description": KINDS[kind][1],
            "content": {"application/problem+json": {"schema": _ref("Problem")}},
        }
        for kind in kinds
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
