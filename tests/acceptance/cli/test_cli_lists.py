"""Lists that commands print: empty ones, and the events for upstream."""

from __future__ import annotations

import json
from typing import Any

from tests.support.commands import refunds
from tests.support.rig import AFTER, Rig


def _json(rig: Rig, *arguments: str) -> Any:
    done = refunds(rig, *arguments, "--json")
    assert done.stderr == ""
    return json.loads(done.stdout)


def test_outcomes_start_only_after_a_stream_id(rig: Rig) -> None:
    """Anything else is wrong usage, and the message gives an example."""
    done = refunds(rig, "outcomes", "--after", "foo")
    assert (done.returncode, done.stdout) == (2, "")
    assert "like 1700000000000-0" in done.stderr


def test_an_empty_list_says_so(rig: Rig) -> None:
    """A header alone looks like an error; for programs, an empty list is an empty list."""
    for arguments, said in (
        (("list",), "No refunds."),
        (("list", "--state", "dead"), "No refunds match."),
        (("dead", "list"), "No dead letters."),
        (("stores", "list"), "No stores; to connect one: refunds stores connect"),
        (("outcomes",), "No events."),
    ):
        done = refunds(rig, *arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", said + "\n")
    assert _json(rig, "list")["refunds"] == []


def test_outcomes_are_printed_one_per_line(rig: Rig) -> None:
    """Readable for people, with a header, and as CloudEvents for programs."""
    refund_id = rig.request(rig.order(AFTER))
    rig.run_until_idle()
    lines = [json.loads(x) for x in refunds(rig, "outcomes", "--json").stdout.splitlines()]
    assert [line["type"] for line in lines] == ["refund.accepted", "refund.finished"]
    header, *_, last = refunds(rig, "outcomes").stdout.splitlines()
    assert header.split() == ["stream", "id", "time", "event", "refund", "or", "store"]
    assert last.split()[-4:] == ["refund.finished", refund_id, "101.40", "USD"]
