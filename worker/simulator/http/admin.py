"""The admin endpoints under /_simulator/: they read the books and change everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from worker.simulator.contract.refusals import Json
from worker.simulator.script.faults import Fault
from worker.simulator.simulator import Simulator


def _add_store(simulator: Simulator, body: Json) -> Json:
    site_id = simulator.add_store(**body)
    return {"site_id": site_id, "account_id": simulator.stores[site_id].account_id}


def _change_store(simulator: Simulator, body: Json) -> Json:
    simulator.change_store(body.pop("site_id"), **body)
    return {"ok": True}


def _keys(simulator: Simulator, body: Json) -> Json:
    actions: Mapping[str, Callable[..., None]] = {
        "add": simulator.add_key,
        "revoke": simulator.revoke_key,
        "replace": simulator.replace_key,
        "change": simulator.change_key,
    }
    actions[body.pop("action")](**body)
    return {"ok": True}


def _add_order(simulator: Simulator, body: Json) -> Json:
    order = simulator.add_order(body.pop("site_id"), **body)
    return {
        "order_id": order.id,
        "line_ids": [line.id for line in order.lines],
        "payment_ids": [payment.id for payment in order.payments],
    }


def _merchant(simulator: Simulator, body: Json) -> Json:
    actions: Mapping[str, Callable[..., object]] = {
        "fulfills": simulator.merchant_fulfills,
        "marks_fulfilled": simulator.merchant_marks_fulfilled,
        "unfulfills": simulator.merchant_unfulfills,
        "cancels": simulator.merchant_cancels,
        "archives": simulator.merchant_archives,
        "refunds": simulator.merchant_refunds,
        "voids": simulator.merchant_voids,
        "captures": simulator.merchant_captures,
        "provider_says": simulator.provider_says,
        "bank_charges_back": simulator.bank_charges_back,
    }
    actions[body.pop("action")](**body)
    return {"ok": True}


def _faults(simulator: Simulator, body: Json) -> Json:
    if body.get("clear"):
        simulator.clear_faults()
    simulator.script(*(Fault(**fault) for fault in body.get("faults", [])))
    return {"ok": True}


def _flags(simulator: Simulator, body: Json) -> Json:
    simulator.set_flags(**body)
    return asdict(simulator.flags)


_POSTS: Mapping[str, Callable[[Simulator, Json], Json]] = {
    "stores": _add_store,
    "sites": _change_store,
    "keys": _keys,
    "orders": _add_order,
    "merchant": _merchant,
    "faults": _faults,
    "flags": _flags,
}


def administer(simulator: Simulator, environ: Mapping[str, Any], raw: bytes) -> tuple[int, Json]:
    """Answer an admin request; returns the status and the body."""
    name = environ["PATH_INFO"].removeprefix("/_simulator/")
    if environ["REQUEST_METHOD"] == "GET" and name == "books":
        return 200, simulator.books()
    if environ["REQUEST_METHOD"] == "POST" and name in _POSTS:
        try:
            return 200, _POSTS[name](simulator, json.loads(raw or b"{}"))
        except (ValueError, TypeError, KeyError, StopIteration, IndexError) as error:
            return 400, {"message": f"{type(error).__name__}: {error}"}
    return 404, {"message": f"GET books, or POST one of {', '.join(_POSTS)}"}
