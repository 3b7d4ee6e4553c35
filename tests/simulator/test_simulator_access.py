"""Which key may make which call: keys, boxes, accounts, sites. W1, W3 to W6, W10."""

from __future__ import annotations

import httpx
import pytest

from tests.support.wix_caller import ACCOUNT, AFTER, KEY, NOBODY, SITE, Wix, code
from worker.simulator.contract.routes import ALL_SCOPES

WITHIN = {"query": {"filter": {"id": {"$in": [SITE]}}}}
HEADLESS = {"namespace": {"$in": ["WIX", "HEADLESS"]}}

#: A read-only call for each box of a key.
PROBES = {
    "Wix Stores": ("POST", "/ecom/v1/orders/search", {"search": {}}),
    "Order Billing": (
        "POST",
        "/ecom/v1/order-billing/get-order-refundability",
        {"orderId": NOBODY},
    ),
    "Wix Currencies": ("GET", "/currency_converter/v1/currencies", None),
    "Business Info": ("GET", "/site-properties/v4/properties", None),
}


@pytest.fixture
def wix() -> Wix:
    """A simulator with one store."""
    return Wix()


def _probe(wix: Wix, box: str, key: str = KEY, **headers: str) -> httpx.Response:
    verb, path, body = PROBES[box]
    return wix.call(verb, path, body, key=key, **headers)


@pytest.mark.parametrize("missing", sorted(PROBES))
def test_a_missing_box_is_refused_at_its_own_endpoints_only(wix: Wix, missing: str) -> None:
    """403 with an empty description; all other endpoints still work."""
    wix.simulator.change_key(KEY, scopes=ALL_SCOPES - {missing})
    refused = {box for box in PROBES if _probe(wix, box).status_code == 403}
    assert refused == {missing}
    body = _probe(wix, missing).json()
    assert body["details"].get("applicationError", {"description": ""})["description"] == ""


def test_site_properties_name_their_refusal(wix: Wix) -> None:
    """With PERMISSION_DENIED or META_SITE_NOT_FOUND (documented)."""
    unknown = _probe(wix, "Business Info", wix_site_id=NOBODY)
    wix.simulator.change_key(KEY, scopes=ALL_SCOPES - {"Business Info"})
    assert code(_probe(wix, "Business Info")) == (403, "PERMISSION_DENIED")
    assert code(unknown) == (404, "META_SITE_NOT_FOUND")


def test_the_site_list_needs_its_own_box(wix: Wix) -> None:
    """Get Sites List; the box Manage Sites does not matter."""
    wix.simulator.change_key(KEY, scopes=ALL_SCOPES - {"Manage Sites"})
    assert wix.account("query", WITHIN).status_code == 200
    wix.simulator.change_key(KEY, scopes=ALL_SCOPES - {"Get Sites List"})
    assert wix.account("query", WITHIN).status_code == 403


def test_without_a_key_the_site_list_is_a_page(wix: Wix) -> None:
    """403 with text/html (observed); what an unknown key gets is a flag (unknown)."""
    answer = wix.account("query", WITHIN, key="")
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html")
    assert wix.account("query", WITHIN, key="IST.other").status_code == 401
    wix.simulator.set_flags(unknown_account_key="403_html")
    assert wix.account("query", WITHIN, key="IST.other").headers["content-type"] == "text/html"


def test_another_account_is_refused(wix: Wix) -> None:
    """Even with a valid key; so is a site of another account."""
    assert wix.account("query", WITHIN, account=NOBODY).status_code == 403
    other = wix.simulator.add_store(api_key="IST.other")
    for box in PROBES:
        assert _probe(wix, box, wix_site_id=other).status_code == 403


def test_a_key_may_be_limited_to_some_sites(wix: Wix) -> None:
    """Other sites are refused, and are not listed (documented)."""
    second = wix.simulator.add_store(account_id=ACCOUNT, api_key="IST.second")
    wix.simulator.add_key("IST.limited", ACCOUNT, sites=[second])
    assert _probe(wix, "Wix Currencies", "IST.limited").status_code == 403
    assert _probe(wix, "Wix Currencies", "IST.limited", wix_site_id=second).status_code == 200
    listed = wix.account("query", {}, key="IST.limited").json()["sites"]
    assert [site["id"] for site in listed] == [second]
    assert wix.account("count", {}).json() == {"count": 2}


def test_a_revoked_key_is_refused_and_its_successor_accepted(wix: Wix) -> None:
    """401 by default, 403 with the flag (unknown)."""
    wix.simulator.replace_key(KEY, "IST.new")
    assert {_probe(wix, box).status_code for box in PROBES} == {401}
    assert {_probe(wix, box, "IST.new").status_code for box in PROBES} == {200, 404}
    wix.simulator.set_flags(revoked_key="403")
    assert {_probe(wix, box).status_code for box in PROBES} == {403}
    wix.simulator.revoke_key("IST.new")
    assert wix.account("query", WITHIN, key="IST.new").status_code == 403
    assert wix.simulator.api_key_of(SITE) == "IST.new"


def test_a_new_key_of_the_same_store_replaces_the_old(wix: Wix) -> None:
    """The store's name and account stay the same."""
    wix.simulator.change_store(SITE, name="Zoë")
    wix.simulator.add_store(SITE, "IST.another")
    assert _probe(wix, "Business Info").status_code == 401
    answer = _probe(wix, "Business Info", "IST.another").json()
    assert answer["properties"]["siteDisplayName"] == "Zoë"
    assert wix.account("query", WITHIN, key="IST.another").status_code == 200


def test_wrong_boxes_are_refused_when_a_key_is_made(wix: Wix) -> None:
    """Otherwise a misspelt box would make a test meaningless."""
    with pytest.raises(ValueError, match=r"no such scopes: \['Wix Shops'\]"):
        wix.simulator.add_key("k", ACCOUNT, scopes=["Wix Shops"])


@pytest.mark.parametrize(("flag", "status"), [("ok", 200), ("403", 403)])
def test_a_closed_site_is_shown_as_such(wix: Wix, flag: str, status: int) -> None:
    """The list shows that it is in the trash or blocked; the answer to its calls is unknown."""
    wix.simulator.set_flags(closed_site=flag)
    wix.simulator.change_store(SITE, trashed_date="2025-05-05T00:00:00Z", blocked=True)
    site = wix.account("query", WITHIN).json()["sites"][0]
    assert (site["trashedDate"], site["blocked"]) == ("2025-05-05T00:00:00Z", True)
    assert _probe(wix, "Wix Currencies").status_code == status


def test_only_premium_sites_list_currencies(wix: Wix) -> None:
    """Documented for Velo; a flag, because the REST API may differ. W82."""
    wix.simulator.change_store(SITE, premium=False)
    assert _probe(wix, "Wix Currencies").status_code == 403
    wix.simulator.set_flags(currencies_need_premium=False)
    listed = _probe(wix, "Wix Currencies").json()["currencies"]
    assert {"code": "EUR", "symbol": "€"} in listed


def test_sites_are_found_by_filter_page_and_namespace(wix: Wix) -> None:
    """HEADLESS sites only if the filter includes them (documented); pages by cursor."""
    more = {"account_id": ACCOUNT, "api_key": KEY}
    headless = wix.simulator.add_store(namespace="HEADLESS", **more)
    second = wix.simulator.add_store(name="Second", **more)
    assert wix.account("count", {}).json() == {"count": 2}
    assert wix.account("count", {"filter": HEADLESS}).json() == {"count": 3}
    query = {"filter": HEADLESS, "cursorPaging": {"limit": 2}}
    first = wix.account("query", {"query": query}).json()
    cursor = first["metadata"]["cursors"]["next"]
    rest = wix.account("query", {"query": {"cursorPaging": {"cursor": cursor}}}).json()
    ids = [site["id"] for site in (*first["sites"], *rest["sites"])]
    assert sorted(ids) == sorted([SITE, headless, second])
    assert (first["metadata"]["hasNext"], rest["metadata"]["hasNext"]) == (True, False)
    named = wix.account("query", {"query": {"filter": {"name": "Second"}}}).json()
    assert [site["id"] for site in named["sites"]] == [second]


def test_site_properties_and_catalog_version_are_the_stores(wix: Wix) -> None:
    """All properties, or only the requested ones."""
    wix.simulator.change_store(
        SITE, currency="JPY", time_zone="Asia/Tokyo", catalog_version="V3_CATALOG"
    )
    path = "/site-properties/v4/properties?fields.paths=paymentCurrency&fields.paths=timeZone"
    asked = wix.call("GET", path).json()
    assert asked["properties"] == {"paymentCurrency": "JPY", "timeZone": "Asia/Tokyo"}
    as_the_sdk_asks = "/site-properties/v4/properties?fields=paymentCurrency,timeZone"
    assert wix.call("GET", as_the_sdk_asks).json()["properties"] == asked["properties"]
    everything = _probe(wix, "Business Info").json()["properties"]
    assert everything["locale"] == {"languageCode": "en", "country": "US"}
    version = wix.call("GET", "/stores/v3/provision/version").json()
    assert version == {"catalogVersion": "V3_CATALOG"}


@pytest.mark.parametrize(("flag", "status"), [("ok", 200), ("400", 400)])
def test_both_id_headers_can_be_switched(wix: Wix, flag: str, status: int) -> None:
    """Whether Wix accepts both is unknown."""
    wix.simulator.set_flags(both_ids=flag)
    assert _probe(wix, "Wix Currencies", wix_account_id=ACCOUNT).status_code == status
    headers = {"wix_account_id": ACCOUNT}
    body = wix.call("POST", "/site-list/v2/sites/query", {}, **headers)
    assert body.status_code == status


def test_a_refusal_may_have_a_code(wix: Wix) -> None:
    """Whether it has one is unknown; the description is empty in any case (observed)."""
    wix.simulator.set_flags(refusal_code="permission_denied")
    wix.simulator.change_key(KEY, scopes=["Wix Stores"])
    answer = _probe(wix, "Wix Currencies")
    assert code(answer) == (403, "PERMISSION_DENIED")
    assert answer.json()["details"]["applicationError"]["description"] == ""


def test_orders_of_two_stores_of_one_account_stay_apart(wix: Wix) -> None:
    """The same key sees both, each with its own header."""
    second = wix.simulator.add_store(account_id=ACCOUNT, api_key=KEY)
    order = wix.simulator.add_order(second, created_date=AFTER)
    path = f"/ecom/v1/orders/{order.id}"
    assert code(wix.call("GET", path)) == (404, "ORDER_NOT_FOUND")
    assert wix.call("GET", path, wix_site_id=second).status_code == 200
