"""A server that becomes unfit while the worker runs is noticed."""

from __future__ import annotations

import io
import json

from tests.support.rig import Rig
from worker.demo.embedded import embedded_server
from worker.ledger.connection import redis_client
from worker.operations.fitness import Fitness


def test_a_policy_that_is_changed_under_way_is_told_once(rig: Rig, log: io.StringIO) -> None:
    """The worker goes on, but says that it is not ready, until the policy is put right."""
    with embedded_server() as url, redis_client(url) as client:
        fitness = Fitness(client, 0, rig.settings.namespace)
        found = []
        for policy in ("noeviction", "allkeys-lru", "allkeys-lru", "noeviction"):
            client.config_set("maxmemory-policy", policy)
            fitness.turn()
            found.append(fitness.is_fit)
        assert found == [True, False, False, True]
    told = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [(line["event"], line["check"]) for line in told] == [("doctor.refused", "memory")]
