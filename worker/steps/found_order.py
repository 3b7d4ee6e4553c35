"""The number of an order was looked up: the id replaces the placeholder in the job."""

from __future__ import annotations

from worker.flows.step import Wait
from worker.steps.results import Results, StepResult


def go_on_with(results: Results, order_id: str) -> StepResult:
    """Write the id into the record, and come back: the lease is one on the order."""
    request = results.refund.request.model_copy(update={"order_id": order_id})
    found = results.waiting(Wait(why="found", in_ms=0, effect_known=True), "step.order_found")
    event = {name: value for name, value in found.event.items() if name not in {"in_ms", "why"}}
    event["order_id"] = order_id
    fields = {**found.commit.fields, "request": request.canonical, "order_id": order_id}
    history = (*found.commit.history[:-1], event)
    return StepResult(found.commit._replace(next="lane", fields=fields, history=history), event)
