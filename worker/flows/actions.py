"""The action of each transition: what it reads at Wix, and the one change that it makes there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from statemachine.flows import Transition
from worker.flows.assessment import assess_order
from worker.flows.cancellation import cancel_order
from worker.flows.confirming import confirm_refund
from worker.flows.restoring import restore_fulfillments
from worker.flows.standard import submit_refund
from worker.flows.step import Advance, Step, Wait
from worker.flows.unfulfilling import unfulfill_order
from worker.flows.voiding import confirm_void, void_payments

ACTIONS: Mapping[Transition, Callable[[Step], Advance | Wait]] = MappingProxyType(
    {
        Transition.ASSESS_ORDER: assess_order,
        Transition.UNFULFILL_ORDER: unfulfill_order,
        Transition.CANCEL_ORDER: cancel_order,
        Transition.VOID_PAYMENTS: void_payments,
        Transition.CONFIRM_VOID: confirm_void,
        Transition.RESTORE_FULFILLMENTS: restore_fulfillments,
        Transition.SUBMIT_REFUND: submit_refund,
        Transition.CONFIRM_REFUND: confirm_refund,
    }
)
