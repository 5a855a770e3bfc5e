/** Keys that are given on, keys that are made anew, and whose keys are believed. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fingerprint, giveKey, makeNewKey, trustIn } from "../src/access.ts";
import { generateKey } from "../src/age.ts";
import { fromBase64, sha256Hex, toBase64 } from "../src/encoding.ts";
import { composeObject, openChain } from "../src/objects.ts";
import { beginCase } from "../src/open.ts";
import { holds } from "../src/signing.ts";
import type { EpochKey } from "../src/types.ts";
import { openWrap } from "../src/wraps.ts";
import { DAY, NODE, aManifest, aPerson, aRoot } from "./people.ts";
import { refusedFor } from "./refusals.ts";

const PLACE = { node: NODE, case: "a".repeat(32), compartment: "dialogue" } as const;

test("a key that is given on opens for its new holder alone, at its epoch alone", async () => {
  const [ana, dora, eve] = [await aPerson("ana"), await aPerson("dora"), await aPerson("eve")];
  const key: EpochKey = { ...(await generateKey()), epoch: 2 };
  const given = await giveKey(key, dora, { place: PLACE, me: ana.keys, day: DAY });
  const expected = { place: PLACE, mayGrant: [ana.ed25519], recipient: key.recipient };

  const sealed = fromBase64(given.sealed);
  assert.equal((await openWrap(sealed, dora.keys.identity, { ...expected, epoch: 2 })).identity, key.identity);
  await refusedFor("cannot-open", () => openWrap(sealed, eve.keys.identity, { ...expected, epoch: 2 }));
  await refusedFor("wrong-place", () => openWrap(sealed, dora.keys.identity, expected));
});

test("a grant is signed over who gets what, and nothing of it can be changed", async () => {
  const [ana, dora] = [await aPerson("ana"), await aPerson("dora")];
  const given = await giveKey({ ...(await generateKey()), epoch: 1 }, dora, { place: PLACE, me: ana.keys, day: DAY });
  const { sealed, signature, ...terms } = given;
  const statement = {
    v: 1, type: "access-grant", ...PLACE, ...terms, wrap: sha256Hex(fromBase64(sealed)), recipient: sha256Hex(new TextEncoder().encode(dora.age)),
    granted_by: ana.ed25519,
  };

  assert.ok(holds(statement, signature, ana.ed25519));
  for (const name of Object.keys(statement)) assert.ok(!holds({ ...statement, [name]: "other" }, signature, ana.ed25519), name);
});

test("after a new key nothing is taken under the old one, and what came before stays readable", async () => {
  const [ana, boris] = [await aPerson("ana"), await aPerson("boris")];
  const first: EpochKey = { ...(await generateKey()), epoch: 1 };
  const made = await makeNewKey(first, [ana, boris], [{ holder: "source", age: ana.age }], { place: PLACE, me: ana.keys, day: DAY });
  assert.deepEqual([made.epoch, made.wraps.map((wrap) => wrap.holder), made.others.length], [2, ["ana", "boris"], 1]);
  const wrap = fromBase64(made.wraps[1]!.sealed);
  const second = await openWrap(wrap, boris.keys.identity, { place: PLACE, mayGrant: [ana.ed25519], epoch: 2, recipient: made.recipient });

  const say = async (key: EpochKey, seq: number, prev: string | null): Promise<string> =>
    toBase64(await composeObject("message", { text: `${seq}` }, { place: PLACE, recipient: key.recipient, epoch: key.epoch, next: { seq, prev }, day: DAY, by: ana.keys.signing }));
  const one = await say(first, 1, null);
  const two = await say(second, 2, sha256Hex(fromBase64(one)));
  const late = await say(first, 3, sha256Hex(fromBase64(two)));
  const objects = [one, two, late].map((sealed, index) => ({ seq: index + 1, sealed }));
  const { links } = await openChain(objects, [first, second], PLACE);

  assert.deepEqual(links.map((link) => link.reason), [null, null, "wrong-place"]);
  assert.deepEqual((await openChain(objects, first, PLACE)).links.map((link) => link.reason), [null, "cannot-open", null]);
});

test("an object that claims another epoch than its key's is refused", async () => {
  const ana = await aPerson("ana");
  const key: EpochKey = { ...(await generateKey()), epoch: 2 };
  const sealed = await composeObject("message", { text: "?" }, { place: PLACE, recipient: key.recipient, next: { seq: 1, prev: null }, day: DAY, by: ana.keys.signing });
  const { links } = await openChain([{ seq: 1, sealed: toBase64(sealed) }], [key], PLACE);

  assert.equal(links[0]?.reason, "wrong-place");
});

test("the signed list vouches for keys, contradicts them, or is silent", async () => {
  const [ana, boris, eve] = [await aPerson("ana"), await aPerson("boris"), await aPerson("eve")];
  const manifest = aManifest([ana, boris], aRoot());

  assert.equal(trustIn(ana, manifest), "listed");
  assert.equal(trustIn(eve, manifest), "unlisted");
  assert.equal(trustIn(eve, null), "unlisted");
  assert.equal(trustIn({ ...ana, age: eve.age }, manifest), "contradicted");
  assert.equal(trustIn({ ...ana, ed25519: eve.ed25519 }, manifest), "contradicted");
  assert.equal(trustIn({ ...eve, age: ana.age }, manifest), "contradicted");
});

test("a fingerprint is eight words, the same for the same keys and no others", async () => {
  const [ana, boris] = [await aPerson("ana"), await aPerson("boris")];

  assert.match(fingerprint(ana), /^([a-z]+ ){7}[a-z]+$/);
  assert.equal(fingerprint(ana), fingerprint({ ...ana }));
  assert.notEqual(fingerprint(ana), fingerprint(boris));
  assert.notEqual(fingerprint(ana), fingerprint({ ...ana, ed25519: boris.ed25519 }));
});

test("the recovery key gets a case's key too, where the signed list names one", async () => {
  const [ana, paper] = [await aPerson("ana"), await generateKey()];
  const begun = await beginCase(ana.keys, { node: NODE, holders: [ana], recovery: paper.recipient });
  const kept = begun.wraps.find((wrap) => wrap.holder === "recovery");
  const place = { node: NODE, case: begun.id, compartment: "internal" } as const;

  assert.equal((await openWrap(fromBase64(kept?.sealed), paper.identity, { place, mayGrant: [ana.ed25519] })).recipient, begun.internal);
  assert.deepEqual((await beginCase(ana.keys, { node: NODE, holders: [ana] })).wraps.map((wrap) => wrap.holder), ["ana"]);
});
