"""A job's metadata belongs to the caller: kept and returned whole, masked only for people."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.letters import letters
from tests.support.rig import AFTER, ANN, KEY, STORE_ID, Rig
from worker.cli.main import app
from worker.observability.redaction import MASK
from worker.operations import dead_letters
from worker.refund.outcomes import read
from worker.refund.request import parse_request

#: Fields whose names only contain the word for a secret, and values that look like secrets.
METADATA = {
    "checkout_token": "ck_7f31",
    "cart_token": "cart-9",
    "stores": "two",
    "email_campaign": "spring",
    "password": "hunter22",
    "contact": "buyer@example.com",
    "note": f"key {KEY}",
}


def test_metadata_is_kept_and_returned_whole(rig: Rig) -> None:
    """In the record, and in each outcome about the refund."""
    refund = rig.run(rig.order(AFTER), metadata=METADATA)
    assert refund.request.metadata == METADATA
    events = [event for _, event in read(rig.redis, rig.settings.namespace)]
    found = [event["data"]["metadata"] for event in events if event["type"].startswith("refund.")]
    assert len(found) >= 2
    assert all(metadata == METADATA for metadata in found)


@pytest.mark.parametrize("name", sorted(METADATA))
def test_jobs_that_differ_in_metadata_are_different_jobs(name: str) -> None:
    """Even if both values are masked in the same way."""
    job: dict[str, Any] = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": STORE_ID}
    other = METADATA | {name: METADATA[name].replace("a", "o") + "x"}
    one, two = (parse_request(job | {"metadata": given}) for given in (METADATA, other))
    assert one.digest != two.digest


def test_a_second_job_with_another_token_is_a_conflict(rig: Rig) -> None:
    """It must not be dropped as a repetition of the first."""
    order = rig.order(AFTER)
    refund_id = rig.request(order, metadata={"checkout_token": "one"})
    rig.request(order, refund_id, metadata={"checkout_token": "two"})
    rig.run_until_idle()
    found = letters(rig)
    assert [letter["reason"] for letter in found] == ["conflict"]


def test_metadata_is_masked_where_people_see_it(
    rig: Rig, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In logs and in what commands show: secrets by their value or by the exact name of a field."""
    monkeypatch.setenv("REFUNDS_REDIS_URL", rig.settings.redis_url.get_secret_value())
    monkeypatch.setenv("REFUNDS_NAMESPACE", rig.settings.namespace)
    rig.request(rig.order(AFTER), "rf-1", metadata=METADATA)
    rig.run_until_idle()
    shown = CliRunner().invoke(app, ["show", "rf-1", "--json"]).stdout
    assert json.loads(shown)["request"]["metadata"] == METADATA | {
        "password": MASK,
        "contact": MASK,
        "note": f"key {MASK}",
    }
    text = CliRunner().invoke(app, ["show", "rf-1"]).stdout
    assert "ck_7f31" in text
    for seen in (text, log.getvalue()):
        assert not [canary for canary in ("hunter22", "buyer@", "canary") if canary in seen]


def test_what_upstream_reads_is_whole(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """`refunds outcomes --json` is for programs: it prints the events unchanged."""
    monkeypatch.setenv("REFUNDS_REDIS_URL", rig.settings.redis_url.get_secret_value())
    monkeypatch.setenv("REFUNDS_NAMESPACE", rig.settings.namespace)
    rig.request(rig.order(AFTER), "rf-1", metadata=METADATA)
    rig.run_until_idle()
    printed = CliRunner().invoke(app, ["outcomes", "--json"]).stdout
    events = [event for _, event in read(rig.redis, rig.settings.namespace)]
    assert [json.loads(line) for line in printed.splitlines()] == events


def test_a_message_for_a_later_version_keeps_its_metadata(rig: Rig) -> None:
    """Its dead letter can be replayed as it arrived, whatever the metadata is."""
    job = {"refund_id": "rf-1", "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
    body = {
        "queue_name": "refunds", "actor_name": "of_tomorrow", "args": [],
        "kwargs": job | {"metadata": METADATA},
        "options": {}, "message_id": "m-1", "message_timestamp": 1,
    }  # fmt: skip
    rig.send_raw(json.dumps(body))
    rig.run_queued()
    shown = dead_letters.find(rig.ledger, rig.broker, "m-1")
    assert "hunter22" not in str(shown)
    dead_letters.replay(rig.acts, "m-1", operator=ANN)
    kept = json.loads(rig.redis.hget(rig.key("refunds.msgs"), "m-1"))
    assert kept["kwargs"]["metadata"] == METADATA
