"""Is this key good for this store? Asks Wix, read-only, and says it in the dashboard's words.

Order and readings: wix-api.md 7. Nothing here saves anything. *Manage Sites* is never asked for:
the only call that needs it deletes sites.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from worker.errors import CallFailed, Permanent, Retryable, Unauthorized
from worker.permissions import MANAGE_SITES, box_of
from worker.vault import Credentials
from worker.wix.account import WixSite, account_of, site_of
from worker.wix.client import ClientFactory
from worker.wix.sites import Site, SiteProperties

#: How often a question is asked when Wix does not answer as it should, and the pauses between.
PAUSES_S = (1.0, 2.0)
#: `Retry-After` is obeyed up to here; a person waits.
LONGEST_PAUSE_S = 5.0

#: What each question is about, in the order in which they are asked.
QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "get_site_properties": "key and site",
        "query_sites": "account and its sites",
        "search_orders": "reading orders",
        "get_order_refundability": "refunds (Order Billing)",
        "list_currencies": "currencies",
    }
)

#: Why a store is not connected. Where the ids or the key are wrong, nothing is said of the boxes.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "connected": "Wix accepts the key for everything that was asked.",
        "bad_key": "Wix does not know this API Key: it was revoked, or not copied whole.",
        "ids_swapped": "The Account ID and the Site ID are swapped; give them the other way round.",
        "wrong_site": "The Site ID is wrong: this account has no such site, or Wix knows none.",
        "wrong_account": "The Account ID is wrong: the site belongs to another account.",
        "site_trashed": "The site lies in the trash of the account; the merchant must restore it.",
        "site_blocked": "Wix has blocked the site; the merchant must settle that with Wix.",
        "site_refused": "Wix refuses this key for everything of the site: tick the boxes marked ✗,"
        " or let the key apply to this site if it is limited to others.",
        "all_refused": "Wix refuses this key for everything: the Site ID or the Account ID is"
        " wrong, or no box is ticked.",
        "box_missing": "The key may not do all that is needed: tick the boxes marked ✗.",
        "account_refused": "Wix does not list the account's sites under this key: tick “Get Sites"
        " List”, or correct the Account ID if that box is ticked.",
        "not_checked": "Wix did not answer every question (marked ?). That says nothing against"
        " the key; try again.",
    }
)
_BOXES_ARE_MISSING = {
    "site_refused", "all_refused", "box_missing", "account_refused", "not_checked",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the checklist."""

    box: str
    about: str
    verdict: Literal["ok", "missing", "unknown"]
    text: str
    http_status: int | None = None
    wix_code: str | None = None
    wix_request_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What Wix answered, and what it means."""

    reason: str
    checks: tuple[Check, ...]
    name: str | None
    currency: str | None
    time_zone: str | None
    worked: frozenset[str]
    """The endpoints that took the key."""

    @property
    def is_good(self) -> bool:
        """Whether the store may be connected."""
        return self.reason == "connected"

    def public(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "ok": self.is_good,
            "reason": self.reason,
            "sentence": SENTENCES[self.reason],
            "name": self.name,
            "currency": self.currency,
            "time_zone": self.time_zone,
            "checks": [asdict(check) for check in self.checks],
        }


@dataclass(frozen=True)
class _Answer:
    """What came of one question: a value, or the last error."""

    endpoint: str
    value: Any = None
    error: CallFailed | None = None

    @property
    def is_ok(self) -> bool:
        return self.error is None

    @property
    def status(self) -> int | None:
        return self.error.status if self.error else 200

    @property
    def is_refused(self) -> bool:
        return isinstance(self.error, Unauthorized)

    @property
    def no_such_site(self) -> bool:
        """The code is documented, its status is not. Source: wix-api.md row 26 [D]."""
        error = self.error
        return error is not None and error.code == "META_SITE_NOT_FOUND"


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Asks. *progress* is told every question before it is asked."""

    wix: ClientFactory
    progress: Callable[[str], None]
    pause: Callable[[float], object]
    answers: dict[str, _Answer] = field(default_factory=dict)

    def examine(self, credentials: Credentials) -> Findings:
        """Ask all questions about one store and read the answers."""
        self.answers.clear()
        site = site_of(self.wix, credentials.store_id, credentials.api_key)
        account = account_of(self.wix, credentials.account_id, credentials.api_key)
        self._ask("get_site_properties", site.get_site_properties)
        self._ask("query_sites", lambda: account.query_sites(credentials.store_id))
        orders = self._ask("search_orders", site.search_orders).value or []
        # Without an order a made-up one: refused is refused, and unknown is not a refusal [I].
        order_id = orders[0] if orders else str(uuid.uuid4())
        self._ask("get_order_refundability", lambda: site.get_order_refundability(order_id))
        self._ask("list_currencies", site.list_currencies)
        reason = self._reason(credentials)
        properties = self.answers["get_site_properties"].value or SiteProperties()
        found = self._found(credentials.store_id)
        return Findings(
            reason=reason,
            checks=tuple(self._checks(reason, site, has_orders=bool(orders))),
            name=properties.site_display_name or (found.display_name if found else None),
            currency=properties.payment_currency,
            time_zone=properties.time_zone,
            worked=frozenset(site.worked | account.worked),
        )

    def _ask(self, endpoint: str, question: Callable[[], Any]) -> _Answer:
        """Ask once, and again while the answer says nothing."""
        number = list(QUESTIONS).index(endpoint) + 1
        text = f"{number}/{len(QUESTIONS)} {QUESTIONS[endpoint]} (“{box_of(endpoint)}”)"
        self.progress(text)
        answer = _Answer(endpoint)
        for pause_s in (*PAUSES_S, None):
            try:
                answer = _Answer(endpoint, question())
            except Retryable as error:
                answer = _Answer(endpoint, error=error)
                if pause_s is not None:
                    self.progress(f"    no usable answer ({error}); once more")
                    wanted_s = (error.retry_after_ms or 0) / 1000
                    self.pause(min(max(pause_s, wanted_s), LONGEST_PAUSE_S))
                continue
            except CallFailed as error:
                answer = _Answer(endpoint, error=error)
            break
        self.answers[endpoint] = answer
        return answer

    def _found(self, store_id: str) -> Site | None:
        sites = self.answers["query_sites"].value or []
        return next((site for site in sites if site.id.lower() == store_id), None)

    def _reason(self, credentials: Credentials) -> str:
        """Read the answers together: one refusal alone says little."""
        listed = self.answers["query_sites"]
        of_site = [a for a in self.answers.values() if a is not listed]
        site_answers = any(a.is_ok for a in of_site)
        found = self._found(credentials.store_id)
        if found and (problem := _problem_of(found, credentials.account_id)):
            return problem
        is_known = site_answers or listed.is_ok
        if not is_known and any(a.status == 401 for a in self.answers.values()):
            return "bad_key"
        unknown_site = any(a.no_such_site for a in of_site)
        refused = all(a.is_refused or a.no_such_site for a in of_site)
        if unknown_site or (refused and not found):
            if self._is_swapped(credentials):
                return "ids_swapped"
            if unknown_site or listed.is_ok:
                return "wrong_site"
            return "all_refused" if listed.is_refused else "not_checked"
        if refused:
            return "site_refused"
        if listed.is_ok and not found:
            return "wrong_account" if site_answers else "wrong_site"
        return self._reason_of_boxes()

    def _reason_of_boxes(self) -> str:
        refused = {a.endpoint for a in self.answers.values() if a.is_refused}
        if refused:
            return "account_refused" if refused == {"query_sites"} else "box_missing"
        billing = self.answers["get_order_refundability"]
        unanswered = [a for a in self.answers.values() if not a.is_ok and a is not billing]
        is_odd = billing.error and not isinstance(billing.error, Permanent)
        return "not_checked" if unanswered or is_odd else "connected"

    def _is_swapped(self, credentials: Credentials) -> bool:
        """Ask the same with the ids the other way round; any answer to it is proof."""
        self.progress("    are the two ids swapped?")
        site = site_of(self.wix, credentials.account_id, credentials.api_key)
        account = account_of(self.wix, credentials.store_id, credentials.api_key)
        try:
            site.get_site_properties()
        except CallFailed:
            pass
        else:
            return True
        try:
            return bool(account.query_sites(credentials.account_id))
        except CallFailed:
            return False

    def _checks(self, reason: str, site: WixSite, *, has_orders: bool) -> Iterator[Check]:
        answers = self.answers
        yield _check(answers["query_sites"], reason)
        yield Check(
            box=MANAGE_SITES,
            about="nothing that refunds need",
            verdict="unknown",
            text="not verifiable: the only call that needs it deletes sites, so it is never made",
        )
        orders = answers["search_orders"]
        note = ""
        if orders.is_ok and _is_without_stores(site):
            note = "; Wix Stores is not installed on this site: is it the right one?"
        yield _check(orders, reason, note)
        yield _check(
            answers["get_order_refundability"],
            reason,
            "" if has_orders else "the store has no order yet to ask about",
        )
        yield _check(answers["list_currencies"], reason)
        yield _check(answers["get_site_properties"], reason)


def _problem_of(site: Site, account_id: str) -> str:
    if site.owner_account_id and site.owner_account_id.lower() != account_id:
        return "wrong_account"
    if site.trashed_date:
        return "site_trashed"
    return "site_blocked" if site.blocked else ""


def _is_without_stores(site: WixSite) -> bool:
    try:
        return site.get_catalog_version() == "STORES_NOT_INSTALLED"
    except CallFailed:
        return False


#: Where a refusal may have another cause than the box.
_OR_ELSE: Mapping[str, str] = MappingProxyType(
    {
        "query_sites": " (or the Account ID is another account's)",
        "list_currencies": " (or the site has no Premium plan, without which Wix refuses this)",
    }
)


def _check(answer: _Answer, reason: str, note: str = "") -> Check:
    """One line: ok, the box to tick, or why it is not known."""
    box, error = box_of(answer.endpoint), answer.error
    if error is None:
        verdict, text = "ok", f"ok{note}"
    elif answer.is_refused and reason in _BOXES_ARE_MISSING:
        verdict = "missing"
        text = f"missing: tick “{box}”{_OR_ELSE.get(answer.endpoint, '')}"
    else:
        because = SENTENCES[reason] if answer.is_refused else note or f"Wix answered: {error}"
        verdict, text = "unknown", f"could not be checked because {because}"
    return Check(
        box=box,
        about=QUESTIONS[answer.endpoint],
        verdict=verdict,  # type: ignore[arg-type]  # one of the three
        text=text,
        http_status=error.status if error else None,
        wix_code=error.code if error else None,
        wix_request_id=error.request_id if error else None,
    )
