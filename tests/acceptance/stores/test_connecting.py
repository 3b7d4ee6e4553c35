"""Connecting a store: Wix's answers are interpreted together, in the words of the dashboard."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.connecting import (
    ACCOUNT,
    KEY,
    SITE,
    add_site,
    connect,
    missing_boxes,
    store_events,
    unconnected,
)
from tests.support.rig import AFTER, Rig
from worker.simulator import Fault, Simulator
from worker.simulator.contract.routes import (
    ALL_SCOPES,
    BILLING,
    BUSINESS_INFO,
    CURRENCIES,
    SITES_LIST,
    STORES,
)

#: The box of the dashboard for each scope of the simulator.
BOX = {
    SITES_LIST: "Get Sites List",
    STORES: "Wix Stores",
    BILLING: "Wix Stores",
    CURRENCIES: "Wix Currencies",
    BUSINESS_INFO: "Business Info",
}


@pytest.fixture
def rig(redis_url: str, simulator: Simulator) -> Iterator[Rig]:
    """A worker with a vault, and a site at Wix that is not connected."""
    with unconnected(redis_url, simulator) as made:
        yield made


def _is_saved(rig: Rig) -> bool:
    return bool(rig.redis.exists(rig.key("stores")) or rig.redis.exists(rig.key("store", SITE)))


def test_a_good_key_is_connected(rig: Rig) -> None:
    """Its name, currency, time zone and checklist are saved, its key is encrypted."""
    rig.simulator.add_order(SITE, created_date=AFTER)
    findings = connect(rig)
    assert findings.reason == "connected"
    assert [(check.box, check.result) for check in findings.checks] == [
        ("Get Sites List", "ok"),
        ("Manage Sites", "unknown"),
        ("Wix Stores", "ok"),
        ("Wix Stores", "ok"),
        ("Wix Currencies", "ok"),
        ("Business Info", "ok"),
    ]
    store = rig.stores.find(SITE).public()
    assert (store["state"], store["name"]) == ("connected", "Coffee and more")
    assert (store["currency"], store["time_zone"]) == ("USD", "America/New_York")
    assert len(store["checks"]) == 6
    [event] = store_events(rig)
    assert (event["type"], event["subject"]) == ("store.connected", SITE)
    assert event["data"]["name"] == "Coffee and more"
    assert KEY not in str(rig.redis.hgetall(rig.key("store", SITE)))


def test_only_reading_calls_are_made(rig: Rig) -> None:
    """Nothing is changed at Wix, and no call needs the box Manage Sites."""
    rig.simulator.add_order(SITE, created_date=AFTER)
    connect(rig)
    assert [call["endpoint"] for call in rig.simulator.calls] == [
        "get_site_properties",
        "query_sites",
        "search_orders",
        "get_order_refundability",
        "list_currencies",
        "get_catalog_version",
    ]
    assert rig.simulator.books()["unlisted_calls"] == []


def test_a_store_without_orders_is_connected(rig: Rig) -> None:
    """The checklist says that the permission for refunds could not be checked."""
    findings = connect(rig)
    assert findings.is_good
    refunds = findings.checks[3]
    assert (refunds.result, "no orders yet" in refunds.text) == ("unknown", True)


_SOME = [
    set(missing)
    for size in range(1, len(BOX) + 1)
    for missing in itertools.combinations(sorted(BOX), size)
]


@pytest.mark.parametrize("missing", _SOME, ids=lambda missing: "+".join(sorted(missing)))
@pytest.mark.parametrize("code", ["none", "permission_denied"])
def test_every_combination_of_missing_boxes_is_named(
    rig: Rig, missing: set[str], code: str
) -> None:
    """Each missing box is named, and no other, with or without a code in the 403."""
    rig.simulator.set_flags(refusal_code=code)
    rig.simulator.add_order(SITE, created_date=AFTER)
    add_site(rig, ALL_SCOPES - missing)
    findings = connect(rig)
    assert not findings.is_good
    assert missing_boxes(findings) == {BOX[scope] for scope in missing}
    texts = {check.box: check.text for check in findings.checks if check.result == "missing"}
    assert all(f"tick “{box}”" in text for box, text in texts.items())
    assert not _is_saved(rig)
    assert store_events(rig) == []


def test_the_checklist_is_in_the_dashboards_order_and_words(rig: Rig) -> None:
    """The five boxes as a merchant sees them."""
    findings = connect(rig)
    boxes = list(dict.fromkeys(check.box for check in findings.checks))
    assert boxes == [
        "Get Sites List", "Manage Sites", "Wix Stores", "Wix Currencies", "Business Info",
    ]  # fmt: skip


@pytest.mark.parametrize("account_says", ["401", "403_html"])
def test_a_key_that_wix_does_not_know_is_a_bad_key(rig: Rig, account_says: str) -> None:
    """No box is named, even if the account's list is answered with an HTML page."""
    rig.simulator.set_flags(unknown_account_key=account_says)
    findings = connect(rig, key="IST.another.key.altogether")
    assert findings.reason == "bad_key"
    assert missing_boxes(findings) == set()
    assert not _is_saved(rig)


def test_a_site_that_wix_does_not_know_is_a_wrong_site(rig: Rig) -> None:
    """Wix says META_SITE_NOT_FOUND."""
    findings = connect(rig, site=str(uuid.uuid4()))
    assert findings.reason == "wrong_site"
    assert missing_boxes(findings) == set()


def test_another_accounts_site_is_a_wrong_site(rig: Rig) -> None:
    """The site exists, but belongs to another account than the key."""
    theirs = rig.simulator.add_store(api_key="IST.their.own.key", account_id=str(uuid.uuid4()))
    assert connect(rig, site=theirs).reason == "wrong_site"


def test_another_account_is_named(rig: Rig) -> None:
    """Wix refuses it in the same way as a missing box, so the result names both."""
    findings = connect(rig, account=str(uuid.uuid4()))
    assert findings.reason == "account_refused"
    assert "Account ID" in findings.public()["sentence"]
    assert missing_boxes(findings) == {"Get Sites List"}


def test_an_owner_other_than_the_account_is_a_wrong_account(rig: Rig) -> None:
    """The key's account is only a collaborator of the site."""
    add_site(rig, extra={"ownerAccountId": str(uuid.uuid4())})
    assert connect(rig).reason == "wrong_account"


@pytest.mark.parametrize(
    "more", [{"extra": {"id": str(uuid.uuid4())}}, {"namespace": "DEV_SITE"}, {"namespace": "NEW"}]
)
def test_a_site_that_the_account_does_not_list_is_connected(rig: Rig, more: dict[str, Any]) -> None:
    """Account and site accept the key, which belongs to one account: the ids are right. W80."""
    add_site(rig, **more)
    findings = connect(rig)
    assert findings.reason == "connected"
    [listed] = [check for check in findings.checks if check.box == "Get Sites List"]
    assert (listed.result, "does not list" in listed.text) == ("ok", True)


@pytest.mark.parametrize("missing", [set(), {BUSINESS_INFO}, {SITES_LIST}, {STORES, BILLING}])
def test_swapped_ids_are_recognised(rig: Rig, missing: set[str]) -> None:
    """Wix is asked again with the two ids exchanged."""
    add_site(rig, ALL_SCOPES - missing)
    findings = connect(rig, site=ACCOUNT, account=SITE)
    assert findings.reason == "ids_swapped"
    assert "swapped" in findings.public()["sentence"]
    assert missing_boxes(findings) == set()


@pytest.mark.parametrize("calls", ["ok", "403"])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"trashed_date": "2025-01-01T00:00:00Z"}, "site_trashed"),
        ({"blocked": True}, "site_blocked"),
    ],
)
def test_a_trashed_or_blocked_site_is_not_connected(
    rig: Rig, calls: str, fields: dict[str, Any], reason: str
) -> None:
    """Whatever Wix answers to the other calls."""
    rig.simulator.set_flags(closed_site=calls)
    add_site(rig, **fields)
    findings = connect(rig)
    assert findings.reason == reason
    assert missing_boxes(findings) == set()
    assert not _is_saved(rig)


def test_a_key_for_other_sites_is_recognised(rig: Rig) -> None:
    """The account lists the site, but all calls to it are refused."""
    rig.simulator.add_key(KEY, ACCOUNT, sites={str(uuid.uuid4())})
    findings = connect(rig)
    assert not findings.is_good
    assert findings.reason in {"wrong_site", "site_refused"}


def test_a_refusal_in_html_is_a_refusal(rig: Rig) -> None:
    """A gateway answers 403 with a page instead of JSON."""
    rig.simulator.script(Fault("not_wix", "query_sites", status=403, times=9))
    findings = connect(rig)
    assert missing_boxes(findings) == {"Get Sites List"}


@pytest.mark.parametrize("status", [429, 500, 503, 504])
@pytest.mark.parametrize("endpoint", ["get_site_properties", "query_sites", "search_orders", "*"])
def test_a_failure_of_wix_is_not_called_a_bad_key(rig: Rig, status: int, endpoint: str) -> None:
    """The operator is asked to try again; nothing is saved, and no box is named."""
    rig.simulator.script(Fault("status", endpoint, status=status, times=100))
    findings = connect(rig)
    assert findings.reason == "not_checked"
    assert missing_boxes(findings) == set()
    assert not _is_saved(rig)


@pytest.mark.parametrize("kind", ["drop", "garbage", "empty"])
def test_a_question_without_a_usable_answer_is_repeated(rig: Rig, kind: Any) -> None:
    """Twice, so that one lost packet does not fail the check."""
    rig.simulator.script(Fault(kind, "get_site_properties", times=2))
    assert connect(rig).is_good
    assert rig.pauses == [1.0, 2.0]


def test_if_wix_cannot_be_reached_its_variable_is_named(rig: Rig) -> None:
    """The checklist claims nothing about the orders or the key."""
    rig.simulator.script(Fault("drop", times=100))
    findings = connect(rig)
    assert findings.reason == "not_checked"
    said = " ".join(check.text for check in findings.checks)
    assert f"{rig.settings.wix_base_url} (REFUNDS_WIX_BASE_URL) did not answer" in said
    assert "Wix answered" not in said
    assert "no orders yet" not in said


def test_a_short_retry_after_is_obeyed(rig: Rig) -> None:
    """Two seconds are, but not an hour, because a person is waiting."""
    rig.simulator.script(Fault("status", "query_sites", status=429, retry_after_s=3))
    rig.simulator.script(Fault("status", "query_sites", status=429, retry_after_s=3600))
    assert connect(rig).is_good
    assert rig.pauses == [3.0, 5.0]


def test_a_site_without_wix_stores_is_connected_with_a_note(rig: Rig) -> None:
    """Orders can come from other Wix apps."""
    add_site(rig, catalog_version="STORES_NOT_INSTALLED")
    findings = connect(rig)
    assert findings.is_good
    assert "not installed" in findings.checks[2].text
