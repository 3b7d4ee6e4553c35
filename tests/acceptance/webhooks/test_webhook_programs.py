"""Webhooks of real worker programs: a slow receiver, workers that are killed, the commands."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from config.loading import load_settings
from tests.support.commands import refunds, settings_of
from tests.support.processes import wait_until
from tests.support.receiver import Receiver, receiver
from tests.support.rig import Rig
from tests.support.worker_program import worker
from worker.app import deliverers_from
from worker.refund.outcomes import TYPES
from worker.simulator import serve
from worker.webhooks.sending import is_public
from worker.webhooks.signing import delivery_id


@pytest.fixture
def shop() -> Iterator[Receiver]:
    """A receiver."""
    with receiver() as running:
        yield running


def _is_over(rig: Rig, refund_id: str) -> bool:
    refund = rig.ledger.load(refund_id)
    return refund is not None and refund.state == "refunded"


def test_a_receiver_that_hangs_delays_no_refund(rig: Rig, shop: Receiver) -> None:
    """It has a thread of its own, and the worker stops without waiting for it."""
    answered = threading.Event()
    shop.answer = lambda _: 200 if answered.wait(60) else 500
    orders = [rig.order() for _ in range(3)]
    with (
        serve(rig.simulator) as url,
        worker(rig, url, REFUNDS_WEBHOOKS=shop.settings()) as program,
    ):
        wait_until(lambda: rig.redis.exists(rig.key("webhook", "shop")))
        for number, order in enumerate(orders):
            rig.request(order, f"rf-{number}")
        wait_until(lambda: all(_is_over(rig, f"rf-{number}") for number in range(3)))
        assert rig.ledger.webhooks.standing("shop").delivered == 0
        os.killpg(program.pid, signal.SIGTERM)
        assert program.wait(30) == 0
        answered.set()


def test_workers_that_are_killed_deliver_each_outcome(rig: Rig, shop: Receiver) -> None:
    """At least once, in order per refund, each with the same id: kill -9 after every few."""
    ids = [f"rf-{number}" for number in range(8)]
    orders = [rig.order() for _ in ids]

    def all_delivered() -> bool:
        return {s for s, kind in shop.taken() if kind == TYPES["finished"]} == set(ids)

    def has_got(count: int) -> bool:
        return len(shop.got) >= count or all_delivered()

    with serve(rig.simulator) as url:
        for round_ in range(4):
            rig.redis.delete(rig.key("webhook", "shop", "lease"))  # it ends after half a minute
            with worker(rig, url, REFUNDS_WEBHOOKS=shop.settings()) as program:
                wait_until(lambda: rig.redis.exists(rig.key("webhook", "shop")))
                if not round_:
                    for refund_id, order in zip(ids, orders, strict=True):
                        rig.request(order, refund_id)
                wait_until(partial(has_got, len(shop.got) + 3))
                os.killpg(program.pid, signal.SIGKILL)
        rig.redis.delete(rig.key("webhook", "shop", "lease"))
        with worker(rig, url, REFUNDS_WEBHOOKS=shop.settings()):
            wait_until(all_delivered)
    for refund_id in ids:
        kinds = [kind for subject, kind in shop.taken() if subject == refund_id]
        assert list(dict.fromkeys(kinds)) == [TYPES["accepted"], TYPES["finished"]]
    assert all(got.headers["webhook-id"] == delivery_id(got.event) for got in shop.got)


def _refunds(rig: Rig, shop: Receiver, *arguments: str, **more: object) -> tuple[int, str]:
    environment = settings_of(rig) | {"REFUNDS_WEBHOOKS": shop.settings(**more)}
    done = refunds(rig, "webhooks", *arguments, environment=environment)
    assert "hook-canary-path" not in done.stdout + done.stderr
    return done.returncode, done.stdout + done.stderr


def test_the_commands(rig: Rig, shop: Receiver) -> None:
    """List, test, pause, resume and replay, as a person types them."""
    settings = rig.settings.model_copy(update={"webhooks": _entries(shop)})
    [deliverer] = deliverers_from(settings, rig.ledger)
    deliverer.turn(lambda: False)
    code, said = _refunds(rig, shop, "test", "shop")
    assert (code, "HTTP 200" in said) == (0, True)
    assert shop.got[-1].event["type"] == "webhook.test"
    code, said = _refunds(rig, shop, "test", "shop", allow_private=False)
    assert (code, "not public" in said) == (1, True)
    assert _refunds(rig, shop, "test", "nothing")[0] == 1
    assert _refunds(rig, shop, "pause", "shop", "--reason", "they move", "--by", "ann")[0] == 0
    assert _refunds(rig, shop, "pause", "shop", "--reason", "again")[0] == 1
    assert "paused: ann: they move" in _refunds(rig, shop, "list")[1]
    rig.request(rig.order(), "rf-1")
    rig.run_until_idle()
    deliverer.turn(lambda: False)
    assert len(shop.got) == 1
    assert _refunds(rig, shop, "resume", "shop")[0] == 0
    assert _refunds(rig, shop, "resume", "shop")[0] == 1
    deliverer.turn(lambda: False)
    assert len(shop.got) == 3
    told = json.loads(_refunds(rig, shop, "list", "--json")[1])["webhooks"][0]
    assert (told["name"], told["state"], told["delivered"]) == ("shop", "active", 2)
    assert _refunds(rig, shop, "replay", "shop", "--all")[0] == 1
    assert _refunds(rig, shop, "replay", "shop")[0] == 2
    acts = refunds(rig, "audit-log", "--json").stdout
    assert "webhooks.pause" in acts
    assert "webhooks.resume" in acts
    deliverer.turn(lambda: True)


def _entries(shop: Receiver) -> dict[str, object]:
    given = {"REFUNDS_REDIS_URL": "redis://localhost", "REFUNDS_WEBHOOKS": shop.settings()}
    return dict(load_settings(given).webhooks)


def test_a_new_secret_fits_the_settings(rig: Rig, shop: Receiver) -> None:
    """As Standard Webhooks writes it."""
    code, said = _refunds(rig, shop, "secret")
    assert code == 0
    assert _refunds(rig, shop, "list", secret=said.strip())[0] == 0
    for wrong in ("whsec_short", "no-prefix", ""):
        assert _refunds(rig, shop, "list", secret=wrong)[0] == 2
    for url in ("http://shop.example/", "ftp://shop.example", "https://a:b@shop.example/", "x"):
        assert _refunds(rig, shop, "list", url=url)[0] == 2


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - to be refused
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:93.184.216.34", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::a00:1", False),
        ("2002:7f00:1::", False),
        ("2002:c0a8:101::1", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("fec0::1", False),
        ("64:ff9b:1::7f00:1", False),
        ("3fff::1", False),
        ("5f00::1", False),
        ("64:ff9b::101:101", True),
    ],
)
def test_private_addresses_are_known(address: str, *, public: bool) -> None:
    """Also those that are written inside of an IPv6 address."""
    assert is_public(address) is public
