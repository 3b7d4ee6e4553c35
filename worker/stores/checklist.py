"""Interprets Wix's answers about an API key, in the words of the dashboard (W1, W5, W9 to W12).

A single refusal says little: a 403 can mean a missing box, a wrong id, or a key for other sites.
That is why all answers are interpreted together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any, Literal

from worker.errors import CallFailed, Permanent, Unauthorized
from worker.stores.permissions import box_of
from worker.wix.sites import Site

#: The questions and what each is about, in the order in which they are asked.
QUESTIONS: Mapping[str, str] = MappingProxyType(
    {
        "get_site_properties": "key and site",
        "query_sites": "account and its sites",
        "search_orders": "reading orders",
        "get_order_refundability": "refunds (Order Billing)",
        "list_currencies": "currencies",
    }
)

#: The results. If the ids or the key are wrong, nothing can be said about the boxes.
SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "connected": "Wix accepts the key for everything that was checked.",
        "bad_key": "Wix does not know this API Key: it was revoked, or not copied completely.",
        "ids_swapped": "The Account ID and the Site ID are swapped; exchange them.",
        "wrong_site": "The Site ID is wrong: this account has no such site.",
        "wrong_account": "The Account ID is wrong: the site belongs to another account.",
        "site_trashed": "The site is in the account's trash; the merchant must restore it.",
        "site_blocked": "Wix has blocked the site; the merchant must contact Wix.",
        "site_refused": "Wix refuses this key for all calls to the site: tick the boxes marked ✗,"
        " or let the key apply to this site if it is limited to others.",
        "all_refused": "Wix refuses this key for all calls: the Site ID or the Account ID is"
        " wrong, or no box is ticked.",
        "box_missing": "The key lacks permissions that refunds need: tick the boxes marked ✗.",
        "account_refused": "Wix does not list the account's sites under this key: tick “Get Sites"
        " List”, or correct the Account ID if that box is ticked.",
        "not_checked": "Wix did not answer every question (marked ?). That says nothing about the"
        " key; try again.",
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
    result: Literal["ok", "missing", "unknown"]
    text: str
    http_status: int | None = None
    wix_code: str | None = None
    wix_request_id: str | None = None

    def public(self) -> dict[str, Any]:
        """Return the line for programs, which know the result as `verdict`."""
        fields = asdict(self)
        return {"box": self.box, "about": self.about, "verdict": fields.pop("result"), **fields}


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Wix's answers, interpreted."""

    reason: str
    checks: tuple[Check, ...]
    name: str | None
    currency: str | None
    time_zone: str | None
    accepted_endpoints: frozenset[str]
    """The endpoints that accepted the key."""

    @property
    def is_good(self) -> bool:
        """Whether the store can be connected."""
        return self.reason == "connected"

    def public(self) -> dict[str, Any]:
        """Return the findings as operators and programs see them, ready for JSON."""
        return {
            "ok": self.is_good,
            "reason": self.reason,
            "sentence": SENTENCES[self.reason],
            "name": self.name,
            "currency": self.currency,
            "time_zone": self.time_zone,
            "checks": [check.public() for check in self.checks],
        }


@dataclass(frozen=True)
class Answer:
    """The answer to one question: a value, or the last error."""

    endpoint: str
    value: Any = None
    error: CallFailed | None = None

    @property
    def is_ok(self) -> bool:
        """Whether Wix answered the question."""
        return self.error is None

    @property
    def status(self) -> int | None:
        """The HTTP status, None if there was no answer."""
        return self.error.status if self.error else 200

    @property
    def is_refused(self) -> bool:
        """Whether Wix refused the key for this call."""
        return isinstance(self.error, Unauthorized)

    @property
    def no_such_site(self) -> bool:
        """Whether Wix says that there is no such site (W81: the status is not documented)."""
        is_coded = self.error is not None and self.error.code == "META_SITE_NOT_FOUND"
        return is_coded or (self.endpoint == "get_site_properties" and self.status == 404)


def listed_site(answers: Mapping[str, Answer], store_id: str) -> Site | None:
    """Return the site from the account's list, None if it is not there."""
    sites = answers["query_sites"].value or []
    return next((site for site in sites if site.id.lower() == store_id), None)


def reason_for(
    answers: Mapping[str, Answer], store_id: str, account_id: str, is_swapped: Callable[[], bool]
) -> str:
    """Return the result, a key of SENTENCES; *is_swapped* asks Wix whether the ids are swapped."""
    listed = answers["query_sites"]
    of_site = [a for a in answers.values() if a is not listed]
    site_answers = any(a.is_ok for a in of_site)
    site = listed_site(answers, store_id)
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
    if listed.is_ok and not site and not site_answers:
        return "wrong_site"
    # A key belongs to one account, and both the account and the site have accepted it: then the
    # site is of a kind that Wix does not list. W80.
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


#: Calls that Wix may refuse for another reason than a missing box.
_OR_ELSE: Mapping[str, str] = MappingProxyType(
    {
        "query_sites": " (or the Account ID is another account's)",
        "list_currencies": " (or the site has no Premium plan, without which Wix refuses this)",
    }
)


def _why_unknown(error: CallFailed, address: str) -> str:
    if error.status is not None:
        return f"Wix answered {error}"
    return f"{address} (REFUNDS_WIX_BASE_URL) did not answer: {error.detail}"


def check_of(answer: Answer, reason: str, note: str = "", *, address: str = "") -> Check:
    """Make one line of the checklist: ok, the box to tick, or why that is not known.

    *reason* is a key of SENTENCES, *address* the base URL of Wix.
    """
    box, error = box_of(answer.endpoint), answer.error
    if error is None:
        result, text = "ok", f"ok{note}"
    elif answer.is_refused and reason in _BOXES_ARE_MISSING:
        result = "missing"
        text = f"missing: tick “{box}”{_OR_ELSE.get(answer.endpoint, '')}"
    else:
        because = SENTENCES[reason] if answer.is_refused else note or _why_unknown(error, address)
        result, text = "unknown", f"could not be checked: {because}"
    return Check(
        box=box,
        about=QUESTIONS[answer.endpoint],
        result=result,  # type: ignore[arg-type]  # one of the three
        text=text,
        http_status=error.status if error else None,
        wix_code=error.code if error else None,
        wix_request_id=error.request_id if error else None,
    )
