"""A fast stand-in for Wix over HTTP, for measurements: one process, no framework.

It knows every order: placed after the cutoff, paid with one card, refunded when it is asked to. An
order is finished when it was refunded and then got as many calls as a refund makes `after` that.
`POST /_stub/set` sets this number, the delay of the answers and the quota of each store; `GET
/_stub/counts` returns what was counted, `GET /_stub/finished` when each order was finished
(monotonic time, as other programs here see it).
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter, defaultdict, deque
from typing import Any
from urllib.parse import parse_qsl

ORDER = (
    '{"order":{"id":"%s","number":"10124","createdDate":"2025-01-02T03:04:05.000Z",'
    '"updatedDate":"2025-01-02T03:04:05.000Z","status":"APPROVED","paymentStatus":"PAID",'
    '"fulfillmentStatus":"NOT_FULFILLED","currency":"USD","archived":false,"lineItems":[{"id":'
    '"00000000-0000-0000-0000-000000000001","productName":{"original":"Brazilian Arabica"},'
    '"quantity":2,"price":{"amount":"48.75"},"totalPriceAfterTax":{"amount":"101.40"}}],'
    '"priceSummary":{"total":{"amount":"101.40"}},"balanceSummary":{"authorized":{"amount":"0"},'
    '"paid":{"amount":"101.40"}},"additionalFees":[]}}'
)
PAYMENT = (
    '{"id":"pay-%s","createdDate":"2025-01-02T03:04:05.000Z","amount":{"amount":"101.40"},'
    '"refundDisabled":false,"status":"%s","regularPaymentDetails":{"offlinePayment":false,'
    '"paymentMethod":"CreditCard","status":"%s"}}'
)
TRANSACTIONS = '{"orderTransactions":{"orderId":"%s","payments":[%s],"refunds":[%s]}}'
REFUNDABILITY = (
    '{"payments":[{"refundable":true,"payment":{"paymentId":"pay-%s","paymentMethod":"CreditCard",'
    '"offlinePayment":false,"monetary":{"paid":{"amount":"101.40"},"refunded":{"amount":"0"},'
    '"refundPending":{"amount":"0"},"maxRefund":{"amount":"101.40"}}}}],"lineItems":[{"lineItemId":'
    '"00000000-0000-0000-0000-000000000001","originalQuantity":2,"refundedQuantity":0,'
    '"availableRefundQuantity":2}],"additionalFees":[]}'
)
REFUND = (
    '{"id":"ref-%s","createdDate":"2025-01-02T03:04:06.000Z","transactions":[{"paymentId":"pay-%s",'
    '"amount":{"amount":"101.40"},"refundStatus":"SUCCEEDED","externalRefund":false}],"details":'
    '{"reason":%s,"lineItems":[],"shippingIncluded":false}}'
)
FOUND = '{"orders":[%s],"metadata":{"hasNext":false}}'
LISTED = '{"orderTransactions":[%s]}'
REFUNDED = '{"refund":%s,%s'
NOTHING_SAID = '{"message":"","details":{}}'
#: Status, text, and whether it is delayed.
Answer = tuple[int, str, bool]


class Quota:
    """So many calls per minute and store, in a fixed or a sliding window; 0 for no limit."""

    def __init__(self, per_minute: int, *, is_sliding: bool) -> None:
        self._per_minute = per_minute
        self._is_sliding = is_sliding
        self._times: defaultdict[str, deque[float]] = defaultdict(deque)

    def allows(self, store: str, now_s: float) -> bool:
        """Count the call, unless it is one too many."""
        if not self._per_minute:
            return True
        times = self._times[store]
        begin_s = now_s - 60 if self._is_sliding else now_s // 60 * 60
        while times and times[0] < begin_s:
            times.popleft()
        if len(times) >= self._per_minute:
            return False
        times.append(now_s)
        return True


class Wix:
    """What the stub remembers: the refunds, the calls, and when each order got its last one."""

    def __init__(self) -> None:
        self.set({})

    def set(self, given: dict[str, str]) -> None:
        """Forget everything, and answer as *given* from now on."""
        self.refunds: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.made_since: Counter[str] = Counter()
        self.finished_s: dict[str, float] = {}
        self.quota = Quota(int(given.get("per_minute", 0)), is_sliding=given.get("sliding") == "1")
        self.delay_s = float(given.get("delay_ms", 0)) / 1000
        self.after = int(given.get("after", 0))

    def answer(self, method: str, path: str, store: str, body: bytes) -> Answer:
        """Return status, text, and whether the answer is delayed."""
        if path.startswith("/_stub/"):
            return self._admin(path, body)
        now_s = time.monotonic()
        if not self.quota.allows(store, now_s):
            self.counts["refused"] += 1
            return 429, NOTHING_SAID, True
        endpoint, order, text = self._call(method, path, body)
        self.counts[endpoint] += 1
        self.counts["calls"] += 1
        if not endpoint:
            return 404, NOTHING_SAID, False
        if order in self.refunds:
            self.made_since[order] += 1
            if self.made_since[order] == self.after + 1:
                self.counts["finished"] += 1
                self.finished_s[order] = now_s + self.delay_s
        return 200, text, True

    def _call(self, method: str, path: str, body: bytes) -> tuple[str, str, str]:
        if method == "GET" and path.startswith("/ecom/v1/orders/"):
            return "get_order", path[16:], ORDER % path[16:]
        if method == "GET" and path.startswith("/ecom/v1/payments/orders/"):
            return "list_transactions", path[25:], self._transactions(path[25:])
        if path == "/ecom/v1/order-billing/get-order-refundability":
            order = json.loads(body)["orderId"]
            return "get_order_refundability", order, REFUNDABILITY % order
        if path == "/ecom/v1/order-billing/refund-payments":
            asked = json.loads(body)
            return "refund_payments", asked["orderId"], self._refund(asked)
        return self._call_for_many(path, body)

    def _call_for_many(self, path: str, body: bytes) -> tuple[str, str, str]:
        """Answer calls that belong to no single refund."""
        if path == "/ecom/v1/orders/search":
            orders = json.loads(body)["search"]["filter"]["id"]["$in"]
            return "search_orders", "", FOUND % ",".join((ORDER % one)[9:-1] for one in orders)
        if path == "/ecom/v1/payments/list-by-ids":
            listed = (self._transactions(one)[21:-1] for one in json.loads(body)["orderIds"])
            return "list_by_ids", "", LISTED % ",".join(listed)
        return "", "", ""

    def _refund(self, asked: dict[str, Any]) -> str:
        order = asked["orderId"]
        if order in self.refunds:
            self.counts["refunded twice"] += 1
        reason = json.dumps(asked.get("customerReason", ""))
        self.refunds[order] = REFUND % (order, order, reason)
        return REFUNDED % (self.refunds[order], self._transactions(order)[1:])

    def _transactions(self, order: str) -> str:
        refund = self.refunds.get(order, "")
        status = "REFUNDED" if refund else "APPROVED"
        return TRANSACTIONS % (order, PAYMENT % (order, status, status), refund)

    def _admin(self, path: str, body: bytes) -> Answer:
        if path == "/_stub/set":
            self.set(dict(parse_qsl(body.decode())))
        found = self.finished_s if path == "/_stub/finished" else self.counts
        return 200, json.dumps(found), False


class Connection(asyncio.Protocol):
    """One connection; requests on it come one after the other."""

    def __init__(self, wix: Wix) -> None:
        self.wix = wix
        self.read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each complete request."""
        self.read += data
        while (end := self.read.find(b"\r\n\r\n")) >= 0:
            head = self.read[:end]
            lower = head.lower()
            length = int(_header(lower, b"content-length") or 0)
            if len(self.read) < end + 4 + length:
                return
            body = self.read[end + 4 : end + 4 + length]
            self.read = self.read[end + 4 + length :]
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ", 2)
            store = _header(lower, b"wix-site-id").decode()
            self._answer(method, target.partition("?")[0], store, body)

    def _answer(self, method: str, path: str, store: str, body: bytes) -> None:
        status, text, is_delayed = self.wix.answer(method, path, store, body)
        content = (
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"x-wix-request-id: 1700000000.123456789\r\nContent-Length: {len(text)}\r\n\r\n{text}"
        ).encode()
        if is_delayed and self.wix.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.wix.delay_s, self.transport.write, content)
        else:
            self.transport.write(content)


def _header(head: bytes, name: bytes) -> bytes:
    """Return the value of a header in a head in lower case; b"" if it is absent."""
    at = head.find(b"\r\n" + name + b":")
    if at < 0:
        return b""
    return head[at + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


async def _serve() -> None:
    wix = Wix()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(wix), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
