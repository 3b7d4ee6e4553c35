"""The admin endpoints under /_simulator/: they read the books and change everything else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from worker.simulator.contract.refusals import Json
from worker.simulator.scenario import faults_from
from worker.simulator.script.reading import InvalidInput
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
        "restore": simulator.restore_key,
        "replace": simulator.replace_key,
        "change": simulator.change_key,
    }
    if "site_id" in body:
        body["api_key"] = simulator.api_key_of(body.pop("site_id"))
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
    done = actions[body.pop("action")](**body)
    return {"ok": True, "refund": done} if done else {"ok": True}


def _faults(simulator: Simulator, body: Json) -> Json:
    added = faults_from(body.get("faults", []))
    cleared = simulator.clear_faults() if body.get("clear") else 0
    simulator.script(*added)
    return {"ok": True, "cleared": cleared}


def _flags(simulator: Simulator, body: Json) -> Json:
    simulator.set_flags(**body)
    return asdict(simulator.flags)


POSTS: Mapping[str, Callable[[Simulator, Json], Json]] = {
    "stores": _add_store,
    "sites": _change_store,
    "keys": _keys,
    "orders": _add_order,
    "merchant": _merchant,
    "faults": _faults,
    "flags": _flags,
}


def _stores(simulator: Simulator) -> Json:
    with simulator.lock:
        return {
            site_id: {
                "name": store.name,
                "account_id": store.account_id,
                "is_revoked": simulator.keys[simulator.api_key_of(site_id)].revoked,
            }
            for site_id, store in simulator.stores.items()
        }


GETS: Mapping[str, Callable[[Simulator], Json]] = {"books": Simulator.books, "stores": _stores}


def administer(simulator: Simulator, environ: Mapping[str, Any], raw: bytes) -> tuple[int, Json]:
    """Answer an admin request; returns the status and the body."""
    name = environ["PATH_INFO"].removeprefix("/_simulator/")
    if environ["REQUEST_METHOD"] == "GET" and name in GETS:
        return 200, GETS[name](simulator)
    if environ["REQUEST_METHOD"] == "POST" and name in POSTS:
        try:
            return 200, POSTS[name](simulator, json.loads(raw or b"{}"))
        except InvalidInput as error:
            return 400, {"message": str(error)}
        except (ValueError, TypeError, KeyError, StopIteration, IndexError) as error:
            return 400, {"message": f"{type(error).__name__}: {error}"}
    return 404, {"message": f"GET {' or '.join(GETS)}, or POST one of {', '.join(POSTS)}"}
