// The simulator behind Wix's own client: only `fetch` is ours, and it only changes the host.

import assert from "node:assert/strict";

import * as billing from "@wix/auto_sdk_ecom_order-billing";
import * as catalog from "@wix/auto_sdk_stores_catalog-versioning";
import * as currencies from "@wix/auto_sdk_ecom_currencies";
import * as fulfillments from "@wix/auto_sdk_ecom_order-fulfillments";
import * as orders from "@wix/auto_sdk_ecom_orders";
import * as properties from "@wix/auto_sdk_business-tools_site-properties";
import * as transactions from "@wix/auto_sdk_ecom_order-transactions";
import { ApiKeyStrategy, DEFAULT_API_URL, createClient } from "@wix/sdk";

export const URL_OF_SIMULATOR = process.env.SIMULATOR_URL;
export const NOBODY = "00000000-0000-4000-8000-00000000dead";
export const AFTER = "2025-01-02T03:04:05.000Z";

/** `fetch`, but what is meant for Wix goes to the simulator. Notes the headers that it sends. */
export const sent = [];
const toSimulator = (url, options) => {
  sent.push(options.headers);
  return fetch(String(url).replace(`https://${DEFAULT_API_URL}`, URL_OF_SIMULATOR), options);
};

/** Ask the simulator's admin view. */
export const admin = async (name, body) => {
  const answer = await fetch(`${URL_OF_SIMULATOR}/_simulator/${name}`, {
    method: body ? "POST" : "GET",
    body: body && JSON.stringify(body),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  return answer.json();
};

const modules = { billing, catalog, currencies, fulfillments, orders, properties, transactions };

/** Wix's client of one site. */
export const client = (siteId, apiKey) =>
  createClient({ modules, auth: ApiKeyStrategy({ siteId, apiKey }), fetch: toSimulator });

/** Wix's client of one account: no module exists for the site list, so it is called by its URL. */
export const accountClient = (accountId, apiKey) =>
  createClient({ auth: ApiKeyStrategy({ accountId, apiKey }), fetch: toSimulator });

/** A store of its own, its client, and `order()` that places an order in it. */
export const newStore = async (more = {}) => {
  const apiKey = `IST.${crypto.randomUUID()}`;
  const store = await admin("stores", { api_key: apiKey, ...more });
  const wix = client(store.site_id, apiKey);
  const order = (given = {}) =>
    admin("orders", { site_id: store.site_id, created_date: AFTER, ...given });
  return { ...store, apiKey, wix, order };
};

/** The application error that a call ends with. */
export const refusal = async (call) => {
  const error = await failure(call);
  assert.ok(error.details?.applicationError, `no application error: ${error}`);
  return { status: error.status, ...error.details.applicationError };
};

/** What a call throws. */
export const failure = async (call) => {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call was not refused");
};

/** Field and rule of what a wrong request breaks. */
export const violations = async (call) => {
  const error = await failure(call);
  assert.equal(error.status, 400);
  const found = error.details.validationError.fieldViolations;
  return found.map(({ field, violatedRule }) => [field, violatedRule]);
};
