"""Why Wix refused a store's key: the key is dead, or it lacks a permission.

| refusal | what else is known | result |
|---|---|---|
| 401 | | the key is dead: suspend the store |
| 403, or 428 without a site | this call worked before | suspend the store |
| | it never worked, and another call does not work now either | suspend the store |
| | it never worked, and another call works now | dead letter `scope_missing` |
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from worker.errors import Buried, Permanent, Unauthorized
from worker.flows.step import Step
from worker.stores.permissions import box_of, how_to_tick


def missing_box(
    refusal: Unauthorized, step: Step, worked_before: Callable[[], Collection[str]]
) -> Buried | None:
    """Return the dead letter that names the missing permission; None to suspend the store.

    Raises:
        Retryable: the other call, which tells the two cases apart, failed.
    """
    if refusal.status == 401:
        return None
    known = {*worked_before(), *step.wix.accepted_endpoints}
    if refusal.endpoint in known:
        return None
    try:
        # A permission that worked before may be revoked by now: ask again.
        if "get_order" in known:
            step.wix.get_order(step.order_id)
        else:
            step.wix.get_site_properties()
    except Unauthorized:
        return None
    except Permanent:
        pass  # Wix refused this order, but it accepted the key.
    return Buried("scope_missing", refusal, remedy=how_to_tick(box_of(refusal.endpoint)))
