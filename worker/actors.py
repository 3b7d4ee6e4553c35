"""The actors: one for each transition, and one that takes jobs in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dramatiq import actor

from config.webhooks import WebhookEntry
from statemachine.flows import Transition
from worker import intake
from worker.cells.routing import Routes
from worker.ledger.refunds import Ledger
from worker.queue.broker import INTAKE, STEPS, Broker
from worker.queue.jobs import current_jobs
from worker.queue.middleware import current_delivery
from worker.refund.producers import Producers
from worker.steps.runner import Steps


def declare_actors(
    broker: Broker,
    ledger: Ledger,
    steps: Steps,
    producers: Producers,
    webhooks: Mapping[str, WebhookEntry],
    routes: Routes | None = None,
) -> None:
    """Declare the actors on the broker. The ledger retries, so no actor has a retry option."""

    # It has a thread of its own (worker.queue.threads).
    @actor(broker=broker, queue_name=INTAKE)
    def request_refund(**_: Any) -> None:
        """Turn upstream's jobs into refunds, all of a batch at once."""
        intake.take(
            current_jobs(),
            ledger=ledger,
            broker=broker,
            producers=producers,
            webhooks=webhooks,
            routes=routes,
        )

    @actor(broker=broker, queue_name=STEPS)
    def assess_order(refund_id: str) -> None:
        """Read the order and choose the flow."""
        steps.run(Transition.ASSESS_ORDER, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def recheck_refund(refund_id: str) -> None:  # noqa: ARG001 - as the older version sends it
        """Leave the look to the watch: only an older version sends this message."""
        message = current_delivery()
        broker.command("ack", message.queue, message_id=message.message_id)

    _cancellation(broker, steps)
    _standard(broker, steps)


def _cancellation(broker: Broker, steps: Steps) -> None:
    @actor(broker=broker, queue_name=STEPS)
    def unfulfill_order(refund_id: str) -> None:
        """Delete the fulfillments."""
        steps.run(Transition.UNFULFILL_ORDER, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def cancel_order(refund_id: str) -> None:
        """Cancel the order."""
        steps.run(Transition.CANCEL_ORDER, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def restore_fulfillments(refund_id: str) -> None:
        """Undo what we did: recreate the fulfillments."""
        steps.run(Transition.RESTORE_FULFILLMENTS, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def void_payments(refund_id: str) -> None:
        """Void the payments that are only authorized."""
        steps.run(Transition.VOID_PAYMENTS, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def confirm_void(refund_id: str) -> None:
        """Wait until the payments are void."""
        steps.run(Transition.CONFIRM_VOID, refund_id, current_delivery())


def _standard(broker: Broker, steps: Steps) -> None:
    @actor(broker=broker, queue_name=STEPS)
    def submit_refund(refund_id: str) -> None:
        """Ask Wix to refund."""
        steps.run(Transition.SUBMIT_REFUND, refund_id, current_delivery())

    @actor(broker=broker, queue_name=STEPS)
    def confirm_refund(refund_id: str) -> None:
        """Wait until the payment provider has settled the refund."""
        steps.run(Transition.CONFIRM_REFUND, refund_id, current_delivery())
