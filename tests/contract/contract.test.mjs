// Wix's own client against the simulator: every endpoint, success and each documented error.

import assert from "node:assert/strict";
import { after, test } from "node:test";

import {
  AFTER,
  NOBODY,
  accountClient,
  admin,
  client,
  failure,
  newStore,
  refusal,
  sent,
  violations,
} from "./rig.mjs";

const store = await newStore({ name: "Zoë" });
const { wix, order } = store;
const merchant = (action, order_id, more = {}) => admin("merchant", { action, order_id, ...more });
const flags = (given) => admin("flags", given);
const price = (amount) => ({ amount });

after(async () => {
  const books = await admin("books");
  assert.deepEqual(books.unlisted_calls, [], "every call of the SDK has a route");
});

test("an order comes back with dates, ids and prices as the SDK reads them", async () => {
  const { order_id } = await order({ amounts: ["20.00", "5.50"], fulfillments: 1 });
  const found = await wix.orders.getOrder(order_id);
  assert.equal(found._id, order_id);
  assert.deepEqual(found._createdDate, new Date(AFTER));
  assert.equal(found.priceSummary.total.amount, "25.50");
  assert.equal(found.lineItems[0].quantity, 1);
  assert.deepEqual([found.status, found.paymentStatus, found.fulfillmentStatus],
    ["APPROVED", "PAID", "FULFILLED"]);
});

test("an unknown order is ORDER_NOT_FOUND", async () => {
  const error = await refusal(wix.orders.getOrder(NOBODY));
  assert.deepEqual([error.status, error.code], [404, "ORDER_NOT_FOUND"]);
});

test("the key goes raw, and the consistency token is sent back", async () => {
  const { order_id } = await order();
  const own = client(store.site_id, store.apiKey);
  await flags({ consistent_token: true });
  await own.orders.getOrder(order_id);
  await own.orders.getOrder(order_id);
  await flags({ consistent_token: false });
  const headers = sent.at(-1);
  assert.equal(headers.Authorization, store.apiKey);
  assert.equal(headers["wix-site-id"], store.site_id);
  assert.ok(Object.keys(headers).some((name) => name.toLowerCase() === "x-wix-consistent"));
});

test("orders are searched and paged", async () => {
  const own = await newStore();
  const placed = [];
  for (let day = 1; day <= 3; day += 1) {
    placed.push((await own.order({ created_date: `2025-01-0${day}T00:00:00.000Z` })).order_id);
  }
  const first = await own.wix.orders.searchOrders({
    filter: { status: { $eq: "APPROVED" } },
    cursorPaging: { limit: 2 },
  });
  assert.deepEqual(first.orders.map(({ _id }) => _id), [placed[2], placed[1]]);
  assert.equal(first.metadata.hasNext, true);
  const rest = await own.wix.orders.searchOrders({
    cursorPaging: { cursor: first.metadata.cursors.next },
  });
  assert.deepEqual(rest.orders.map(({ _id }) => _id), [placed[0]]);
});

test("a cancelled order stays PAID", async () => {
  const { order_id } = await order();
  const options = { restockAllItems: true, sendOrderCanceledEmail: false };
  const { order: cancelled } = await wix.orders.cancelOrder(order_id, options);
  assert.deepEqual([cancelled.status, cancelled.paymentStatus], ["CANCELED", "PAID"]);
});

for (const [given, code] of [
  [{ status: "PENDING" }, "ORDER_IS_PENDING"],
  [{ status: "REJECTED" }, "ORDER_IS_REJECTED"],
  [{ payments: [{ amount: "5.00", authorized: true }] }, "ORDER_HAS_AUTHORIZED_TRANSACTION"],
]) {
  test(`cancelling is refused with ${code}`, async () => {
    const { order_id } = await order(given);
    const error = await refusal(wix.orders.cancelOrder(order_id));
    assert.deepEqual([error.status, error.code], [428, code]);
  });
}

test("an order is archived, and gets a comment", async () => {
  const { order_id } = await order();
  assert.equal((await wix.orders.updateOrder(order_id, { archived: true })).archived, true);
  const orderActivities = [{ merchantComment: { message: "x" } }];
  const { activityIds } = await wix.orders.addActivities(order_id, { orderActivities });
  assert.equal(activityIds.length, 1);
  for (const status of ["PENDING", "REJECTED"]) {
    const other = await order({ status });
    const error = await refusal(wix.orders.updateOrder(other.order_id, { archived: true }));
    assert.equal(error.code, `ORDER_IS_${status}`);
  }
});

test("fulfillments are made, changed, listed and deleted", async () => {
  const { order_id, line_ids } = await order({
    lines: [{ price: "10.00", quantity: 2 }, { price: "1.00" }],
  });
  const trackingInfo = { trackingNumber: "1", shippingProvider: "ups" };
  const made = await wix.fulfillments.createFulfillment(order_id, {
    lineItems: [{ _id: line_ids[0], quantity: 2 }],
    trackingInfo,
  });
  const first = made.orderWithFulfillments.fulfillments[0];
  assert.deepEqual([first._id, first.lineItems], [
    made.fulfillmentId,
    [{ _id: line_ids[0], quantity: 2 }],
  ]);
  assert.ok(first.trackingInfo.trackingLink.includes("trackNums=1"));
  assert.ok(first._createdDate instanceof Date);

  const twice = await refusal(
    wix.fulfillments.createFulfillment(order_id, {
      lineItems: [{ _id: line_ids[1], quantity: 1 }],
      trackingInfo,
    }),
  );
  assert.deepEqual([twice.status, twice.code], [409, "TRACKING_NUMBER_ALREADY_EXISTS"]);

  const ids = { orderId: order_id, fulfillmentId: made.fulfillmentId };
  await wix.fulfillments.updateFulfillment(ids, { fulfillment: { trackingInfo: { trackingNumber: "2" } } });
  const listed = await wix.fulfillments.listFulfillmentsForSingleOrder(order_id);
  const tracked = listed.orderWithFulfillments.fulfillments[0].trackingInfo;
  assert.equal(tracked.trackingNumber, "2");
  const many = await wix.fulfillments.listFulfillmentsForMultipleOrders([order_id]);
  assert.equal(many.ordersWithFulfillments[0].fulfillments.length, 1);

  const left = await wix.fulfillments.deleteFulfillment(ids);
  assert.deepEqual(left.orderWithFulfillments.fulfillments, []);
  assert.equal((await failure(wix.fulfillments.deleteFulfillment(ids))).status, 404);
});

test("a tracking number of another fulfillment is refused when changing, too", async () => {
  const { order_id } = await order({ fulfillments: 2 });
  const { orderWithFulfillments } =
    await wix.fulfillments.listFulfillmentsForSingleOrder(order_id);
  const [first, second] = orderWithFulfillments.fulfillments;
  const error = await refusal(
    wix.fulfillments.updateFulfillment(
      { orderId: order_id, fulfillmentId: second._id },
      { fulfillment: { trackingInfo: { trackingNumber: first.trackingInfo.trackingNumber } } },
    ),
  );
  assert.equal(error.code, "TRACKING_NUMBER_ALREADY_EXISTS");
});

test("fulfillments are made in bulk, each by itself", async () => {
  const { order_id, line_ids } = await order();
  const lineItems = [{ _id: line_ids[0], quantity: 1 }];
  const { results, bulkActionMetadata } = await wix.fulfillments.bulkCreateFulfillments([
    { orderId: order_id, fulfillments: [{ lineItems }] },
    { orderId: NOBODY, fulfillments: [{ lineItems }] },
  ]);
  assert.deepEqual(results.map(({ itemMetadata }) => itemMetadata.success), [true, false]);
  assert.equal(results[1].itemMetadata.error.code, "ORDER_NOT_FOUND");
  assert.equal(bulkActionMetadata.totalFailures, 1);
});

test("refundability shows payments, lines, shipping and fees", async () => {
  const { order_id, payment_ids } = await order({
    lines: [{ price: "10.00", quantity: 2 }],
    shipping: "5.00",
    fees: [{ amount: "2.00" }],
    payments: [
      { amount: "20.00" },
      { amount: "5.00", offline: true, provider_link: "https://provider.example/x" },
      { amount: "2.00", non_refundable: "DISABLED_BY_PROVIDER" },
    ],
  });
  const found = await wix.billing.getOrderRefundability(order_id);
  assert.deepEqual(found.payments.map(({ payment }) => payment.paymentId), payment_ids);
  assert.equal(found.payments[0].refundable, true);
  assert.equal(found.payments[0].payment.monetary.maxRefund.amount, "20.00");
  assert.equal(found.payments[1].manuallyRefundable.reason, "OFFLINE");
  assert.equal(found.payments[1].providerLink, "https://provider.example/x");
  assert.equal(found.payments[2].nonRefundable.reason, "DISABLED_BY_PROVIDER");
  assert.equal(found.lineItems[0].availableRefundQuantity, 2);
  assert.equal(found.shipping.availableRefundAmount.amount, "5.00");
  assert.equal(found.additionalFees[0].availableRefundAmount.amount, "2.00");
});

test("a refund is calculated, or said to be unavailable", async () => {
  const { order_id, line_ids } = await order({
    lines: [{ price: "10.00", quantity: 2, tax: "1.00" }],
    shipping: "5.00",
  });
  const asked = (quantity) => ({
    refundItems: { lineItems: [{ lineItemId: line_ids[0], quantity }], shipping: {} },
  });
  const good = await wix.billing.calculateRefund(order_id, asked(1));
  assert.equal(good.available, true);
  assert.equal(good.summary.total.amount, "15.50");
  assert.equal(good.calculatedRefundItems.lineItems[0].summary.tax.amount, "0.50");
  const bad = await wix.billing.calculateRefund(order_id, asked(3));
  const [error] = bad.notAvailable.errors;
  assert.equal(error.error.applicationError.code, "INVALID_LINE_ITEM_REFUND_QUANTITY");
});

test("a refund is taken, and its status is read until it is settled", async () => {
  const { order_id, payment_ids, line_ids } = await order();
  const { refund, orderTransactions } = await wix.billing.refundPayments(order_id, {
    paymentRefunds: [{ paymentId: payment_ids[0], amount: price("101.40"), externalRefund: false }],
    refundItems: { lineItems: [{ lineItemId: line_ids[0], quantity: 1 }] },
    sideEffects: {
      restock: { lineItems: [{ lineItemId: line_ids[0], quantity: 1 }] },
      notifications: { sendCustomerEmail: false },
    },
    customerReason: "damaged (ref 1)",
  });
  assert.deepEqual([refund.transactions[0].refundStatus, refund.details.reason],
    ["SCHEDULED", "damaged (ref 1)"]);
  assert.equal(refund.summary.pendingRefund.amount, "101.40");
  assert.equal(orderTransactions.orderId, order_id);

  const listed = await wix.transactions.listTransactionsForSingleOrder(order_id);
  const [payment] = listed.orderTransactions.payments;
  const [settled] = listed.orderTransactions.refunds;
  assert.deepEqual([payment.status, settled._id], ["REFUNDED", refund._id]);
  assert.equal(settled.transactions[0].refundStatus, "SUCCEEDED");
  assert.equal(settled.summary.pending, false);
  assert.ok(settled._createdDate instanceof Date);
  const many = await wix.transactions.listTransactionsForMultipleOrders([order_id]);
  assert.equal(many.orderTransactions[0].refunds[0]._id, refund._id);
  assert.equal((await wix.orders.getOrder(order_id)).paymentStatus, "FULLY_REFUNDED");
});

// What is asked of a rich order, by the names of its parts; the status and code of the refusal.
const REFUSED_REFUNDS = [
  [(p) => ({ payment: [p.payment_ids[0], "20.01"] }), 400, "INVALID_PAYMENT_REFUND_AMOUNT"],
  [(p) => ({ fee: [p.fee, "9.00"] }), 400, "INVALID_ADDITIONAL_FEE_REFUND_AMOUNT"],
  [() => ({ shipping: "9.00" }), 400, "INVALID_SHIPPING_REFUND_AMOUNT"],
  [(p) => ({ line: [p.line_ids[0], 3] }), 400, "INVALID_LINE_ITEM_REFUND_QUANTITY"],
  [(p) => ({ restock: [p.line_ids[0], 3] }), 400, "INVALID_LINE_ITEM_RESTOCK_QUANTITY"],
  [
    (p) => ({ restock: [p.line_ids[1], 1] }),
    400,
    "PARTIAL_REFUND_FOR_MULTIPLE_LOCATIONS_NOT_ALLOWED",
  ],
  [() => ({ payment: [NOBODY, "1.00"] }), 404, "PAYMENT_NOT_FOUND"],
  [() => ({ line: [NOBODY, 1] }), 404, "LINE_ITEM_NOT_FOUND"],
  [() => ({ fee: [NOBODY, "1.00"] }), 404, "ADDITIONAL_FEE_NOT_FOUND"],
  [() => ({ plain: true, shipping: "1.00" }), 404, "SHIPPING_NOT_FOUND"],
  [(p) => ({ payment: [p.payment_ids[2], "1.00"] }), 428, "PAYMENT_NOT_REFUNDABLE"],
  [(p) => ({ payment: [p.payment_ids[1], "1.00"] }), 428, "EXTERNAL_REFUND_EXPECTED"],
];

for (const [ask, status, code] of REFUSED_REFUNDS) {
  test(`a refund is refused with ${code}`, async () => {
    const isPlain = ask({ payment_ids: [], line_ids: [] }).plain;
    const placed = await order(
      isPlain
        ? {}
        : {
            lines: [{ price: "5.00", quantity: 2 }, { price: "5.00", quantity: 2, locations: 2 }],
            shipping: "5.00",
            fees: [{ amount: "2.00" }],
            payments: [
              { amount: "20.00" },
              { amount: "5.00", offline: true },
              { amount: "2.00", non_refundable: "FORBIDDEN" },
            ],
          },
    );
    const { additionalFees } = await wix.billing.getOrderRefundability(placed.order_id);
    const asked = ask({ ...placed, fee: additionalFees[0]?.additionalFeeId });
    const [paymentId, amount] = asked.payment ?? [placed.payment_ids[0], "1.00"];
    const item = ([lineItemId, quantity]) => ({ lineItems: [{ lineItemId, quantity }] });
    const fee = ([additionalFeeId, value]) => ({
      additionalFees: [{ additionalFeeId, amount: price(value) }],
    });
    const error = await refusal(
      wix.billing.refundPayments(placed.order_id, {
        paymentRefunds: [{ paymentId, amount: price(amount) }],
        refundItems: {
          ...(asked.line && item(asked.line)),
          ...(asked.fee && fee(asked.fee)),
          ...(asked.shipping && { shipping: { amount: price(asked.shipping) } }),
        },
        ...(asked.restock && { sideEffects: { restock: item(asked.restock) } }),
      }),
    );
    assert.deepEqual([error.status, error.code], [status, code]);
    assert.equal((await admin("books")).refunds_per_order[placed.order_id], 0);
    if (code === "PAYMENT_NOT_REFUNDABLE") {
      assert.deepEqual(error.data, { paymentId, nonRefundableReason: "FORBIDDEN" });
    } else if (code === "EXTERNAL_REFUND_EXPECTED") {
      assert.deepEqual([error.data.paymentId, error.data.amount.amount], [paymentId, "1.00"]);
    }
  });
}

test("a wrong refund is refused with the SDK's names of its fields", async () => {
  const { order_id, payment_ids } = await order();
  const refund = (given) => wix.billing.refundPayments(order_id, given);
  const one = (amount) => ({ paymentRefunds: [{ paymentId: payment_ids[0], amount }] });
  const rules = async (given) => (await violations(refund(given))).map(([, rule]) => rule);
  assert.deepEqual(await rules({ paymentRefunds: [] }), ["MIN_SIZE"]);
  assert.deepEqual(await rules({ paymentRefunds: [{ paymentId: "p" }] }), ["FORMAT"]);
  assert.deepEqual(await rules(one(price("1E+2"))), ["FORMAT"]);
  assert.deepEqual(await rules(one(price("-1"))), ["DECIMAL_GTE"]);
  assert.deepEqual(await rules({ ...one(price("1")), customerReason: "x".repeat(201) }), [
    "MAX_LENGTH",
  ]);
  const [[field]] = await violations(refund({ paymentRefunds: [] }));
  assert.ok(field.endsWith("paymentRefunds"), field);
});

test("a pending refund blocks the next, a failed one does not", async () => {
  await flags({ provider_ms: 10 ** 9 });
  const { order_id, payment_ids } = await order();
  const paymentRefunds = [{ paymentId: payment_ids[0], amount: price("1.00") }];
  await wix.billing.refundPayments(order_id, { paymentRefunds });
  const error = await refusal(wix.billing.refundPayments(order_id, { paymentRefunds }));
  assert.equal(error.data.nonRefundableReason, "PENDING_REFUND");
  await merchant("provider_says", order_id, { status: "FAILED" });
  const { refund } = await wix.billing.refundPayments(order_id, { paymentRefunds });
  assert.equal(refund.transactions[0].refundStatus, "SCHEDULED");
  await flags({ provider_ms: 0 });
});

test("an authorized payment is voided, later", async () => {
  const { order_id, payment_ids } = await order({
    payments: [{ amount: "5.00", authorized: true }],
  });
  const { orderTransactions } = await wix.billing.voidAuthorizedPayments(order_id, {
    paymentIds: payment_ids,
  });
  const details = orderTransactions.payments[0].regularPaymentDetails.authorizationDetails;
  assert.equal(details.void.status, "PENDING");
  const listed = await wix.transactions.listTransactionsForSingleOrder(order_id);
  assert.equal(listed.orderTransactions.payments[0].status, "VOIDED");
});

for (const [payment, status, code] of [
  [null, 404, "PAYMENT_NOT_FOUND"],
  [
    { authorized: true, non_refundable: "TRANSACTION_NOT_FOUND" },
    404,
    "GATEWAY_TRANSACTION_NOT_FOUND",
  ],
  [{ voided: true }, 409, "PAYMENT_ALREADY_VOIDED"],
  [{ captures: [{ status: "SUCCEEDED" }] }, 428, "PAYMENT_ALREADY_CAPTURED"],
  [{}, 428, "PAYMENT_NOT_AUTHORIZED"],
]) {
  test(`voiding is refused with ${code}`, async () => {
    const { order_id, payment_ids } = await order({ payments: [{ amount: "5.00", ...payment }] });
    const paymentIds = payment ? payment_ids : [NOBODY];
    const error = await refusal(wix.billing.voidAuthorizedPayments(order_id, { paymentIds }));
    assert.deepEqual([error.status, error.code], [status, code]);
  });
}

test("an authorized payment is captured in full", async () => {
  const { order_id, payment_ids } = await order({
    payments: [{ amount: "5.00", authorized: true }],
  });
  const capture = (amount) =>
    wix.billing.captureAuthorizedPayments(order_id, {
      payments: [{ paymentId: payment_ids[0], amount: price(amount) }],
    });
  assert.equal((await refusal(capture("4.00"))).code, "INVALID_AMOUNT");
  await capture("5.00");
  assert.equal((await refusal(capture("5.00"))).code, "PAYMENT_ALREADY_CAPTURED");
});

for (const [payment, code] of [
  [null, "PAYMENT_NOT_FOUND"],
  [{ voided: true }, "PAYMENT_ALREADY_VOIDED"],
  [{}, "PAYMENT_NOT_AUTHORIZED"],
  [{ captures: [{ status: "PENDING", _asked_ms: 1e15 }] }, "PAYMENT_HAS_PENDING_CAPTURE"],
  [{ authorized: true, chargeback: "1.00" }, "ORDER_HAS_CHARGEBACKS"],
]) {
  test(`capturing is refused with ${code}`, async () => {
    const { order_id, payment_ids } = await order({ payments: [{ amount: "5.00", ...payment }] });
    const payments = [{ paymentId: payment ? payment_ids[0] : NOBODY, amount: price("5.00") }];
    const error = await refusal(wix.billing.captureAuthorizedPayments(order_id, { payments }));
    assert.equal(error.code, code);
  });
}

test("the merchant says that an offline payment came", async () => {
  const { order_id, payment_ids } = await order({
    payments: [{ amount: "5.00", offline: true, status: "PENDING_MERCHANT" }],
  });
  const ids = { orderId: order_id, paymentId: payment_ids[0] };
  const update = (status) => wix.transactions.updatePaymentStatus(ids, { status });
  const { orderTransactions } = await update("APPROVED");
  assert.equal(orderTransactions.payments[0].status, "APPROVED");
  assert.equal((await refusal(update("REFUNDED"))).code, "STATUS_NOT_ALLOWED");
});

test("gift cards and memberships are read as such, and end VOIDED", async () => {
  const { order_id, payment_ids } = await order({
    payments: [
      { amount: "40.00", kind: "gift_card" },
      { amount: "60.00", kind: "membership" },
    ],
  });
  const paymentRefunds = payment_ids.map((paymentId) => ({ paymentId }));
  await wix.billing.refundPayments(order_id, { paymentRefunds });
  const { orderTransactions } = await wix.transactions.listTransactionsForSingleOrder(order_id);
  const [card, membership] = orderTransactions.payments;
  assert.equal(card.giftcardPaymentDetails.voided, true);
  assert.equal(membership.membershipPaymentDetails.name.original, "Plan");
  assert.deepEqual([card.status, membership.status], ["VOIDED", "VOIDED"]);
});

test("site properties, currencies and catalog version are read", async () => {
  const all = await wix.properties.getSiteProperties();
  assert.equal(all.properties.siteDisplayName, "Zoë");
  const some = await wix.properties.getSiteProperties({ fields: ["paymentCurrency"] });
  assert.deepEqual(some.properties, { paymentCurrency: "USD" });
  const { currencies } = await wix.currencies.listCurrencies();
  assert.ok(currencies.some(({ code, symbol }) => code === "EUR" && symbol === "€"));
  assert.equal((await wix.catalog.getCatalogVersion()).catalogVersion, "V1_CATALOG");
});

test("an unknown site is META_SITE_NOT_FOUND, a missing box PERMISSION_DENIED", async () => {
  const lost = client(NOBODY, store.apiKey);
  assert.equal((await refusal(lost.properties.getSiteProperties())).code, "META_SITE_NOT_FOUND");
  const poor = await newStore({ scopes: ["Wix Stores"] });
  const error = await refusal(poor.wix.properties.getSiteProperties());
  assert.deepEqual([error.status, error.code], [403, "PERMISSION_DENIED"]);
  for (const call of [
    () => poor.wix.currencies.listCurrencies(),
    () => poor.wix.billing.getOrderRefundability(NOBODY),
  ]) {
    assert.equal((await failure(call())).status, 403);
  }
});

test("keys are refused as documented", async () => {
  const { order_id } = await order();
  const wrong = client(store.site_id, "IST.wrong");
  assert.equal((await failure(wrong.orders.getOrder(order_id))).status, 401);
  const nowhere = client(undefined, store.apiKey);
  const error = await refusal(nowhere.orders.getOrder(order_id));
  assert.deepEqual([error.status, error.code], [428, "MISSING_METASITE_ID"]);
});

test("the site list is asked for by account", async () => {
  const account = accountClient(store.account_id, store.apiKey);
  const ask = async (name, body) => {
    const answer = await account.fetchWithAuth(`https://www.wixapis.com/site-list/v2/sites/${name}`, {
      method: "POST",
      body: JSON.stringify(body),
    });
    assert.equal(answer.status, 200);
    return answer.json();
  };
  const filter = { id: { $in: [store.site_id] } };
  const { sites, metadata } = await ask("query", { query: { filter, cursorPaging: { limit: 1 } } });
  assert.deepEqual([sites[0].id, sites[0].ownerAccountId], [store.site_id, store.account_id]);
  assert.equal(metadata.hasNext, false);
  assert.deepEqual(await ask("count", { filter }), { count: 1 });
});

for (const status of [429, 500, 501, 503, 504]) {
  test(`the SDK reads a ${status}`, async () => {
    const { order_id } = await order();
    await admin("faults", { faults: [{ kind: "status", endpoint: "get_order", order_id, status }] });
    const error = await failure(wix.orders.getOrder(order_id));
    assert.equal(error.response?.status ?? error.status, status);
  });
}
