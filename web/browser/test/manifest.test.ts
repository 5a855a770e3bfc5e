/** The list of intake keys: each reason not to believe it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { generateX25519Identity, identityToRecipient } from "age-encryption";
import { canonical } from "../src/canonical.ts";
import { checkSuccession, fetchLatest, fetchManifest, holdersOf, verifyManifest } from "../src/manifest.ts";
import type { Reason } from "../src/types.ts";
import { MemoryNode, NODE, NOW, aManifest, aPerson, aRoot, signedManifest, utf8 } from "./people.ts";
import { refusedFor } from "./refusals.ts";

const root = aRoot();
const people = [await aPerson("ana"), await aPerson("ben"), await aPerson("chi")];
const expected = { node: NODE, root: root.id, now: NOW };

test("a manifest that holds is believed, also when fetched", async () => {
  const node = new MemoryNode();
  node.manifest = signedManifest(people, root);

  const manifest = await fetchManifest(NODE, root.id, NOW, node.door);

  assert.deepEqual(manifest, aManifest(people, root));
  assert.deepEqual(manifest.handlers.map(({ id }) => id), ["ana", "ben", "chi"]);
});

test("the last list is read with whatever its dates, and only where its root has signed it", async () => {
  const node = new MemoryNode();
  node.manifest = signedManifest(people, root, { not_before: "2026-01-02T00:00:00Z", not_after: "2026-01-20T00:00:00Z" });

  assert.equal((await fetchLatest(NODE, root.id, node.door)).handlers.length, 3);
  await refusedFor("manifest-expired", () => fetchManifest(NODE, root.id, NOW, node.door));
  await refusedFor("manifest-wrong-root", () => fetchLatest(NODE, aRoot().id, node.door));
});

test("a manifest that is expired, too early, too long, elsewhere's or too small is refused", async () => {
  const handlers = JSON.parse(new TextDecoder().decode(signedManifest(people, root))).handlers;
  const classical = await identityToRecipient(await generateX25519Identity());
  const cases: [Reason, Record<string, any>][] = [
    ["manifest-expired", { not_after: "2026-11-21T12:00:00Z" }],
    ["manifest-not-yet-valid", { not_before: "2026-11-21T12:00:01Z" }],
    ["manifest-malformed", { not_after: "2026-12-20T00:00:01Z" }],
    ["manifest-malformed", { not_after: "2026-12-11" }],
    ["manifest-malformed", { handlers: "everyone" }],
    ["manifest-malformed", { extra: 1 }],
    ["manifest-malformed", { epoch: "1" }],
    ["manifest-other-node", { node: "https://b.example" }],
    ["manifest-too-few-handlers", { handlers: [handlers[0]] }],
    ["manifest-too-few-handlers", { handlers: [] }],
    ["manifest-too-few-handlers", { handlers: [handlers[0], { ...handlers[1], age: handlers[0].age }] }],
    ["manifest-too-few-handlers", { handlers: [handlers[0], { ...handlers[1], id: handlers[0].id }] }],
    ["not-hybrid", { handlers: [handlers[0], { ...handlers[1], age: classical }] }],
    ["not-hybrid", { recovery: classical }],
  ];
  for (const [reason, changes] of cases) {
    await refusedFor(reason, () => verifyManifest(signedManifest(people, root, changes), expected));
  }
});

test("a manifest that is unsigned, signed by another, or altered is refused", async () => {
  const bytes = signedManifest(people, root);
  const parsed = JSON.parse(new TextDecoder().decode(bytes));
  const { signature: _, ...unsigned } = parsed;
  const other = aRoot();

  await refusedFor("manifest-malformed", () => verifyManifest(canonical(unsigned), expected));
  await refusedFor("manifest-wrong-signature", () => verifyManifest(canonical({ ...parsed, organisation: "Another" }), expected));
  await refusedFor("manifest-wrong-signature", () => verifyManifest(canonical({ ...unsigned, signature: "" }), expected));
  await refusedFor("manifest-wrong-signature", () => verifyManifest(signedManifest(people, { ...other, id: root.id }), expected));
  await refusedFor("manifest-wrong-root", () => verifyManifest(signedManifest(people, other), expected));
});

test("a manifest has one spelling", async () => {
  const bytes = signedManifest(people, root);
  const text = new TextDecoder().decode(bytes);
  for (const other of [` ${text}`, text.replace('"v":1', '"v":1,"v":1'), text.slice(1), "[]", "null"]) {
    await refusedFor("manifest-malformed", () => verifyManifest(utf8(other), expected));
  }
});

test("two manifests for one epoch, or a broken chain, are a fork", async () => {
  const first = aManifest(people, root);
  const second = aManifest(people, root, { epoch: 2, previous: first.sha256 });
  checkSuccession(first, first);
  checkSuccession(first, second);
  checkSuccession(first, aManifest(people, root, { epoch: 3, previous: second.sha256 }));
  for (const forked of [
    aManifest(people, root, { organisation: "Another" }),
    aManifest(people, root, { epoch: 2, previous: "00".repeat(32) }),
    aManifest(people, aRoot(), { epoch: 2, previous: first.sha256 }),
  ]) {
    await refusedFor("manifest-forked", () => checkSuccession(first, forked));
  }
  await refusedFor("manifest-forked", () => checkSuccession(second, first));
});

test("identities go to custodians alone where there are any", () => {
  const handlers = JSON.parse(new TextDecoder().decode(signedManifest(people, root))).handlers;
  const some = aManifest(people, root, { handlers: handlers.map((one: any) => ({ ...one, custodian: one.id === "ben" })) });
  assert.deepEqual(holdersOf(some, "identity").map(({ id }) => id), ["ben"]);
  assert.equal(holdersOf(some, "dialogue").length, 3);
  assert.equal(holdersOf(aManifest(people, root), "identity").length, 3);
});
