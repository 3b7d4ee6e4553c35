"""With REFUNDS_PRODUCER_KEYS only what a known producer has signed becomes a refund."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from statemachine.flows import State
from tests.support.commands import refunds, settings_of
from tests.support.rig import AFTER, STORE_ID, Rig, settings_for
from worker.client import RefundQueue
from worker.simulator import Simulator
from worker.upstream.many import checked_message
from worker.upstream.signing import Signer, signature_of, text_to_sign

OLD_KEY, NEW_KEY, OTHER_KEY = (f"canary-key-{name}-{'x' * 24}" for name in ("old", "new", "other"))
OTHER_STORE = "4b296c48-0000-4000-8000-000000000002"
PRODUCERS = {
    "violet": {"keys": [NEW_KEY, OLD_KEY], "allow": [STORE_ID.upper()]},
    "returns": {"keys": [OTHER_KEY], "allow": ["*"], "limit": {"USD": "20.00"}},
}


@pytest.fixture
def rig(redis_url: str) -> Iterator[Rig]:
    """A worker that wants signatures."""
    rig = Rig(settings_for(redis_url, producer_keys=json.dumps(PRODUCERS)), Simulator())
    yield rig
    rig.close()


def _job(rig: Rig, **more: Any) -> dict[str, Any]:
    ids = {"refund_id": f"rf-{uuid.uuid4()}", "store_id": STORE_ID, "order_id": rig.order(AFTER).id}
    return ids | more


def _send(rig: Rig, job: dict[str, Any], producer: str = "violet", key: str = NEW_KEY) -> str:
    url = rig.settings.redis_url.get_secret_value()
    with RefundQueue(url, namespace=rig.settings.namespace, producer=producer, key=key) as queue:
        return queue.request(**job)


def _letters(rig: Rig) -> list[str]:
    return sorted(letter["reason"] for letter in rig.broker.quarantined().values())


def _refused(rig: Rig, reason: str) -> str:
    """Check that a job was refused and touched nothing; return the detail."""
    rig.run_until_idle()
    [letter] = rig.broker.quarantined().values()
    assert letter["reason"] == reason
    assert rig.ledger.count() == 0
    assert rig.simulator.calls == []
    assert rig.redis.xlen(rig.key("outcomes")) == 0
    return str(letter["detail"])


@pytest.mark.parametrize("key", [OLD_KEY, NEW_KEY])
def test_a_signed_job_becomes_a_refund(rig: Rig, key: str) -> None:
    """With the newest key, and with the one before while keys are exchanged."""
    refund_id = _send(
        rig, _job(rig, metadata={"ü": "€ \u2028 \U0001f600", "\uffff": "\n"}), key=key
    )
    rig.run_until_idle()
    assert rig.load(refund_id).state is State.REFUNDED
    assert rig.ledger.history(refund_id)[0]["producer"] == "violet"


def test_many_jobs_are_signed_too(rig: Rig) -> None:
    """Each with a nonce of its own."""
    url, namespace = rig.settings.redis_url.get_secret_value(), rig.settings.namespace
    with RefundQueue(url, namespace=namespace, producer="violet", key=NEW_KEY) as queue:
        assert queue.request_many(_job(rig) for _ in range(3)).sent == 3
    rig.run_until_idle()
    assert rig.ledger.count() == 3


def test_a_job_that_is_sent_again_is_a_duplicate(rig: Rig) -> None:
    """The producer signs it again; that is no replay."""
    job = _job(rig)
    _send(rig, job)
    rig.run_until_idle()
    _send(rig, job, key=OLD_KEY)
    rig.run_until_idle()
    assert (rig.ledger.count(), _letters(rig)) == (1, [])


def test_an_unsigned_job_is_refused(rig: Rig) -> None:
    """Whoever can write to the queue is not whoever may refund."""
    rig.request(rig.order(AFTER))
    assert _refused(rig, "bad_signature") == "the job is not signed"


def test_a_copy_of_a_message_is_a_replay(rig: Rig) -> None:
    """It is refused, although it would have changed nothing."""
    signer = Signer("violet", NEW_KEY)
    message = checked_message(_job(rig), signer)
    rig.send_raw(message.text, message.place)
    rig.run_until_idle()
    rig.send_raw(message.text, message.place)
    rig.run_until_idle()
    assert _letters(rig) == []
    rig.send_raw(message.text, "copy")
    rig.run_until_idle()
    assert (rig.ledger.count(), _letters(rig)) == (1, ["bad_signature"])


def _message(job: dict[str, Any], signature: Any) -> str:
    return json.dumps(
        {
            "queue_name": "refunds", "actor_name": "request_refund", "args": [], "kwargs": job,
            "options": {"signature": signature}, "message_id": "m", "message_timestamp": 1,
        }
    )  # fmt: skip


def _signed(job: dict[str, Any], *, at_s: float | None = None, **changed: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "producer": "violet",
        "timestamp": int(at_s or time.time()),
        "nonce": "n" * 16,
    }
    text = text_to_sign(given["producer"], given["timestamp"], given["nonce"], job)
    return given | {"signature": signature_of(NEW_KEY, text)} | changed


@pytest.mark.parametrize(
    "changed",
    [
        {"producer": "returns"}, {"producer": "nobody"}, {"producer": 5}, {"producer": None},
        {"timestamp": 1}, {"timestamp": "1"}, {"timestamp": True}, {"nonce": "m" * 16},
        {"nonce": "short"}, {"nonce": 5}, {"nonce": "\ud83d" * 16}, {"signature": ""},
        {"signature": None}, {"signature": "\ud83d"}, {"signature": "A" * 64},
    ],
)  # fmt: skip
def test_a_signature_that_is_wrong_anywhere_is_refused(rig: Rig, changed: dict[str, Any]) -> None:
    """Whatever it is that does not match."""
    job = _job(rig)
    rig.send_raw(_message(job, _signed(job, **changed)))
    _refused(rig, "bad_signature")


@pytest.mark.parametrize("hours", [-24 * 7 - 1, 1])
def test_a_signature_that_is_too_old_or_from_the_future_is_refused(rig: Rig, hours: int) -> None:
    """By the server's time."""
    job = _job(rig)
    rig.send_raw(_message(job, _signed(job, at_s=time.time() + 3600 * hours)))
    assert "too old" in _refused(rig, "bad_signature")


@pytest.mark.parametrize("signature", [None, [], "x", 5, {}])
def test_something_else_in_the_place_of_a_signature_is_refused(rig: Rig, signature: Any) -> None:
    """Whoever can write to the queue may have written it."""
    rig.send_raw(_message(_job(rig), signature))
    _refused(rig, "bad_signature")


@pytest.mark.parametrize(
    "change", [{"amount": "99.00"}, {"metadata": {"a": "b"}}, {"order_id": STORE_ID}, {"x": 1}]
)
def test_a_job_that_was_changed_after_it_was_signed_is_refused(
    rig: Rig, change: dict[str, Any]
) -> None:
    """A field more, or another value."""
    job = _job(rig)
    rig.send_raw(_message(job | change, _signed(job)))
    assert _refused(rig, "bad_signature") == "the signature is wrong"


def test_a_job_of_a_foreign_store_is_refused(rig: Rig) -> None:
    """However the id is written."""
    _send(rig, _job(rig, store_id=OTHER_STORE))
    _refused(rig, "store_not_allowed")


@pytest.mark.parametrize(
    "job",
    [
        {}, {"amount": "20.01", "currency": "USD"}, {"amount": "1.00", "currency": "EUR"},
        {"shipping": "20.01", "currency": "USD"},
        {"additional_fees": [{"additional_fee_id": "f"}]},
    ],
)  # fmt: skip
def test_more_than_the_limit_of_the_producer_is_refused(rig: Rig, job: dict[str, Any]) -> None:
    """Also a job that does not say how much it is about."""
    _send(rig, _job(rig, **job), "returns", OTHER_KEY)
    _refused(rig, "producer_limit")


def test_what_is_within_the_limit_is_refunded(rig: Rig) -> None:
    """Up to the limit itself."""
    job = _job(rig, amount="20.00", currency="USD")
    _send(rig, job, "returns", OTHER_KEY)
    rig.run_until_idle()
    assert rig.load(job["refund_id"]).facts.refund_amount == "20.00"


def test_an_invalid_job_is_told_its_fields_when_it_is_signed(rig: Rig) -> None:
    """The signature says who asks, not that the job is right."""
    job = _job(rig) | {"amount": "1,50"}
    rig.send_raw(_message(job, _signed(job)))
    rig.run_until_idle()
    assert _letters(rig) == ["invalid_job"]


def test_the_command_signs_by_itself(rig: Rig) -> None:
    """It has the worker's settings."""
    environment = settings_of(rig) | {"REFUNDS_PRODUCER_KEYS": json.dumps(PRODUCERS)}
    order = rig.order(AFTER)
    done = refunds(
        None, "request", "--store", STORE_ID, "--order", order.id, "--refund-id", "rf-1",
        environment=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    rig.run_until_idle()
    assert rig.load("rf-1").state is State.REFUNDED


def test_no_key_is_shown_anywhere(rig: Rig) -> None:
    """Neither by the client, nor in a letter, nor in the settings."""
    rig.send_raw(_message({"refund_id": NEW_KEY}, {"producer": NEW_KEY}))
    rig.run_until_idle()
    shown = [
        repr(rig.settings),
        repr(Signer("violet", NEW_KEY)),
        json.dumps(rig.broker.quarantined()),
    ]
    assert not [text for text in shown if "canary-key" in text]


@pytest.mark.parametrize(("producer", "key"), [("", NEW_KEY), ("violet", ""), ("violet", "x" * 31)])
def test_a_producer_without_a_name_or_a_good_key_is_refused(producer: str, key: str) -> None:
    """At once, and not by the worker later."""
    with pytest.raises(ValueError, match="at least 32"):
        RefundQueue("redis://localhost", producer=producer, key=key)
