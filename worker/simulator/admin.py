"""The admin view under /_simulator/: books, orders, the merchant's actions, faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from worker.simulator.faults import Fault
from worker.simulator.orders import Json
from worker.simulator.simulator import Simulator


def _add_store(simulator: Simulator, body: Json) -> Json:
    return {"site_id": simulator.add_store(**body)}


def _add_order(simulator: Simulator, body: Json) -> Json:
    return {"order_id": simulator.add_order(body.pop("site_id"), **body).id}


def _merchant(simulator: Simulator, body: Json) -> Json:
    actions = {
        "fulfills": simulator.merchant_fulfills,
        "cancels": simulator.merchant_cancels,
        "refunds": simulator.merchant_refunds,
    }
    actions[body["action"]](body["order_id"])
    return {"ok": True}


def _faults(simulator: Simulator, body: Json) -> Json:
    if body.get("clear"):
        simulator.clear_faults()
    simulator.script(*(Fault(**fault) for fault in body.get("faults", [])))
    return {"ok": True}


def _flags(simulator: Simulator, body: Json) -> Json:
    simulator.set_flags(**body)
    return {"ok": True}


_POSTS: Mapping[str, Callable[[Simulator, Json], Json]] = {
    "stores": _add_store,
    "orders": _add_order,
    "merchant": _merchant,
    "faults": _faults,
    "flags": _flags,
}


def administer(simulator: Simulator, environ: Mapping[str, Any], raw: bytes) -> tuple[int, Json]:
    """Answer one admin request."""
    name = environ["PATH_INFO"].removeprefix("/_simulator/")
    if environ["REQUEST_METHOD"] == "GET" and name == "books":
        return 200, simulator.books()
    if environ["REQUEST_METHOD"] == "POST" and name in _POSTS:
        try:
            return 200, _POSTS[name](simulator, json.loads(raw or b"{}"))
        except (ValueError, TypeError, KeyError) as error:
            return 400, {"message": f"{type(error).__name__}: {error}"}
    return 404, {"message": f"GET books, or POST one of {', '.join(_POSTS)}"}
