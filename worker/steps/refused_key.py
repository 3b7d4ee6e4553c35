"""Why Wix refused a call: throttling, a dead key, a missing permission, or this one order.

| refusal | result |
|---|---|
| 403 that does not say why, the first time | it may be throttling, or a gateway: the store pauses |
| 401, the first times | suspend the store: a probe asks Wix again |
| else: the same reading call works for another order | dead letter `order_forbidden` |
| else: another call works | dead letter `scope_missing`, `order_forbidden` if it once worked |
| else: the site can be read, but never any order | dead letter `scope_missing` |
| else: it may still be throttling | the store pauses, longer each time |
| else | suspend the store |

A 403 that does not say why ends in a letter only after some pauses, of the refund alone if another
call works. A permission that the store is known to lack is not waited for again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from worker.errors import Buried, Forbidden, Permanent, Unauthorized, Unreadable
from worker.flows.step import Step
from worker.ledger.stores import Rights
from worker.stores.permissions import box_of, how_to_tick
from worker.wix.client import WixStore

#: Pauses before a 403 that does not say why counts as meant. W5.
FORBIDDEN_ROUNDS = 3
#: Suspensions by a 401 before it counts as a missing permission, if other calls work. W4.
UNAUTHORIZED_ROUNDS = 2
#: No such order exists: Wix says so only to who may ask (inferred).
NO_ORDER = "00000000-0000-4000-8000-000000000000"
#: Reading calls about one order, made for another one.
_ANOTHER_ORDER: Mapping[str, Callable[[WixStore], object]] = MappingProxyType(
    {
        "get_order": lambda wix: wix.get_order(NO_ORDER),
        "list_fulfillments": lambda wix: wix.list_fulfillments(NO_ORDER),
        "list_transactions": lambda wix: wix.list_transactions(NO_ORDER),
        "get_order_refundability": lambda wix: wix.get_order_refundability(NO_ORDER),
        "calculate_refund": lambda wix: wix.calculate_refund(NO_ORDER, {}),
    }
)
#: What to do if it may be the order, or a permission that was taken away.
_CHECK_ORDER = "Open the order in the Wix dashboard; if there is nothing special about it:"


@dataclass(frozen=True)
class Pause:
    """Ask again later; no attempt is used up."""

    in_ms: int
    whole_store: bool
    """Whether all refunds of the store wait."""


def judge(refusal: Unauthorized, step: Step, rights: Callable[[], Rights]) -> Buried | Pause | None:
    """Return the dead letter or the pause that follows; None to suspend the store.

    Raises:
        Retryable: another call, which tells the cases apart, failed.
    """
    tries, known = step.refund.facts.refusals, rights()
    is_new = refusal.endpoint not in known.lacking
    if is_new and refusal.status == 401 and tries < UNAUTHORIZED_ROUNDS:
        return None
    may_pass = is_new and isinstance(refusal, Forbidden) and tries < FORBIDDEN_ROUNDS
    if may_pass and not tries:
        return Pause(pause_ms(step), whole_store=True)
    letter = _letter(refusal, step, known)
    if may_pass:
        return Pause(pause_ms(step), whole_store=letter is None)
    return letter


def pause_ms(step: Step) -> int:
    """Return how long to wait after a 403 that does not say why; it doubles each time."""
    settings = step.settings
    return min(settings.probe_cap_ms, settings.probe_first_ms << (step.refund.facts.refusals + 1))


def _letter(refusal: Unauthorized, step: Step, known: Rights) -> Buried | None:
    """Ask for other things, and return the dead letter that follows; None if the key is dead."""
    endpoint, wix = refusal.endpoint, step.wix
    worked = known.worked | wix.accepted_endpoints
    tick = how_to_tick(box_of(endpoint))
    another = _ANOTHER_ORDER.get(endpoint)
    if another and _is_accepted(lambda: another(wix)):
        return Buried("order_forbidden", refusal)
    if _is_accepted(wix.search_orders):
        if not another and endpoint in worked and refusal.status == 403:
            return Buried("order_forbidden", refusal, remedy=f"{_CHECK_ORDER} {tick}")
        return Buried("scope_missing", refusal, remedy=tick)
    # Whoever could read orders has lost all that refunds need: they wait.
    if not worked & {"get_order", "search_orders"} and _is_accepted(wix.get_site_properties):
        return Buried("scope_missing", refusal, remedy=tick)
    return None


def _is_accepted(call: Callable[[], object]) -> bool:
    """Whether Wix accepts the key for this call, whatever it says about the order."""
    try:
        call()
    except Unauthorized:
        return False
    except (Permanent, Unreadable):
        pass
    return True
