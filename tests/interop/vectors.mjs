// Read golden vectors from standard input, and print for each the canonical form and the signature.
import { readFileSync } from "node:fs";
import { canonical, sign } from "./send.mjs";

const found = JSON.parse(readFileSync(0, "utf8")).map((one) => ({
  canonical: canonical(one.job),
  signature: sign(one.job, one.producer, one.key, one.timestamp, one.nonce).signature,
}));
console.log(JSON.stringify(found));
