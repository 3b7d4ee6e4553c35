"""What Wix's answers about a key mean, in the dashboard's words. W1, W5, W9 to W12.

One refusal alone says little: a 403 is a missing box, a wrong id, or a key for other sites. So all
answers are read together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from worker.errors import CallFailed, Permanent, Unauthorized
from worker.stores.permissions import box_of
from worker.wix.sites import Site

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
class Answer:
    """What came of one question: a value, or the last error."""

    endpoint: str
    value: Any = None
    error: CallFailed | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it came."""
        return self.error is None

    @property
    def status(self) -> int | None:
        """The HTTP status, None when there was no answer."""
        return self.error.status if self.error else 200

    @property
    def is_refused(self) -> bool:
        """Whether Wix did not accept the key for it."""
        return isinstance(self.error, Unauthorized)

    @property
    def no_such_site(self) -> bool:
        """The code is documented, its status is not. W81."""
        is_coded = self.error is not None and self.error.code == "META_SITE_NOT_FOUND"
        return is_coded or (self.endpoint == "get_site_properties" and self.status == 404)


def found(answers: Mapping[str, Answer], store_id: str) -> Site | None:
    """The site in the account's list."""
    sites = answers["query_sites"].value or []
    return next((site for site in sites if site.id.lower() == store_id), None)


def read(
    answers: Mapping[str, Answer], store_id: str, account_id: str, is_swapped: Callable[[], bool]
) -> str:
    """Why the store is not connected, a key of SENTENCES; *is_swapped* asks Wix once more."""
    listed = answers["query_sites"]
    of_site = [a for a in answers.values() if a is not listed]
    site_answers = any(a.is_ok for a in of_site)
    site = found(answers, store_id)
    if site and (problem := _problem_of(site, account_id)):
        return problem
    is_known = site_answers or listed.is_ok
    if not is_known and any(a.status == 401 for a in answers.values()):
        return "bad_key"
    unknown_site = any(a.no_such_site for a in of_site)
    refused = all(a.is_refused or a.no_such_site for a in of_site)
    if unknown_site or (refused and not site):
        if is_swapped():
            return "ids_swapped"
        if unknown_site or listed.is_ok:
            return "wrong_site"
        return "all_refused" if listed.is_refused else "not_checked"
    if refused:
        return "site_refused"
    if listed.is_ok and not site:
        return "wrong_account" if site_answers else "wrong_site"
    return _reason_of_boxes(answers)


def _reason_of_boxes(answers: Mapping[str, Answer]) -> str:
    refused = {a.endpoint for a in answers.values() if a.is_refused}
    if refused:
        return "account_refused" if refused == {"query_sites"} else "box_missing"
    billing = answers["get_order_refundability"]
    unanswered = [a for a in answers.values() if not a.is_ok and a is not billing]
    is_odd = billing.error and not isinstance(billing.error, Permanent)
    return "not_checked" if unanswered or is_odd else "connected"


def _problem_of(site: Site, account_id: str) -> str:
    if site.owner_account_id and site.owner_account_id.lower() != account_id:
        return "wrong_account"
    if site.trashed_date:
        return "site_trashed"
    return "site_blocked" if site.blocked else ""


#: Where a refusal may have another cause than the box.
_OR_ELSE: Mapping[str, str] = MappingProxyType(
    {
        "query_sites": " (or the Account ID is another account's)",
        "list_currencies": " (or the site has no Premium plan, without which Wix refuses this)",
    }
)


def _said(error: CallFailed, address: str) -> str:
    if error.status is not None:
        return f"Wix answered: {error}"
    return f"no answer came from {address} ({error.detail}); REFUNDS_WIX_BASE_URL says where Wix is"


def check_of(answer: Answer, reason: str, note: str = "", *, address: str = "") -> Check:
    """One line: ok, the box to tick, or why it is not known; *address* is where Wix is."""
    box, error = box_of(answer.endpoint), answer.error
    if error is None:
        verdict, text = "ok", f"ok{note}"
    elif answer.is_refused and reason in _BOXES_ARE_MISSING:
        verdict = "missing"
        text = f"missing: tick “{box}”{_OR_ELSE.get(answer.endpoint, '')}"
    else:
        because = SENTENCES[reason] if answer.is_refused else note or _said(error, address)
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
