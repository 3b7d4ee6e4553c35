// Send one job with Node and ioredis: node send.mjs REDIS_URL '{"refund_id": ...}'
// With PRODUCER and KEY in the environment the job is signed.
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import Redis from "ioredis";

/** The canonical JSON of a job (RFC 8785): JavaScript sorts by UTF-16 code units, too. */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.keys(value).sort();
  return `{${fields.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(",")}}`;
}

export function sign(job, producer, key, timestamp, nonce) {
  const text = ["v1", producer, timestamp, nonce, canonical(job)].join("\n");
  const signature = createHmac("sha256", key).update(text, "utf8").digest("hex");
  return { producer, timestamp, nonce, signature };
}

export function messageOf(job, { producer, key } = {}) {
  const ownId = randomUUID();
  const place = `${job.refund_id}/job`;
  const options = { redis_message_id: place };
  if (producer) options.signature = sign(job, producer, key, Math.floor(Date.now() / 1000), ownId);
  const text = JSON.stringify({
    queue_name: "refunds", actor_name: "request_refund", args: [], kwargs: job, options,
    message_id: ownId, message_timestamp: Date.now(),
  });
  return { place, ownId, text };
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const { NAMESPACE = "refunds", PRODUCER, KEY, ENQUEUE_LUA } = process.env;
  const lua = readFileSync(ENQUEUE_LUA ?? new URL("../../worker/upstream/enqueue.lua", import.meta.url), "utf8");
  const redis = new Redis(process.argv[2]);
  redis.defineCommand("enqueue", { numberOfKeys: 2, lua });
  const { place, ownId, text } = messageOf(JSON.parse(process.argv[3]), { producer: PRODUCER, key: KEY });
  const queue = `{${NAMESPACE}}:refunds`;
  await redis.enqueue(queue, `${queue}.msgs`, place, ownId, text);
  console.log(place.slice(0, -"/job".length));
  redis.disconnect();
}
