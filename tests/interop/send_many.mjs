// Send the jobs of a file, for `make upstream`: node send_many.mjs FILE. Each line is a JSON object with
// `number`, `kind`, `job`, and `message` if the message is broken itself. Answers are printed as "NUMBER\tsent".
import { readFileSync } from "node:fs";
import Redis from "ioredis";
import { messageOf } from "./send.mjs";

const { NAMESPACE, REDIS_URL, KEY, WRONG_KEY } = process.env;
const lua = readFileSync(new URL("../../worker/upstream/enqueue.lua", import.meta.url), "utf8");
const redis = new Redis(REDIS_URL);
redis.defineCommand("enqueue", { numberOfKeys: 2, lua });
const queue = `{${NAMESPACE}}:refunds`;

for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const { number, kind, job, message } = JSON.parse(line);
  if (message) {
    const id = `raw-${number}`;
    await redis.multi().hset(`${queue}.msgs`, id, message).rpush(queue, id).exec();
  } else {
    const key = kind === "badly signed" ? WRONG_KEY : KEY;
    const { place, ownId, text } = messageOf(job, { producer: "node", key });
    await redis.enqueue(queue, `${queue}.msgs`, place, ownId, text);
  }
  console.log(`${number}\tsent`);
}
redis.disconnect();
