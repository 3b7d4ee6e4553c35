"""Everything at the simulated Wix, and how to set it up."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from worker.simulator.contract.routes import ALL_SCOPES
from worker.simulator.script.faults import Fault
from worker.simulator.script.flag_table import checked_flags
from worker.simulator.script.flags import Flags
from worker.simulator.script.quota import Quota
from worker.simulator.script.reading import InvalidInput
from worker.simulator.world.orders import Order
from worker.simulator.world.payments import new_id
from worker.simulator.world.placing import placed
from worker.simulator.world.stores import Key, Store


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _some(what: str, ids: Collection[str]) -> str:
    """Name a few of those that there are."""
    named = ", ".join(sorted(ids)[:3]) + (", ..." if len(ids) > 3 else "")
    return f"{what}s: {named}" if ids else f"there are no {what}s"


@dataclass
class World:
    """Stores, keys, orders, faults and flags. All public methods are thread-safe."""

    flags: Flags = field(default_factory=Flags)
    clock_ms: Callable[[], int] = _wall_ms
    stores: dict[str, Store] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _key_of: dict[str, str] = field(default_factory=dict)
    _quota: Quota = field(default_factory=Quota)
    _before: dict[str, tuple[int, Order]] = field(default_factory=dict)

    def add_store(
        self,
        site_id: str | None = None,
        api_key: str = "IST.simulator",
        *,
        account_id: str | None = None,
        scopes: Iterable[str] = ALL_SCOPES,
        **more: Any,
    ) -> str:
        """Add a store and return its site id; for a known site, replace its key.

        Without *account_id* the site joins the account of its key. *more* are fields of `Store`.

        Raises:
            InvalidInput: the key belongs to the stores of another account.
        """
        site_id = site_id or new_id()
        with self.lock:
            self._check_account(site_id, api_key, account_id)
            old = self._key_of.get(site_id)
            self._key_of[site_id] = api_key
            if old and old not in self._key_of.values():
                self.keys.pop(old, None)
            known = self.keys.get(api_key)
            before = self.stores.get(site_id)
            owner = account_id or (known or before or Key(new_id())).account_id
            self.add_key(api_key, owner, scopes=scopes, sites=known.sites if known else None)
            self.stores[site_id] = replace(
                before or Store(site_id, owner), account_id=owner, **more
            )
        return site_id

    def _check_account(self, site_id: str, api_key: str, account_id: str | None) -> None:
        """Refuse a key of another account: Wix makes each one for the account of who creates it."""
        for other, key in self._key_of.items():
            owner = self.stores[other].account_id
            if key == api_key and other != site_id and account_id not in {None, owner}:
                raise InvalidInput(
                    f"account_id: the API key is that of store {other}, whose account is {owner};"
                    " stores of different accounts need different keys (api_key)"
                )

    def api_key_of(self, site_id: str) -> str:
        """Return the store's current API key."""
        with self.lock:
            if site_id not in self._key_of:
                raise InvalidInput(f"there is no store {site_id}; {_some('store', self.stores)}")
            return self._key_of[site_id]

    def add_key(
        self,
        api_key: str,
        account_id: str,
        *,
        scopes: Iterable[str] = ALL_SCOPES,
        sites: Iterable[str] | None = None,
    ) -> None:
        """Add an API key of an account. *scopes* are the ticked boxes; without *sites*, for all."""
        ticked = frozenset(scopes)
        if unknown := ticked - ALL_SCOPES:
            raise ValueError(f"no such scopes: {sorted(unknown)}; there are {sorted(ALL_SCOPES)}")
        seen = None if sites is None else frozenset(sites)
        with self.lock:
            self.keys[api_key] = Key(account_id, ticked, seen)

    def revoke_key(self, api_key: str) -> None:
        """Revoke a key, as the merchant does in the dashboard."""
        with self.lock:
            self.keys[api_key].revoked = True

    def restore_key(self, api_key: str) -> None:
        """Undo that a key was revoked. The dashboard cannot do this; drills can."""
        with self.lock:
            self.keys[api_key].revoked = False

    def replace_key(self, old: str, new: str) -> None:
        """Revoke a key after adding a new one with the same permissions."""
        with self.lock:
            self.keys[new] = replace(self.keys[old], revoked=False)
            self.keys[old].revoked = True
            self._key_of = {s: new if k == old else k for s, k in self._key_of.items()}

    def change_key(self, api_key: str, *, scopes: Iterable[str]) -> None:
        """Change which boxes are ticked for a key."""
        with self.lock:
            key = self.keys[api_key]
            self.add_key(api_key, key.account_id, scopes=scopes, sites=key.sites)

    def change_store(self, site_id: str, **changed: Any) -> None:
        """Change fields of a site: trash, block or rename it, end its Premium plan."""
        with self.lock:
            self.stores[site_id] = replace(self.stores[site_id], **changed)

    def add_order(
        self,
        site_id: str,
        *,
        created_date: str,
        order_id: str | None = None,
        amounts: Iterable[str] | None = None,
        fulfillments: int | Iterable[Mapping[str, Any]] = 0,
        **more: Any,
    ) -> Order:
        """Place an order and return it; `placing.placed` explains the arguments."""
        with self.lock:
            if store := self.stores.get(site_id):
                more.setdefault("currency", store.currency)
            order = placed(
                Order(order_id or new_id(), site_id, created_date, [], []),
                amounts=amounts,
                fulfillments=fulfillments,
                **more,
            )
            order.number = more.get("number") or str(10_001 + len(self.orders))
            self.orders[order.id] = order
        return order

    def order_of(self, order_id: str) -> Order:
        """Return an order.

        Raises:
            InvalidInput: there is none with this id.
        """
        if order_id not in self.orders:
            raise InvalidInput(f"there is no order {order_id}; {_some('order', self.orders)}")
        return self.orders[order_id]

    def copy_if_reads_lag(self, order: Order) -> Order | None:
        """Copy an order that is about to change, as reads that lag behind still see it."""
        lags = self.flags.stale_ms or self.flags.search_lag_ms
        return copy.deepcopy(order) if lags else None

    def script(self, *faults: Fault) -> None:
        """Add faults; each applies as many times as it says."""
        with self.lock:
            self.faults.extend(faults)

    def clear_faults(self) -> int:
        """Remove all faults; returns how many of them had still applied."""
        with self.lock:
            left = sum(fault.times > 0 for fault in self.faults)
            self.faults.clear()
            return left

    def set_flags(self, **flags: Any) -> None:
        """Change some flags.

        Raises:
            ValueError: a name or a value is invalid; the text lists the valid ones.
        """
        with self.lock:
            self.flags = replace(self.flags, **checked_flags(flags))

    def has_quota(self, site_id: str) -> bool:
        """Count one call of a site; False if it makes too many."""
        with self.lock:
            return not site_id or self._quota.allows(site_id, self.flags, self.clock_ms())

    def take_fault(self, endpoint: str, order_id: str) -> Fault | None:
        """Return the fault that applies to this call, if any, and count it."""
        with self.lock:
            for fault in self.faults:
                if fault.hits(endpoint, order_id):
                    fault.times -= 1
                    return fault
        return None
