"""Read the transactions of several orders with as few calls as possible. W54."""

from __future__ import annotations

from collections.abc import Sequence

from worker.errors import CallFailed, Permanent, Unreadable
from worker.wix.billing import Transactions
from worker.wix.client import WixStore

#: Orders that Wix's answer for several orders lacks are asked for one by one, at most so many.
MOST_ALONE = 5


def read_several(wix: WixStore, order_ids: Sequence[str]) -> tuple[dict[str, Transactions], str]:
    """Return the transactions that Wix lists, by order, and why some are missing.

    Raises:
        CallFailed: Wix did not answer.
    """
    found: dict[str, Transactions] = {}
    missing, problem = order_ids, "Wix lists no transactions"
    if len(order_ids) > 1:
        try:
            found.update(wix.list_transactions_of_orders(order_ids))
            missing = [order_id for order_id in order_ids if order_id not in found]
        except (Permanent, Unreadable) as error:
            problem = str(error)
    for order_id in missing[:MOST_ALONE]:
        try:
            found[order_id] = wix.list_transactions(order_id)
        except CallFailed as error:
            problem = str(error)
            if not isinstance(error, Permanent | Unreadable):
                break
    return found, problem
