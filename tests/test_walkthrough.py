"""Read this first: one refund of each flow, from the job to the money, in order."""

from __future__ import annotations

from statemachine.flows import State
from tests.support.rig import AFTER, BEFORE, STORE_ID, Rig
from worker.simulator import Fault


def test_the_story_of_a_standard_refund(rig: Rig) -> None:
    """A shopper returns a damaged cup that was bought after the cutoff."""
    # Given an order that was paid with two payments
    order = rig.order(AFTER, amounts=("20.00", "5.50"))
    # When upstream puts a job on the queue
    refund_id = rig.request(order, refund_id="rf-2024-000123", reason="damaged")
    # And the worker has accepted it, and the reply to its refund call is lost
    rig.simulator.script(Fault("lost_reply", "submit_refund"))
    rig.run_queued()
    assert rig.load(refund_id).state is State.REFUNDABLE
    assert rig.load(refund_id).intent_at_ms > 0
    # Then it does not call again: it looks, and finds its fingerprint at Wix
    rig.run_until_idle()
    history = rig.ledger.history(refund_id)
    assert [line["event"] for line in history] == [
        "refund.accepted",
        "step.done",  # assess_order: placed after the cutoff, so the standard flow
        "step.retry",  # submit_refund: 504, the effect is unknown
        "step.done",  # submit_refund: the refund is found
        "step.done",  # confirm_refund: the payment provider has settled it
    ]
    assert rig.load(refund_id).state is State.REFUNDED
    # And Wix's own records show one refund, of all that was paid
    books = rig.simulator.books()
    assert books["refunds_per_order"] == {order.id: 1}
    assert books["orders"][order.id]["refunded"] == "25.50"
    assert books["unlisted_calls"] == []


def test_the_story_of_a_cancellation(rig: Rig) -> None:
    """The order was placed before the cutoff, and has been shipped."""
    # Given a fulfilled order that Wix cannot refund, and a merchant's key that was revoked
    order = rig.order(BEFORE, fulfillments=2)
    rig.simulator.add_store(STORE_ID, "IST.another")
    # When its job is sent
    refund_id = rig.request(order)
    rig.run_until_idle()
    # Then the store is suspended, the refund waits in its lane, and the order is unchanged
    store = rig.stores.find(STORE_ID).public()
    assert (store["state"], store["waiting"], store["in_flight"]) == ("suspended", 1, 0)
    assert store["suspended_because"]["reason"] == "key_refused"
    assert rig.load(refund_id).attempts == 0
    assert len(order.fulfillments) == 2
    # When the key works again and a person resumes the store
    rig.simulator.add_store(STORE_ID, rig.settings.stores[STORE_ID].api_key.get_secret_value())
    assert rig.stores.resume(STORE_ID, by="ann")
    rig.run_until_idle()
    # Then both fulfillments are deleted, and the order is cancelled once
    assert rig.load(refund_id).state is State.CANCELLED
    assert order.fulfillments == []
    assert order.cancellations == 1
