"""Webhooks: each outcome is delivered at least once, in order per refund, to a real receiver."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import redis
from standardwebhooks.webhooks import Webhook

from tests.support.commands import refunds
from tests.support.receiver import OLD_SECRET, SECRET, Receiver, receiver
from tests.support.rig import ANN, STORE_ID, Rig, settings_for
from tests.support.webhook_scene import Scene
from worker.ledger.webhooks import FAILING_AFTER, Webhooks
from worker.observability.redaction import MASK
from worker.simulator import Simulator
from worker.webhooks.line import MOST_WAITING

Make = Callable[..., Scene]


@pytest.fixture
def shop() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as running:
        yield running


@pytest.fixture
def make(redis_url: str, simulator: Simulator, shop: Receiver) -> Iterator[Make]:
    """Return what makes a scene, with changes to the webhook's settings."""
    scenes: list[Scene] = []

    def made(**more: object) -> Scene:
        settings = settings_for(redis_url, webhooks=shop.settings(**more))
        scenes.append(Scene(Rig(settings, simulator), shop))
        return scenes[0]

    yield made
    for each in scenes:
        each.close()


@pytest.fixture
def scene(make: Make) -> Scene:
    """A scene with a webhook for all events."""
    return make()


def test_each_outcome_is_delivered_as_it_is_in_the_stream(scene: Scene) -> None:
    """Signed; an independent library verifies it."""
    scene.refund("rf-1", "rf-2")
    scene.turn()
    events = [event for _, event in scene.webhooks.events("0-0", 100)]
    assert [got.body.decode() for got in scene.shop.got] == events
    assert {got.event["type"] for got in scene.shop.got} == {"refund.accepted", "refund.finished"}
    assert {got.headers["content-type"] for got in scene.shop.got} == {
        "application/cloudevents+json"
    }
    assert len({got.headers["webhook-id"] for got in scene.shop.got}) == len(events)
    scene.turn()
    assert len(scene.shop.got) == len(events)


def test_both_secrets_sign_while_they_are_exchanged(make: Make) -> None:
    """The receiver may change to the new one at any time."""
    scene = make(secret=f"{SECRET},{OLD_SECRET}")
    scene.refund("rf-1")
    scene.turn()
    for got in scene.shop.got:
        for secret in (SECRET, OLD_SECRET):
            assert Webhook(secret).verify(got.body.decode(), got.headers)


@pytest.mark.parametrize(
    ("more", "types"),
    [
        ({"types": ["refund.finished"]}, ["refund.finished"]),
        ({"types": ["store.*"]}, []),
        ({"types": ["refund.*", "store.*"]}, ["refund.accepted", "refund.finished"]),
        ({"stores": [STORE_ID]}, ["refund.accepted", "refund.finished"]),
        ({"stores": ["5c3a7d59-0000-4000-8000-000000000002"]}, []),
    ],
)
def test_only_what_is_wanted_is_delivered(
    make: Make, more: dict[str, object], types: list[str]
) -> None:
    """By type and by store."""
    scene = make(**more)
    scene.refund("rf-1")
    scene.turn()
    assert [kind for _, kind in scene.shop.taken()] == types


def test_a_job_names_the_webhook_that_gets_its_outcomes(make: Make) -> None:
    """Whatever its types are; its stores still hold."""
    scene = make(types=["store.*"])
    scene.rig.request(scene.rig.order(), "rf-1", callback="shop")
    scene.rig.request(scene.rig.order(), "rf-2")
    scene.rig.run_until_idle()
    scene.turn()
    assert [subject for subject, _ in scene.shop.taken()] == ["rf-1", "rf-1"]


def test_what_fails_is_tried_again_and_keeps_its_order(scene: Scene) -> None:
    """Later events of the refund wait behind it, others pass; a repeat has the same id."""
    scene.shop.answer = lambda event: 500 if event["subject"] == "rf-1" else 200
    scene.refund("rf-1", "rf-2")
    scene.turn()
    assert scene.shop.taken() == [("rf-2", "refund.accepted"), ("rf-2", "refund.finished")]
    scene.shop.answer = lambda _: 200
    scene.turn()
    assert len(scene.shop.taken()) == 2  # it is not due yet
    scene.make_due()
    scene.turn()
    assert scene.shop.taken()[2:] == [("rf-1", "refund.accepted"), ("rf-1", "refund.finished")]
    ids = [g.headers["webhook-id"] for g in scene.shop.got if g.event["subject"] == "rf-1"]
    assert len(ids) == 3
    assert len(set(ids)) == 2
    assert scene.webhooks.counts("shop") == (0, 0)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(scene: Scene, status: int) -> None:
    """It counts as failed: it may lead into our own network."""
    with receiver() as elsewhere:
        scene.shop.headers["Location"] = elsewhere.url
        scene.shop.answer = lambda _: status
        scene.refund("rf-1")
        scene.turn()
        assert elsewhere.got == []
    assert scene.shop.taken() == []
    assert "redirect" in scene.webhooks.standing("shop").last_error


def test_a_private_address_is_not_connected_to(make: Make) -> None:
    """Unless the settings allow it."""
    scene = make(allow_private=False)
    scene.refund("rf-1")
    scene.turn()
    assert scene.shop.got == []
    assert "not public" in scene.webhooks.standing("shop").last_error


def test_a_failing_receiver_is_spared_and_told(scene: Scene, log: io.StringIO) -> None:
    """After ten failures in a row nothing new is sent; when one is taken, all goes on."""
    scene.shop.answer = lambda _: 503
    scene.refund(*(f"rf-{number}" for number in range(FAILING_AFTER + 5)))
    scene.turn()
    assert len(scene.shop.got) == FAILING_AFTER
    assert log.getvalue().count('"webhook.failing"') == 1
    scene.make_due()
    scene.turn()
    assert len(scene.shop.got) == 2 * FAILING_AFTER
    scene.shop.answer = lambda _: 200
    scene.make_due()
    scene.turn()
    assert '"webhook.recovered"' in log.getvalue()
    assert len(scene.shop.taken()) == 2 * (FAILING_AFTER + 5)
    for number in range(FAILING_AFTER + 5):
        of_refund = [kind for subject, kind in scene.shop.taken() if subject == f"rf-{number}"]
        assert of_refund == ["refund.accepted", "refund.finished"]


def test_what_nobody_takes_for_three_days_is_dead_until_a_person_replays_it(
    scene: Scene, log: io.StringIO
) -> None:
    """The rest of the refund's events go on."""
    scene.shop.answer = lambda event: 400 if event["type"] == "refund.accepted" else 200
    scene.refund("rf-1")
    scene.turn()
    scene.make_due(first_ms=1)
    scene.turn()
    assert '"webhook.dead"' in log.getvalue()
    assert scene.webhooks.counts("shop") == (0, 1)
    assert scene.shop.taken() == [("rf-1", "refund.finished")]
    scene.shop.answer = lambda _: 200
    dead = scene.webhooks.dead("shop")
    again = {place: replace(one, first_ms=0, due_ms=0) for place, one in dead.items()}
    act = ANN.act("webhooks.replay", "shop")
    assert scene.webhooks.act("shop", "replay", act, deliveries=again) == 1
    scene.turn()
    assert scene.shop.taken()[1:] == [("rf-1", "refund.accepted")]
    assert scene.webhooks.counts("shop") == (0, 0)


def test_a_receiver_that_takes_nothing_for_three_days_is_paused(scene: Scene) -> None:
    """Its events are not given up one after the other; a person resumes it."""
    scene.shop.answer = lambda _: 500
    scene.refund(*(f"rf-{number}" for number in range(FAILING_AFTER + 1)))
    scene.turn()
    scene.make_due(first_ms=1)
    scene.turn()
    assert "three days" in scene.webhooks.standing("shop").paused_why
    assert scene.webhooks.counts("shop")[1] == 1
    seen = len(scene.shop.got)
    scene.shop.answer = lambda _: 200
    scene.make_due(first_ms=0)
    scene.turn()
    assert len(scene.shop.got) == seen
    assert scene.webhooks.act("shop", "resume", ANN.act("webhooks.resume", "shop")) == 1
    scene.turn()
    assert len(scene.shop.taken()) == 2 * (FAILING_AFTER + 1) - 1


def test_a_receiver_that_is_gone_is_paused_at_once(scene: Scene) -> None:
    """410, as Standard Webhooks says."""
    scene.shop.answer = lambda _: 410
    scene.refund("rf-1")
    scene.turn()
    assert len(scene.shop.got) == 1
    assert "410" in scene.webhooks.standing("shop").paused_why
    shown = refunds(scene.rig, "status")
    assert shown.returncode == 1
    assert "The webhook shop is paused." in shown.stdout


def test_a_lost_reply_of_redis_repeats_a_delivery(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent is sent again, with the same id, and nothing is left out."""
    noted = Webhooks.note

    def lost(*_: object, **__: object) -> bool:
        raise redis.ConnectionError("lost")

    scene.refund("rf-1")
    monkeypatch.setattr(Webhooks, "note", lost)
    with pytest.raises(redis.ConnectionError):
        scene.turn()
    monkeypatch.setattr(Webhooks, "note", noted)
    scene.turn()
    types = [kind for _, kind in scene.shop.taken()]
    assert types == ["refund.accepted", "refund.accepted", "refund.finished"]
    assert scene.shop.got[0].headers["webhook-id"] == scene.shop.got[1].headers["webhook-id"]


def test_one_worker_delivers_at_a_time(scene: Scene) -> None:
    """Another one goes on when it stops, or when its lease has ended."""
    other = scene.another()
    scene.refund("rf-1")
    other.turn(lambda: False)
    assert scene.shop.got == []
    scene.deliverer.turn(lambda: True)  # it stops
    other.turn(lambda: False)
    assert len(scene.shop.taken()) == 2
    scene.refund("rf-2")
    scene.turn()
    assert len(scene.shop.taken()) == 2
    scene.rig.redis.delete(scene.rig.key("webhook", "shop", "lease"))
    scene.turn()
    assert len(scene.shop.taken()) == 4


def test_a_worker_that_has_lost_its_lease_writes_nothing(scene: Scene) -> None:
    """The delivery is made again by the one that has it; the event comes twice, not never."""
    other = scene.another()

    def overtake(_: object) -> int:
        if not scene.rig.redis.exists(scene.rig.key("overtaken")):
            scene.rig.redis.set(scene.rig.key("overtaken"), 1)
            scene.rig.redis.delete(scene.rig.key("webhook", "shop", "lease"))
            other.turn(lambda: False)
        return 200

    scene.refund("rf-1")
    scene.shop.answer = overtake
    scene.turn()
    assert {kind for _, kind in scene.shop.taken()} == {"refund.accepted", "refund.finished"}
    assert scene.webhooks.standing("shop").delivered == 2


def test_what_waits_is_bounded(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """When too much waits, nothing new is looked at: the stream keeps it."""
    monkeypatch.setattr("worker.webhooks.line.MOST_WAITING", 3)
    scene.shop.answer = lambda event: 500 if event["subject"] != "rf-9" else 200
    scene.refund("rf-1", "rf-2", "rf-3", "rf-9")
    scene.turn()
    assert scene.webhooks.counts("shop") == (3, 0)
    assert MOST_WAITING > 3


def test_no_secret_is_logged_or_kept(scene: Scene, log: io.StringIO) -> None:
    """Neither the secret nor the path of the address."""
    scene.shop.answer = lambda _: 500
    scene.refund("rf-1")
    scene.turn()
    kept = json.dumps(scene.rig.redis.hgetall(scene.rig.key("webhook", "shop", "waiting")))
    for text in (log.getvalue(), kept, repr(scene.rig.settings)):
        assert SECRET not in text
        assert "hook-canary-path" not in text
    assert MASK not in kept
