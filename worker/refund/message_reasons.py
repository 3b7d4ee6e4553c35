"""Reason codes of messages that never became a refund."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.refund.reason_rows import Reason, dead

MESSAGE_REASONS: Mapping[str, Reason] = MappingProxyType({
    "invalid_job": dead(
        "The job has an invalid field, so it did not become a refund.",
        "Correct the named field, then send the job again.", replayable=False),
    "bad_signature": dead(
        "The job is not signed by a known producer, or its signature is wrong, too old or reused.",
        "Find out who wrote it to the queue. If it is wanted, its producer sends it again, signed.",
        replayable=False),
    "store_in_two_cells": dead(
        "The store has refunds in several cells, or in another cell than the directory says.",
        "Write into the directory which cell is right (worker/cells/README.md); then send the job"
        " again.",
        replayable=False),
    "store_not_allowed": dead(
        "The producer of the job may not refund orders of this store.",
        "If it is right, allow the store in REFUNDS_PRODUCER_KEYS; then send the job again.",
        replayable=False),
    "producer_limit": dead(
        "The job asks for more than its producer may refund, or does not say how much.",
        "Ask the producer. Send the refund yourself if it is right, or raise the limit.",
        replayable=False),
    "conflict": dead(
        "A job with the same `refund_id` but different content has already been accepted.",
        "If both refunds are intended, send the job again with a new `refund_id`.",
        replayable=False),
    "undecodable": dead("The message could not be read.", "Find out what wrote it to this queue."),
    "unknown_actor": dead("This version has no actor with this name.",
                           "Deploy a version that has it, then replay."),
})  # fmt: skip
