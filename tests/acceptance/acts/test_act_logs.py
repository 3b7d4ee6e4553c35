"""What people do is logged in the same shape as what the worker does, with who did it."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.support.commands import refunds
from tests.support.rig import AFTER, STORE_ID, Rig


def _events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_a_command_logs_what_it_did_and_nothing_else(rig: Rig, log: io.StringIO) -> None:
    """Once, although its reply may be lost; an act that is refused is not logged."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_one_step()
    by = ("--by", "ann", "--reason", "the buyer called IST.canary.aaaa.bbbb")
    done = refunds(rig, "hold", refund_id, *by)
    [line] = _events(done.stderr)
    assert (line["event"], line["refund_id"], line["operator"]) == ("refund.held", refund_id, "ann")
    assert line["after"] == {"on_hold": True}
    assert {"version", "host", "pid", "timestamp", "level"} <= set(line)
    assert "canary" not in done.stderr
    again = refunds(rig, "hold", refund_id, *by)
    assert again.returncode == 1
    assert _events(again.stderr) == []
    assert [e["event"] for e in _events(refunds(rig, "release", refund_id).stderr)] == [
        "refund.released"
    ]
    assert log.getvalue().count("refund.held") == 0


def test_acts_on_stores_and_on_all_of_them_name_the_store(rig: Rig) -> None:
    """All stores are `*`."""
    rig.request(rig.order(AFTER))
    rig.run_one_step()
    by = ("--by", "ann", "--reason", "incident 17")
    commands = [
        ("stores", "pause", STORE_ID, *by),
        ("stores", "resume", STORE_ID, "--by", "ann"),
        ("pause", "--all", *by),
        ("resume", "--all", "--by", "ann"),
    ]
    told = [event for each in commands for event in _events(refunds(rig, *each).stderr)]
    assert [(line["event"], line["store_id"], line["operator"]) for line in told] == [
        ("store.paused", STORE_ID, "ann"),
        ("store.resumed", STORE_ID, "ann"),
        ("store.paused", "*", "ann"),
        ("store.resumed", "*", "ann"),
    ]
