/** Files locked with a passphrase: what the stock format says, slow without standing in anybody's way. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Decrypter, Encrypter } from "age-encryption";
import { utf8 } from "../src/encoding.ts";
import { lock, unlock } from "../src/passphrases.ts";
import { refusedFor } from "./refusals.ts";

const PASSPHRASE = "six fictional words — ﬁve and one";
const TEXT = utf8("A fictional draft.");
const QUICK = 10;

test("another passphrase, altered bytes and a second recipient open nothing", async () => {
  const locked = await lock(TEXT, PASSPHRASE, QUICK);
  const altered = locked.slice();
  altered[altered.length - 1] = (altered[altered.length - 1] ?? 0) ^ 1;
  const two = new Encrypter();
  two.addRecipient("age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa");

  await refusedFor("cannot-open", () => unlock(locked, `${PASSPHRASE}x`));
  await refusedFor("cannot-open", () => unlock(altered, PASSPHRASE));
  await refusedFor("cannot-open", async () => unlock(await two.encrypt(TEXT), PASSPHRASE));
  await refusedFor("cannot-open", () => unlock(utf8("no age file"), PASSPHRASE));
});

test("a work factor that would take a device down is not begun", async () => {
  const locked = await lock(TEXT, PASSPHRASE, QUICK);
  const heavy = utf8(new TextDecoder("latin1").decode(locked.slice(0, 60)).replace(/ 10\n/, " 31\n"));

  await refusedFor("cannot-open", () => unlock(new Uint8Array([...heavy, ...locked.slice(60)]), PASSPHRASE));
});

test("the stock library opens what we lock, and we what it locked, however the passphrase was typed", async () => {
  const opener = new Decrypter();
  opener.addPassphrase(PASSPHRASE.normalize("NFKC"));
  const locker = new Encrypter();
  locker.setScryptWorkFactor(QUICK);
  locker.setPassphrase(PASSPHRASE.normalize("NFKC"));

  assert.deepEqual(await opener.decrypt(await lock(TEXT, PASSPHRASE, QUICK)), TEXT);
  assert.deepEqual(await unlock(await locker.encrypt(TEXT), PASSPHRASE), TEXT);
});

test("whoever waits for it is not kept from anything else", async () => {
  let turns = 0;
  const ticking = setInterval(() => (turns += 1), 0);
  await lock(TEXT, PASSPHRASE, 15);
  clearInterval(ticking);

  assert.ok(turns > 2, `${turns} turns for others while it was locked`);
});
