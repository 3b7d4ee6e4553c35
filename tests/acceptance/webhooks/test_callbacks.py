"""A job names a webhook in `callback`: there must be one, or nobody would hear the end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from tests.support.receiver import SECRET
from tests.support.rig import STORE_ID, Rig, settings_for
from worker.refund.request import parse_request
from worker.simulator import Simulator
from worker.upstream.rules import NO_WEBHOOK

OTHER_STORE = "5c3a7d59-0000-4000-8000-000000000002"
Make = Callable[..., Rig]


@pytest.fixture
def make(redis_url: str) -> Iterator[Make]:
    """Return what makes a worker with a webhook `shop`, for some stores."""
    rigs: list[Rig] = []

    def made(stores: list[str]) -> Rig:
        entry = {"url": "https://shop.example/", "secret": SECRET, "stores": stores}
        settings = settings_for(redis_url, webhooks=json.dumps({"shop": entry}))
        rigs.append(Rig(settings, Simulator()))
        return rigs[0]

    yield made
    for each in rigs:
        each.close()


@pytest.mark.parametrize(("name", "stores"), [("other", ["*"]), ("shop", [OTHER_STORE])])
def test_a_job_whose_callback_nobody_hears_is_refused(
    make: Make, name: str, stores: list[str]
) -> None:
    """Before anything is done; a repeat of what was accepted once is a duplicate."""
    rig = make(stores)
    order = rig.order()
    rig.request(order, "rf-1", callback=name)
    rig.run_until_idle()
    [letter] = rig.broker.quarantined().values()
    assert letter["problems"] == {"callback": NO_WEBHOOK}
    assert rig.simulator.calls == []
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": order.id, "callback": name}
    assert rig.ledger.accept(parse_request(job), rig.delivery()) == "accepted"
    rig.request(order, "rf-1", callback=name)
    rig.run_until_idle()
    assert len(rig.broker.quarantined()) == 1


def test_each_outcome_repeats_what_the_caller_knows_it_by(make: Make) -> None:
    """Also a trace parent, which looks like a secret; without them there are no such fields."""
    rig = make([STORE_ID])
    marks = {
        "reason_code": "defective",
        "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "callback": "shop",
    }
    rig.run(rig.order(), refund_id="rf-1", **marks)
    rig.run(rig.order(), refund_id="rf-2")
    events = [json.loads(fields["event"]) for _, fields in rig.redis.xrange(rig.key("outcomes"))]
    for event in events:
        found = {name: event["data"][name] for name in marks if name in event["data"]}
        assert found == (marks if event["subject"] == "rf-1" else {})
    assert len(events) == 4
