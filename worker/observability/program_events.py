"""The log events about the program itself: a part of the table in `events.py`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.observability.event import Event

#: Fields of a delivery.
_DELIVERY = ("webhook", "subject", "type", "attempts", "error", "http_status")

PROGRAM_EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "doctor.refused": Event(
            "error", "This installation is not safe to run; the worker exits.", ("check", "text")
        ),
        "doctor.warning": Event("warning", "This installation could be safer.", ("check", "text")),
        "worker.installed": Event(
            "info", "The ledger was new; it is an installation from now on.", ("installation",)
        ),
        "worker.other_ledger": Event(
            "error",
            "The ledger was emptied or replaced while the worker ran; it exits with code 3.",
            ("installation", "text"),
        ),
        "worker.started": Event(
            "info",
            "The worker is ready and fetches messages.",
            ("worker_id", "threads", "stores", "installation"),
        ),
        "worker.stopping": Event(
            "info",
            "The worker takes no new messages and finishes the running steps.",
            ("signal", "grace_s"),
        ),
        "worker.stopped": Event(
            "info", "All steps have finished; the worker exits.", ("worker_id",)
        ),
        "worker.grace_over": Event(
            "error",
            "Steps were still running when the grace time ended; other workers resume them.",
        ),
        "worker.reclaimed": Event(
            "warning",
            "Workers stopped sending heartbeats; their messages are back in the queue.",
            ("workers",),
        ),
        "worker.vouched": Event(
            "info",
            "Redis was replaced, and this worker named its calls that may be forgotten.",
            ("calls",),
        ),
        "worker.cannot_vouch": Event(
            "warning",
            "Redis has forgotten more than this worker can name: nothing is changed at Wix for"
            " `REFUNDS_SETTLE_DELAY_MS`.",
            ("calls",),
        ),
        "worker.old_primary": Event(
            "warning",
            "The Redis server that answers was replaced by one at which this worker has vouched."
            " Here it changes nothing at Wix for `in_ms`, unless it meets that one again.",
            ("in_ms",),
        ),
        "worker.unknown_to_replicas": Event(
            "warning",
            "The replicas do not confirm that they know this worker; until they do, it changes"
            " nothing at Wix.",
            ("replicas",),
        ),
        "worker.clock_stepped": Event(
            "warning",
            "The clock of the Redis server stepped; waits are measured by the ledger's own clock.",
            ("by_ms",),
        ),
        "worker.redis_lost": Event(
            "warning", "Redis does not answer; the worker keeps trying.", ("error",)
        ),
        "worker.bug": Event(
            "error",
            "The worker failed unexpectedly outside of a step; it keeps running.",
            ("error", "stack", "thread"),
        ),
        "worker.crashed": Event(
            "error", "The program ends because of an unexpected error.", ("error", "stack")
        ),
        "worker.stuck": Event(
            "error",
            "A step takes too long: the worker sends no heartbeat meanwhile, so others take over.",
            ("thread", "silent_s"),
        ),
        "worker.dramatiq": Event(
            "error",
            "dramatiq, the queue library, reports something that no other event says.",
            ("text", "error", "stack", "logger"),
        ),
        "worker.library": Event(
            "warning",
            "Another library, or Python, reports something.",
            ("text", "error", "stack", "logger"),
        ),
        "worker.stderr": Event(
            "warning", "Something else was written to standard error.", ("text",)
        ),
        "log.dropped": Event(
            "warning",
            "Nobody read the log for a while, so lines were dropped; no step waited for it.",
            ("lines",),
        ),
        "metrics.unserved": Event(
            "error", "REFUNDS_METRICS_PORT cannot be used; the worker works without it.", ("error",)
        ),
        "settings.invalid": Event(
            "error", "The worker cannot start: a setting is missing or invalid.", ("problems",)
        ),
        "extra.missing": Event(
            "warning",
            "A variable asks for what is in an extra that is not installed.",
            ("variable", "extra"),
        ),
        "extra.refused": Event(
            "error",
            "An extra cannot use the value of a variable; the program works without it.",
            ("variable", "extra"),
        ),
        "worker.child_ended": Event(
            "error",
            "A worker process ended by itself; it is restarted.",
            ("exit_code", "restart_in_s"),
        ),
        "settings.unknown": Event(
            "warning",
            "An environment variable has our prefix but is not a known setting.",
            ("variable", "nearest"),
        ),
        "api.started": Event("info", "The HTTP API listens.", ("url", "producers", "installation")),
        "api.stopped": Event("info", "The HTTP API has answered its last request, and exits."),
        "api.request": Event(
            "info",
            "The HTTP API answered a request; `operation` is null where the address is unknown.",
            ("method", "operation", "producer", "http_status", "duration_ms"),
        ),
        "api.redis_lost": Event(
            "warning", "Redis does not answer the HTTP API; the client gets 503.", ("error",)
        ),
        "api.bug": Event(
            "error", "The HTTP API failed unexpectedly; the client gets 500.", ("error", "stack")
        ),
        "console.started": Event("info", "The console listens.", ("url", "users", "installation")),
        "console.stopped": Event("info", "The console has answered its last request, and exits."),
        "console.request": Event(
            "info",
            "The console answered a request; `operation` is null where the address is unknown.",
            ("method", "operation", "user", "http_status", "duration_ms"),
        ),
        "console.signed_in": Event(
            "info", "Somebody signed in to the console.", ("user", "role", "address")
        ),
        "console.sign_in_refused": Event(
            "warning", "Somebody tried to sign in with a wrong token.", ("address",)
        ),
        "console.redis_lost": Event(
            "warning", "Redis does not answer the console; the user gets 503.", ("error",)
        ),
        "console.bug": Event(
            "error", "The console failed unexpectedly; the user gets 500.", ("error", "stack")
        ),
        "webhook.retry": Event(
            "warning",
            "A webhook did not take an event; it is sent again later.",
            (*_DELIVERY, "in_ms"),
        ),
        "webhook.dead": Event(
            "error",
            "A webhook did not take an event for three days; `refunds webhooks replay` sends it"
            " again.",
            _DELIVERY,
        ),
        "webhook.failing": Event(
            "error",
            "A webhook took none of the last deliveries: nothing new is sent to it until it takes"
            " one again.",
            ("webhook", "error"),
        ),
        "webhook.recovered": Event("info", "A webhook takes deliveries again.", ("webhook",)),
        "webhook.paused": Event(
            "error",
            "Nothing is sent to a webhook any more, until a person runs `refunds webhooks resume`.",
            ("webhook", "why"),
        ),
        "demo.step": Event("info", "The demo begins its next part.", ("text",)),
    }
)
