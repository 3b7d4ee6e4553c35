"""`refunds outcomes --group`, and how far behind each group is."""

from __future__ import annotations

import json

from tests.support.commands import refunds
from tests.support.rig import AFTER, Rig
from worker.client import RefundQueue
from worker.operations.outcome_groups import groups_of_outcomes


def test_what_was_printed_is_read(rig: Rig) -> None:
    """The next command of the group goes on behind it; another group begins at the start."""
    rig.run(rig.order(AFTER), refund_id="rf-1")
    first = refunds(rig, "outcomes", "--group", "billing", "--json")
    types = [json.loads(line)["type"] for line in first.stdout.splitlines()]
    assert types == ["refund.accepted", "refund.finished"]
    again = refunds(rig, "outcomes", "--group", "billing")
    assert (again.stdout, again.stderr) == ("", "No events.\n")
    other = refunds(rig, "outcomes", "--group", "mail", "--json")
    assert other.stdout == first.stdout


def test_wrong_names_are_refused(rig: Rig) -> None:
    """With the usual exit code."""
    assert refunds(rig, "outcomes", "--consumer", "one").returncode == 2
    assert refunds(rig, "outcomes", "--group", "a b").returncode == 2


def test_the_status_says_how_far_behind_a_group_is(rig: Rig, queue: RefundQueue) -> None:
    """What it has not read, and what it has read but not acknowledged."""
    rig.run(rig.order(AFTER), refund_id="rf-1")
    events = queue.outcomes(group="billing", consumer="one")
    events.acknowledge(next(events))
    rig.run(rig.order(AFTER), refund_id="rf-2")
    told = json.loads(refunds(rig, "status", "--json").stdout)["consumers"]
    assert told == [{"group": "billing", "consumers": 1, "lag": 2, "pending": 1}]
    assert "2 events not read, 1 not acknowledged" in refunds(rig, "status").stdout


def test_an_old_server_that_does_not_tell_the_lag_is_counted(rig: Rig, queue: RefundQueue) -> None:
    """Before Redis 7 there is no such number."""
    rig.run(rig.order(AFTER), refund_id="rf-1")
    next(queue.outcomes(group="g", consumer="one"))
    rig.redis.xadd(rig.key("outcomes"), {"event": "{}"})

    class Old:
        """A client of such a server."""

        exists, xrange = rig.redis.exists, rig.redis.xrange

        def xinfo_groups(self, stream: str) -> list[dict[str, object]]:
            """Return the groups, without what only a newer server tells."""
            [group] = rig.redis.xinfo_groups(stream)
            return [{name: value for name, value in group.items() if name != "lag"}]

    [found] = groups_of_outcomes(Old(), rig.settings.namespace)  # type: ignore[arg-type]  # a stand-in
    assert found["lag"] == 1
