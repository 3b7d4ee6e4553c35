"""The metrics: one table for the code, the README and the tests."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple


class Metric(NamedTuple):
    """What one metric is."""

    kind: Literal["gauge", "counter", "histogram"]
    meaning: str
    labels: tuple[str, ...] = ()


#: Of the whole ledger: the same whichever worker is asked.
OF_LEDGER: Mapping[str, Metric] = MappingProxyType(
    {
        "refunds_ledger_up": Metric(
            "gauge", "Whether Redis answered; if it is 0, the others of the ledger are missing."
        ),
        "refunds_by_state": Metric("gauge", "Refunds in each state.", ("state",)),
        "refunds_accepted_total": Metric("counter", "Jobs that became refunds."),
        "refunds_ended_total": Metric(
            "counter",
            "Refunds that reached a final state or became dead letters, by flow and, if they were"
            " not refunded, reason code. One that is replayed can end again.",
            ("state", "flow", "reason"),
        ),
        "refunds_amount_total": Metric(
            "counter", "What was refunded, in units of the currency.", ("currency",)
        ),
        "refunds_oldest_unfinished_seconds": Metric(
            "gauge", "Age of the oldest refund that has not ended."
        ),
        "refunds_waiting": Metric(
            "gauge",
            "Unfinished refunds by place: their store's `lane`, due `later`, `in_flight`"
            " or `on_hold`.",
            ("place",),
        ),
        "refunds_overdue": Metric("gauge", "Refunds due for 30 s or more that were not woken."),
        "refunds_failing": Metric("gauge", "Refunds whose step fails and is tried again."),
        "refunds_approvals_waiting": Metric("gauge", "Refunds that wait for an approval."),
        "refunds_queue_length": Metric("gauge", "Messages in a queue.", ("queue",)),
        "refunds_queue_oldest_seconds": Metric(
            "gauge", "Age of the first message of a queue, by the sender's clock.", ("queue",)
        ),
        "refunds_dead_letters": Metric("gauge", "Dead letters by reason code.", ("reason",)),
        "refunds_dead_letter_oldest_seconds": Metric("gauge", "Age of the oldest dead letter."),
        "refunds_dead_messages": Metric("gauge", "Messages that did not become refunds."),
        "refunds_stores": Metric(
            "gauge",
            "Stores that are `suspended`, `paused`, `paced` (over their rate) or `failing`,"
            " or that have refunds `waiting` for their turn.",
            ("condition",),
        ),
        "refunds_store_lane": Metric(
            "gauge",
            "Refunds in the lane of a store; only with REFUNDS_METRICS_PER_STORE, for at most 1,000"
            " stores with refunds in flight.",
            ("store",),
        ),
        "refunds_rate_wait_seconds": Metric(
            "gauge", "How long until the last store that is over its rate may go on."
        ),
        "refunds_workers": Metric(
            "gauge",
            "Worker processes that are `alive`, or `silent` in the last hour.",
            ("condition",),
        ),
        "refunds_scheduler_lag_seconds": Metric("gauge", "Time since due refunds were last woken."),
        "refunds_reconcile_lag_seconds": Metric(
            "gauge", "Time since lost messages and refunds were last looked for."
        ),
        "refunds_wix_outage": Metric("gauge", "Whether Wix does not answer for most stores."),
        "refunds_redis_memory_bytes": Metric("gauge", "Memory that Redis uses."),
        "refunds_redis_memory_limit_bytes": Metric("gauge", "maxmemory of Redis; 0 for none."),
    }
)

#: Of the program that is asked, all of its processes together.
OF_PROGRAM: Mapping[str, Metric] = MappingProxyType(
    {
        "refunds_worker_info": Metric("gauge", "1, with the version.", ("version",)),
        "refunds_worker_processes": Metric("gauge", "Processes that report."),
        "refunds_worker_threads": Metric("gauge", "Threads for steps."),
        "refunds_worker_threads_busy": Metric("gauge", "Threads that run a step."),
        "refunds_worker_heartbeat_age_seconds": Metric(
            "gauge", "Time since the last heartbeat of the process that is silent for longest."
        ),
        "refunds_worker_events_total": Metric(
            "counter", "Log events, also those below REFUNDS_LOG_LEVEL.", ("event",)
        ),
        "refunds_worker_steps_total": Metric(
            "counter", "Steps by how they ended.", ("transition", "result")
        ),
        "refunds_worker_step_seconds": Metric("histogram", "Duration of steps.", ("transition",)),
        "refunds_worker_wix_calls_total": Metric(
            "counter",
            "Calls to Wix by HTTP status, or by the type of the error.",
            ("endpoint", "status"),
        ),
        "refunds_worker_wix_call_seconds": Metric(
            "histogram", "Duration of calls to Wix.", ("endpoint",)
        ),
        "refunds_worker_redis_seconds": Metric(
            "histogram", "Duration of a heartbeat, which is one round trip to Redis."
        ),
        "refunds_worker_log_lines_dropped_total": Metric(
            "counter", "Log lines that nobody read in time."
        ),
    }
)
METRICS: Mapping[str, Metric] = MappingProxyType({**OF_LEDGER, **OF_PROGRAM})


def metrics_table() -> str:
    """Return the table as Markdown, for the README."""
    rows = ["| metric | kind | labels | meaning |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {m.kind} | {', '.join(f'`{label}`' for label in m.labels)} | {m.meaning} |"
        for name, m in METRICS.items()
    ]
    return "\n".join(rows) + "\n"
