"""What a producer may ask for over HTTP: its limit, and those of its signed jobs."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.support.api import CAPPED, ONE, OTHER_STORE, ApiProgram, api_program, ask
from tests.support.rig import STORE_ID, Rig, settings_for
from worker.simulator import Simulator


def _kind(answer: httpx.Response) -> str:
    return str(answer.json()["type"].rpartition(":")[2])


@pytest.fixture(scope="module")
def running(redis_url: str) -> Iterator[ApiProgram]:
    """The program, which these tests share: each asks for another refund."""
    with api_program(redis_url, f"t{uuid.uuid4().hex[:12]}") as running:
        yield running


@pytest.mark.parametrize(
    ("refund_id", "amounts", "status"),
    [
        ("rf-whole", {"amount": "20.00", "currency": "USD"}, 202),
        ("rf-over", {"amount": "20.01", "currency": "USD"}, 403),
        ("rf-other", {"amount": "1.00", "currency": "EUR"}, 403),
        ("rf-unknown", {}, 403),
    ],
)
def test_a_producer_may_have_a_limit_per_refund(
    running: ApiProgram, refund_id: str, amounts: dict[str, str], status: int
) -> None:
    """As with signed jobs; what is over it is not recorded."""
    with running.client(CAPPED) as capped:
        answer = ask(capped, refund_id, **amounts)
        assert answer.status_code == status
        if status == 403:
            assert _kind(answer) == "producer-limit"
            assert capped.get(f"/v1/refunds/{refund_id}").status_code == 404


def test_a_callback_that_nobody_hears_is_an_invalid_field(running: ApiProgram) -> None:
    """Who asks is told at once, and not which webhooks there are."""
    with running.client() as client:
        answer = ask(client, "rf-called", callback="billing")
        assert (answer.status_code, _kind(answer)) == (422, "invalid")
        [error] = answer.json()["errors"]
        assert (error["field"], error["rule"]) == ("callback", "format")


def test_what_limits_signed_jobs_limits_those_of_the_api(redis_url: str) -> None:
    """A producer of the same name has the same stores and the same limit; who asked is kept."""
    entry = {"keys": ["k" * 32], "allow": [STORE_ID], "limit": {"USD": "20.00"}}
    namespace = f"t{uuid.uuid4().hex[:12]}"
    keys = json.dumps({"all": entry})
    usd = {"currency": "USD"}
    with (
        api_program(redis_url, namespace, REFUNDS_PRODUCER_KEYS=keys) as running,
        running.client() as client,
        running.client(ONE) as other,
    ):
        foreign = ask(client, "rf-1", store_id=OTHER_STORE, amount="1.00", **usd)
        assert _kind(foreign) == "store-not-allowed"
        assert _kind(ask(client, "rf-1", amount="20.01", **usd)) == "producer-limit"
        assert ask(client, "rf-1", amount="20.00", **usd).status_code == 202
        assert ask(other, "rf-2", amount="20.01", **usd).status_code == 202
    rig = Rig(settings_for(redis_url, namespace=namespace), Simulator())
    assert rig.ledger.history("rf-1")[0]["producer"] == "all"
    rig.close()
