"""A refund that the ledger forgot while its step ran, as after a restore, is nobody's any more."""

from __future__ import annotations

import io
import json

from tests.support.rig import AFTER, Rig


def test_the_result_of_a_forgotten_refund_is_not_written(rig: Rig, log: io.StringIO) -> None:
    """The lease is lost: no pause as if Redis were away, no bug, and no half of a record."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()

    def forget() -> None:
        for key in rig.redis.keys(rig.key("*")):
            if key.split(":")[1] not in {"installation", "workers", "clock"}:
                rig.redis.delete(key)

    rig.at["before_commit"] = forget
    rig.run_queued()
    events = [json.loads(line)["event"] for line in log.getvalue().splitlines()]
    assert "step.lease_lost" in events
    assert not {"worker.redis_lost", "step.unsettled", "message.quarantined"} & set(events)
    assert rig.pauses == []
    assert rig.ledger.load(refund_id) is None
    assert rig.redis.keys(rig.key("state", "*")) == []
