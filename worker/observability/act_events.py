"""The log events about what people do: a part of the table in `events.py`.

Each act that is in the audit log is also logged, by the command or by the worker that did it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from worker.observability.event import Event

#: Fields of each of them: who, why, in which bulk act, and what was changed.
_ACT = ("operator", "why", "job_id", "before", "after")

ACT_EVENTS: Mapping[str, Event] = MappingProxyType(
    {
        "refund.replayed": Event("info", "A person resumed a dead letter.", _ACT),
        "refund.resolved": Event("info", "A person settled a dead letter elsewhere.", _ACT),
        "refund.discarded": Event("info", "A person gave up a dead letter.", _ACT),
        "refund.edited": Event("info", "A person corrected the job of a dead letter.", _ACT),
        "refund.retried": Event("info", "A person let a waiting refund go at once.", _ACT),
        "refund.called_off": Event("info", "A person called off a refund.", _ACT),
        "refund.held": Event("info", "A person stopped a refund where it is.", _ACT),
        "refund.released": Event("info", "A person let a refund on hold go on.", _ACT),
        "store.paused": Event("info", "A person paused a store, or all of them.", _ACT),
        "operator.acted": Event(
            "info",
            "A person did anything else that is in the audit log, or a worker started with changed"
            " settings.",
            ("act", "subject", *_ACT),
        ),
    }
)

#: The event of each act of the audit log; of any other it is `operator.acted`.
EVENT_OF_ACT: Mapping[str, str] = MappingProxyType(
    {
        "dead.replay": "refund.replayed",
        "dead.resolve": "refund.resolved",
        "dead.discard": "refund.discarded",
        "edit": "refund.edited",
        "retry": "refund.retried",
        "cancel": "refund.called_off",
        "hold": "refund.held",
        "release": "refund.released",
        "pause": "store.paused",
        "stores.pause": "store.paused",
        "resume": "store.resumed",
        "stores.resume": "store.resumed",
    }
)
