"""What it means that Wix refused a store's key: the key is dead, or a permission is missing.

| refusal | what else is known | then |
|---|---|---|
| 401 | | the key is dead: suspend |
| 403, or 428 without a site | this call worked before | suspend |
| | it never did, and another call does not work now either | suspend |
| | it never did, and another call works now | dead letter `scope_missing` |
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from worker.errors import Buried, Permanent, Unauthorized
from worker.flows.step import Step
from worker.stores.permissions import box_of, how_to_tick


def missing_box(
    refusal: Unauthorized, step: Step, worked_before: Callable[[], Collection[str]]
) -> Buried | None:
    """The dead letter of a missing box, None when the store is to be suspended.

    Raises:
        Retryable: the other call, which would tell the two apart, did not come through.
    """
    if refusal.status == 401:
        return None
    known = {*worked_before(), *step.wix.accepted_endpoints}
    if refusal.endpoint in known:
        return None
    try:
        # What worked a moment ago may be revoked by now: ask again.
        if "get_order" in known:
            step.wix.get_order(step.order_id)
        else:
            step.wix.get_site_properties()
    except Unauthorized:
        return None
    except Permanent:
        pass  # Not what we asked for, but an answer to this key.
    return Buried("scope_missing", refusal, remedy=how_to_tick(box_of(refusal.endpoint)))
