"""Examines a store's API key: asks Wix, reading only, and explains the answers.

Nothing here saves anything. *Manage Sites* is never checked, because the only call that needs it
deletes sites (W10).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from worker.errors import CallFailed, Retryable
from worker.stores.checklist import (
    QUESTIONS,
    Answer,
    Check,
    Findings,
    check_of,
    listed_site,
    reason_for,
)
from worker.stores.permissions import MANAGE_SITES, box_of
from worker.stores.vault import Credentials
from worker.wix.account import WixSite, account_of, site_of
from worker.wix.client import ClientFactory
from worker.wix.sites import SiteProperties

#: Pauses before a question is repeated because Wix gave no usable answer.
PAUSES_S = (1.0, 2.0)
#: Maximum `Retry-After` that is obeyed, because a person is waiting.
MAX_PAUSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Asks the questions of the checklist, and calls *progress* with each one before it does."""

    wix: ClientFactory
    progress: Callable[[str], None]
    pause: Callable[[float], object]
    answers: dict[str, Answer] = field(default_factory=dict)

    def examine(self, credentials: Credentials) -> Findings:
        """Ask all questions about one store and interpret the answers."""
        self.answers.clear()
        site = site_of(self.wix, credentials.store_id, credentials.api_key)
        account = account_of(self.wix, credentials.account_id, credentials.api_key)
        self._ask("get_site_properties", site.get_site_properties)
        self._ask("query_sites", lambda: account.query_sites(credentials.store_id))
        orders = self._ask("search_orders", site.search_orders).value or []
        # Without an order, a made-up id will do: an unknown order is not a refused key (inferred).
        order_id = orders[0] if orders else str(uuid.uuid4())
        self._ask("get_order_refundability", lambda: site.get_order_refundability(order_id))
        self._ask("list_currencies", site.list_currencies)
        reason = reason_for(
            self.answers,
            credentials.store_id,
            credentials.account_id,
            lambda: self._is_swapped(credentials),
        )
        properties = self.answers["get_site_properties"].value or SiteProperties()
        listed = listed_site(self.answers, credentials.store_id)
        return Findings(
            reason=reason,
            checks=tuple(self._checks(reason, site, credentials.store_id, has_orders=bool(orders))),
            name=properties.site_display_name or (listed.display_name if listed else None),
            currency=properties.payment_currency,
            time_zone=properties.time_zone,
            accepted_endpoints=frozenset(site.accepted_endpoints | account.accepted_endpoints),
        )

    def _ask(self, endpoint: str, question: Callable[[], Any]) -> Answer:
        """Ask one question, and repeat it while there is no usable answer."""
        number = list(QUESTIONS).index(endpoint) + 1
        text = f"{number}/{len(QUESTIONS)} {QUESTIONS[endpoint]} (“{box_of(endpoint)}”)"
        self.progress(text)
        answer = Answer(endpoint)
        for pause_s in (*PAUSES_S, None):
            try:
                answer = Answer(endpoint, question())
            except Retryable as error:
                answer = Answer(endpoint, error=error)
                if pause_s is not None:
                    self.progress(f"    no usable answer ({error}); asking again")
                    wanted_s = (error.retry_after_ms or 0) / 1000
                    self.pause(min(max(pause_s, wanted_s), MAX_PAUSE_S))
                continue
            except CallFailed as error:
                answer = Answer(endpoint, error=error)
            break
        self.answers[endpoint] = answer
        return answer

    def _is_swapped(self, credentials: Credentials) -> bool:
        """Ask again with the two ids exchanged; an answer proves that they were swapped."""
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

    def _checks(
        self, reason: str, site: WixSite, store_id: str, *, has_orders: bool
    ) -> Iterator[Check]:
        answers, address = self.answers, self.wix.address
        is_unlisted = answers["query_sites"].is_ok and not listed_site(answers, store_id)
        note = "; the site is of a kind that Wix does not list" if is_unlisted else ""
        yield check_of(answers["query_sites"], reason, note, address=address)
        yield Check(
            box=MANAGE_SITES,
            about="nothing that refunds need",
            result="unknown",
            text="cannot be verified: the only call that needs this box deletes sites",
        )
        orders = answers["search_orders"]
        note = ""
        if orders.is_ok and _is_without_stores(site):
            note = "; Wix Stores is not installed on this site: is it the right one?"
        yield check_of(orders, reason, note, address=address)
        # Only an answer about orders can say that there are none.
        note = "the store has no orders yet" if orders.is_ok and not has_orders else ""
        yield check_of(answers["get_order_refundability"], reason, note, address=address)
        yield check_of(answers["list_currencies"], reason, address=address)
        yield check_of(answers["get_site_properties"], reason, address=address)


def _is_without_stores(site: WixSite) -> bool:
    try:
        return site.get_catalog_version() == "STORES_NOT_INSTALLED"
    except CallFailed:
        return False
