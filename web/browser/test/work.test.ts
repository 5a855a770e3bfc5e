/** Sending under a flood: the work is found, paid once, and never asked for without an end. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "../src/encoding.ts";
import { newReceipt } from "../src/receipts.ts";
import { sealAlert, sendAlert } from "../src/seal.ts";
import { findWork, zeroBits } from "../src/work.ts";
import { DAY, MemoryNode, NODE, aManifest, aPerson, aRoot } from "./people.ts";
import { refusedFor } from "./refusals.ts";

const root = aRoot();
const manifest = aManifest([await aPerson("ana"), await aPerson("ben")], root);
const draft = { form: "0".repeat(64), language: "en", answers: {}, identityFields: {}, files: [] };

test("leading zero bits are counted as the server counts them", () => {
  assert.equal(zeroBits(Uint8Array.of(0xff, 0)), 0);
  assert.equal(zeroBits(Uint8Array.of(0, 0x1f)), 11);
  assert.equal(zeroBits(Uint8Array.of(0, 0)), 16);
});

test("the work that is found is about this alert, this node and this day", async () => {
  const work = await findWork({ node: NODE, id: "a".repeat(32), day: DAY }, 10);
  assert.ok(work.startsWith(`${DAY}.`));
  assert.ok(zeroBits(sha256(utf8(`social-rights-tracker/work/v1|${NODE}|${"a".repeat(32)}|${work.replace(".", "|")}`))) >= 10);
});

test("an alert is sent again with the work that was asked for", async () => {
  const node = new MemoryNode();
  const works: (string | null)[] = [];
  const fetch = (async (address: string, init: RequestInit): Promise<Response> => {
    const work = new Headers(init.headers).get("work");
    if (init.method === "POST") works.push(work);
    if (init.method === "POST" && work === null) return Response.json({ error: "work", bits: 6 }, { status: 428 });
    return node.fetch(address, init);
  }) as typeof globalThis.fetch;
  const alert = await sealAlert(draft, { manifest, receipt: newReceipt(), day: DAY });
  await sendAlert(alert, { fetch, sleep: async () => {} });
  assert.equal(works.length, 2);
  assert.match(works[1] ?? "", /^\d{4}-\d{2}-\d{2}\.\d+$/);
});

test("a server that is never content is refused in the end", async () => {
  const fetch = (async () => Response.json({ error: "work", bits: 1 }, { status: 428 })) as unknown as typeof globalThis.fetch;
  const alert = await sealAlert(draft, { manifest, receipt: newReceipt(), day: DAY });
  await refusedFor("work", () => sendAlert(alert, { fetch, sleep: async () => {} }));
});
