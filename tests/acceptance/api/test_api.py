"""The HTTP API: jobs go in, refunds and outcomes come out, over real HTTP."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.api import (
    ALL,
    ONE,
    ORDER_ID,
    OTHER,
    OTHER_STORE,
    ApiProgram,
    api_program,
    ask,
    job,
)
from tests.support.rig import STORE_ID, Rig, settings_for
from worker.simulator import Simulator

JSON = {"Content-Type": "application/json", "Idempotency-Key": "rf-1"}


@pytest.fixture(scope="module")
def program(redis_url: str) -> Iterator[ApiProgram]:
    """The API, shared by the tests of this file."""
    with api_program(redis_url, f"t{uuid.uuid4().hex[:12]}") as running:
        yield running


@pytest.fixture
def client(program: ApiProgram) -> Iterator[httpx.Client]:
    """A client that may use all stores."""
    with program.client() as made:
        yield made


@pytest.fixture
def refund_id() -> str:
    """An id that no other test uses."""
    return f"rf-{uuid.uuid4()}"


def problem_of(answer: httpx.Response) -> str:
    """Return which problem an answer has; it must be problem details with the same status."""
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["title"]
    assert told["detail"]
    return str(told["type"].rpartition(":")[2])


def test_a_job_becomes_a_refund_once(client: httpx.Client, refund_id: str) -> None:
    """The first answer is 202; a repeat is 200 and changes nothing; other content is a conflict."""
    first = ask(client, refund_id, reason="damaged")
    assert first.status_code == 202
    assert first.headers["location"] == f"/v1/refunds/{refund_id}"
    assert first.json()["status"] == "processing"
    again = ask(client, refund_id, reason="damaged")
    assert again.status_code == 200
    assert again.json() == first.json()
    other = ask(client, refund_id, reason="late")
    assert (other.status_code, problem_of(other)) == (409, "conflict")
    assert client.get(first.headers["location"]).json() == first.json()


def test_the_idempotency_key_is_the_id_of_the_refund(client: httpx.Client, refund_id: str) -> None:
    """With or without quotes around it, and with or without the id in the job."""
    body = job(refund_id)
    without = {name: value for name, value in body.items() if name != "refund_id"}
    first = client.post("/v1/refunds", json=without, headers={"Idempotency-Key": refund_id})
    assert (first.status_code, first.json()["refund_id"]) == (202, refund_id)
    quoted = client.post("/v1/refunds", json=body, headers={"Idempotency-Key": f'"{refund_id}"'})
    assert quoted.status_code == 200
    other = client.post("/v1/refunds", json=body, headers={"Idempotency-Key": "another"})
    assert (other.status_code, problem_of(other)) == (409, "conflict")
    neither = client.post("/v1/refunds", json=body)
    assert [error["field"] for error in neither.json()["errors"]] == ["Idempotency-Key"]


def test_a_refund_goes_through_the_worker_and_its_outcomes_come_back(
    program: ApiProgram, client: httpx.Client, refund_id: str, redis_url: str
) -> None:
    """A job over HTTP is refunded as one from the queue is; its order finds it."""
    settings = settings_for(redis_url, namespace=program.namespace)
    rig = Rig(settings, Simulator())
    try:
        order = rig.order()
        body = job(refund_id, order_id=order.id, metadata={"ticket": "T-1"})
        assert ask(client, **body).status_code == 202
        rig.run_until_idle()
    finally:
        rig.close()
    shown = client.get(f"/v1/refunds/{refund_id}").json()
    assert (shown["status"], shown["state"]) == ("completed", "refunded")
    assert shown["amount"]["currency"] == order.currency
    listed = client.get("/v1/refunds", params={"order_id": order.id.upper()}).json()
    assert [one["refund_id"] for one in listed["refunds"]] == [refund_id]
    page = client.get("/v1/outcomes", params={"limit": 500}).json()
    mine = [event for event in page["outcomes"] if event["subject"] == refund_id]
    assert [event["type"] for event in mine] == ["refund.accepted", "refund.finished"]
    assert mine[1]["data"]["metadata"] == {"ticket": "T-1"}


def test_a_request_for_outcomes_waits_for_the_next_one(
    client: httpx.Client, refund_id: str
) -> None:
    """It answers when the outcome is there, and the position goes on behind it."""
    after = client.get("/v1/outcomes", params={"limit": 500, "wait_s": 0}).json()["after"]
    pages: list[dict[str, object]] = []

    def wait() -> None:
        with httpx.Client(base_url=client.base_url, headers=client.headers, timeout=60) as other:
            while not pages or not pages[-1]["outcomes"]:
                given = {"after": after, "wait_s": 8}
                pages.append(other.get("/v1/outcomes", params=given).json())

    reader = threading.Thread(target=wait)
    reader.start()
    ask(client, refund_id)
    reader.join(60)
    outcomes: Any = pages[-1]["outcomes"]
    assert [event["subject"] for event in outcomes] == [refund_id]
    empty = client.get("/v1/outcomes", params={"after": str(pages[-1]["after"]), "wait_s": 0})
    assert empty.json() == {"outcomes": [], "after": pages[-1]["after"], "more": False}


def test_a_token_sees_only_its_stores(program: ApiProgram, refund_id: str) -> None:
    """Others' refunds are not there for it: not by id, by order or among the outcomes."""
    with program.client(ONE) as mine, program.client(OTHER) as others:
        assert ask(mine, refund_id).status_code == 202
        assert problem_of(others.get(f"/v1/refunds/{refund_id}")) == "not-found"
        listed = others.get("/v1/refunds", params={"order_id": ORDER_ID}).json()
        assert listed == {"refunds": []}
        page = others.get("/v1/outcomes", params={"limit": 500, "wait_s": 0}).json()
        assert refund_id not in json.dumps(page)
        foreign = ask(mine, f"{refund_id}-2", store_id=OTHER_STORE)
        assert (foreign.status_code, problem_of(foreign)) == (403, "store-not-allowed")
        page = mine.get("/v1/outcomes", params={"limit": 500, "wait_s": 0}).json()
        assert {event["data"]["store_id"] for event in page["outcomes"]} == {STORE_ID}


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", f"Basic {ALL}", f"Bearer {ALL}x", f"{ALL}"],
)
def test_without_a_valid_token_there_is_nothing(program: ApiProgram, header: str | None) -> None:
    """Whatever is asked for; the description of the API is for all."""
    headers = {} if header is None else {"Authorization": header}
    with program.client(None) as nobody:
        for path in ("/v1/outcomes", "/v1/refunds/rf-1", "/v1/unknown"):
            answer = nobody.get(path, headers=headers)
            assert (answer.status_code, problem_of(answer)) == (401, "unauthorized")
            assert answer.headers["www-authenticate"] == "Bearer"
        assert nobody.get("/openapi.json", headers=headers).json()["openapi"] == "3.1.0"


@pytest.mark.parametrize(
    ("body", "headers", "status", "problem"),
    [
        (b"{", JSON, 400, "malformed"),
        (b'{"refund_id": "a", "refund_id": "b"}', JSON, 400, "malformed"),
        (b'{"refund_id": NaN}', JSON, 400, "malformed"),
        (b"\xff\xfe", JSON, 400, "malformed"),
        (b"[" * 60_000, JSON, 400, "malformed"),
        (b'{"metadata": ' + b'{"a":' * 30 + b"1" + b"}" * 31, JSON, 400, "malformed"),
        (b"[]", JSON, 422, "invalid"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "not-json"),
        (b"{}", {}, 415, "not-json"),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 415, "not-json"),
        (b" " * 131_073, JSON, 413, "too-large"),
    ],
)
def test_a_body_that_cannot_be_a_job_is_refused(
    client: httpx.Client, body: bytes, headers: dict[str, str], status: int, problem: str
) -> None:
    """Each with a status and a problem of its own."""
    answer = client.post("/v1/refunds", content=body, headers=headers)
    assert (answer.status_code, problem_of(answer)) == (status, problem)


def test_a_body_without_a_length_is_limited_too(client: httpx.Client) -> None:
    """A chunked body is not read to its end."""
    answer = client.post("/v1/refunds", content=(b" " * 10_000 for _ in range(20)), headers=JSON)
    assert (answer.status_code, problem_of(answer)) == (413, "too-large")


def test_each_invalid_field_is_named(client: httpx.Client) -> None:
    """With the rule that it breaks and the shape of its value, never the value."""
    answer = ask(client, "rf-1", ammount="1", amount="1,50", reason=7, lines=[])
    assert (answer.status_code, problem_of(answer)) == (422, "invalid")
    found = {(error["field"], error["rule"]) for error in answer.json()["errors"]}
    assert found >= {("lines", "empty")}
    answer = ask(client, "rf-1", ammount="1", amount="1,50", reason=7)
    errors = {error["field"]: error for error in answer.json()["errors"]}
    assert {name: error["rule"] for name, error in errors.items()} == {
        "ammount": "unknown",
        "amount": "format",
        "reason": "type",
    }
    assert "amount" in errors["ammount"]["detail"]
    assert errors["amount"]["value"] == '"9,99"'


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        ("after=abc", "after", "format"),
        ("after=99999999999999999999", "after", "format"),
        ("after=1&after=2", "after", "format"),
        ("limit=0", "limit", "format"),
        ("limit=501", "limit", "format"),
        ("wait_s=9", "wait_s", "format"),
        ("wait=1", "parameter", "unknown"),
    ],
)
def test_parameters_are_checked(client: httpx.Client, query: str, field: str, rule: str) -> None:
    """As strictly as the fields of a job."""
    answer = client.get(f"/v1/outcomes?{query}")
    assert problem_of(answer) == "invalid"
    assert [(e["field"], e["rule"]) for e in answer.json()["errors"]] == [(field, rule)]


def test_the_order_id_is_required(client: httpx.Client) -> None:
    """There is no list of all refunds."""
    assert problem_of(client.get("/v1/refunds")) == "invalid"


@pytest.mark.parametrize("refund_id", ["nothing", "%00", "a%2Fb", "%F0%9F%98%80", "-x"])
def test_an_unknown_refund_is_not_found(client: httpx.Client, refund_id: str) -> None:
    """Whatever its id looks like."""
    assert problem_of(client.get(f"/v1/refunds/{refund_id}")) == "not-found"


def test_an_unknown_method_or_address_is_a_problem_too(client: httpx.Client) -> None:
    """Every answer is JSON."""
    answer = client.delete("/v1/refunds")
    assert problem_of(answer) == "method-not-allowed"
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}
    assert problem_of(client.get("/")) == "not-found"


def test_answers_are_kept_by_nobody(client: httpx.Client) -> None:
    """They may hold a buyer's data."""
    answer = client.get("/v1/outcomes", params={"wait_s": 0})
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


def test_a_repeat_counts_once_after_the_ledger_has_forgotten_the_refund(
    program: ApiProgram, client: httpx.Client, refund_id: str, redis_url: str
) -> None:
    """Of a refund that ended long ago, only the end is left; its job is still a repeat."""
    settings = settings_for(redis_url, namespace=program.namespace)
    rig = Rig(settings, Simulator())
    try:
        body = job(refund_id, order_id=rig.order().id)
        ask(client, **body)
        rig.run_until_idle()
        rig.redis.delete(rig.key("watch"))
        keeping = rig.ledger.keeping
        assert keeping.forget(keeping.read([refund_id])) == 1
    finally:
        rig.close()
    again = ask(client, **body)
    assert (again.status_code, again.json()["status"]) == (200, "completed")
    assert again.json()["amount"] is not None
    assert problem_of(client.get(f"/v1/refunds/{refund_id}")) == "not-found"
