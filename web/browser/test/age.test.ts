/** The wall around age: every C2SP vector, chunk edges, and whatever is not one hybrid recipient. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateSync } from "node:zlib";
import * as cctv from "cctv-age";
import { Decrypter, Encrypter, generateHybridIdentity, generateX25519Identity, identityToRecipient } from "age-encryption";
import { generateKey, isHybrid, keyFromSeed, open, openStream, seal, sealStream, sealedSize } from "../src/age.ts";
import { sha256Hex, utf8 } from "../src/encoding.ts";
import { refusedFor } from "./refusals.ts";

interface Vector {
  readonly name: string;
  readonly fields: Map<string, string[]>;
  readonly file: Uint8Array;
}

const named = ("default" in cctv ? cctv.default : cctv) as unknown as Record<string, Uint8Array>;
const vectors: Vector[] = Object.entries(named)
  .map(([name, data]) => {
    const end = Buffer.from(data).indexOf("\n\n");
    const fields = new Map<string, string[]>();
    for (const line of Buffer.from(data.subarray(0, end)).toString().split("\n")) {
      const [key, value] = [line.slice(0, line.indexOf(": ")), line.slice(line.indexOf(": ") + 2)];
      fields.set(key, [...(fields.get(key) ?? []), value]);
    }
    const body = data.subarray(end + 2);
    return { name, fields, file: fields.has("compressed") ? new Uint8Array(inflateSync(body)) : body };
  })
  .filter((vector) => !vector.fields.has("armored"));

// Sound files of the format that this house does not take: other recipients could read along, or the key is classical.
const NOT_TAKEN = /^(hybrid_and_x25519|hybrid_grease|hybrid_multiple_recipients|scrypt|x25519.*|stanza_.*|stream_.*)$/;

test("the package ends every vector of the specification as it says", async () => {
  assert.equal(vectors.length, 110);
  for (const { name, fields, file } of vectors) {
    const decrypter = new Decrypter();
    for (const identity of fields.get("identity") ?? []) decrypter.addIdentity(identity);
    for (const passphrase of fields.get("passphrase") ?? []) decrypter.addPassphrase(passphrase);
    const opened = await decrypter.decrypt(file).catch(() => null);
    assert.equal(opened !== null, fields.get("expect")?.[0] === "success", name);
    if (opened !== null) assert.equal(sha256Hex(opened), fields.get("payload")?.[0], name);
  }
});

test("the wall lets through exactly the sound vectors with one hybrid recipient", async () => {
  const passed = [];
  for (const { name, fields, file } of vectors) {
    for (const identity of [...(fields.get("identity") ?? []), ...(fields.get("passphrase") ?? [])]) {
      const opened = await open(file, identity).catch(() => null);
      if (opened === null) continue;
      assert.equal(sha256Hex(opened), fields.get("payload")?.[0], name);
      passed.push(name);
    }
  }
  const sound = vectors.filter(({ name, fields }) => fields.get("expect")?.[0] === "success" && !NOT_TAKEN.test(name));
  assert.deepEqual(passed, sound.map(({ name }) => name));
  assert.deepEqual(passed, ["hybrid"]);
});

test("what is sealed opens again at every edge of a chunk, with the size that was foretold", async () => {
  const { identity, recipient } = await generateKey();
  for (const size of [0, 1, 65535, 65536, 65537, 131071, 131072, 131073]) {
    const plaintext = new Uint8Array(size).fill(7);
    const sealed = await seal(plaintext, recipient);
    assert.equal(sealed.length, sealedSize(size));
    assert.deepEqual(await open(sealed, identity), plaintext);
  }
});

test("a file cut short, lengthened or changed at any edge is refused", async () => {
  const { identity, recipient } = await generateKey();
  const sealed = await seal(new Uint8Array(131072), recipient);
  const payload = sealedSize(0) - 16;
  for (const end of [10, payload - 1, payload, payload + 65552, payload + 65553, sealed.length - 1]) {
    await refusedFor("cannot-open", () => open(sealed.slice(0, end), identity));
  }
  await refusedFor("cannot-open", () => open(new Uint8Array([...sealed, 0]), identity));
  for (const at of [200, 1600, payload, sealed.length - 1]) {
    const altered = sealed.slice();
    altered[at] = (altered[at] as number) ^ 1;
    await refusedFor("cannot-open", () => open(altered, identity));
  }
});

test("a stream that ends early ends in an error", async () => {
  const { identity, recipient } = await generateKey();
  const sealed = await new Response(await sealStream(new Blob([new Uint8Array(200_000)]).stream(), recipient)).bytes();
  assert.equal((await new Response(await openStream(new Blob([sealed]).stream(), identity)).bytes()).length, 200_000);
  await assert.rejects(async () => new Response(await openStream(new Blob([sealed.slice(0, 150_000)]).stream(), identity)).bytes());
});

test("classical, tagged, mistyped and mixed recipients are refused", async () => {
  const classical = await identityToRecipient(await generateX25519Identity());
  const { recipient } = await generateKey();
  for (const wrong of [classical, `${recipient.slice(0, -1)}x`, recipient.toUpperCase(), "", "age1tagpq1qqqq", `${recipient},${classical}`]) {
    assert.equal(isHybrid(wrong), false);
    await refusedFor("not-hybrid", () => seal(utf8("text"), wrong));
  }
  assert.equal(isHybrid(recipient), true);
});

test("a file that a second recipient can open too is refused, be it classical or hybrid", async () => {
  const identity = await generateHybridIdentity();
  const others = [await generateX25519Identity(), await generateHybridIdentity()];
  for (const other of others) {
    const encrypter = new Encrypter();
    encrypter.addRecipient(await identityToRecipient(identity));
    encrypter.addRecipient(await identityToRecipient(other));
    const mixed = await encrypter.encrypt("text");
    await refusedFor("not-hybrid", () => open(mixed, identity));
  }
});

test("a classical identity or a passphrase opens nothing here", async () => {
  const classical = await generateX25519Identity();
  const encrypter = new Encrypter();
  encrypter.addRecipient(await identityToRecipient(classical));
  const sealed = await encrypter.encrypt("text");
  await refusedFor("not-hybrid", () => open(sealed, classical));
  await refusedFor("not-hybrid", () => keyFromSeed(new Uint8Array(16)));
});

test("another person's identity does not open a file", async () => {
  const [mine, theirs] = [await generateKey(), await generateKey()];
  const sealed = await seal(utf8("text"), theirs.recipient);
  await refusedFor("cannot-open", () => open(sealed, mine.identity));
});
