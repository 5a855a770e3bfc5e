/** Receipts, vaults and what derives from them, against the known answers shared with node/sealing. */

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { keyOf } from "../src/age.ts";
import { fromBase64, sha256Hex, toBase64, toHex, utf8 } from "../src/encoding.ts";
import { digitsOf, entropyOf, newReceipt, readReceipt, sourceKeys, wordsOf } from "../src/receipts.ts";
import { deriveLogin, enrol, inlineKdf, openVault, recoveryIdentity } from "../src/vault.ts";
import { WORDS } from "../src/wordlist.ts";
import { refusedFor } from "./refusals.ts";

const known = JSON.parse(readFileSync(new URL("../../../tests/vectors/receipts.json", import.meta.url), "utf8"));
const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, "hex"));

test("the word list is the one beside the reader in node/sealing", () => {
  const list = readFileSync(new URL("../../../node/sealing/english.txt", import.meta.url), "utf8");
  assert.equal(`${WORDS.join("\n")}\n`, list);
});

test("receipts derive to the known answers", async () => {
  for (const one of known.receipts) {
    assert.equal(wordsOf(bytes(one.entropy)), one.words);
    assert.equal(toHex(entropyOf(one.words)), one.entropy);
    assert.equal(digitsOf(bytes(one.entropy)), one.digits);
    assert.equal(readReceipt(one.digits.replaceAll(" ", "-")), one.words);
    const keys = await sourceKeys(one.words, one.node);
    assert.equal(keys.mailboxToken, one.mailbox_token);
    assert.equal(keys.mailbox, one.mailbox);
    assert.equal(keys.identity, one.identity);
    assert.equal(sha256Hex(utf8(keys.recipient)), one.recipient_sha256);
    assert.equal(toHex(keys.signing.seed), one.signing_seed);
    assert.equal(keys.signing.id, one.signing_id);
  }
});

test("recovery codes and passphrases derive to the known answers", async () => {
  for (const one of known.recovery) assert.equal(await recoveryIdentity(one.words), one.identity);
  for (const one of known.logins) {
    const login = await deriveLogin(one.passphrase, toBase64(bytes(one.salt)), inlineKdf);
    assert.equal(toHex(fromBase64(login.auth)), one.auth);
    assert.equal(login.vaultIdentity, one.vault_identity);
  }
});

test("a receipt reads the same however it was typed", () => {
  const receipt = newReceipt();
  assert.equal(receipt.split(" ").length, 12);
  assert.equal(readReceipt(`  ${receipt.toUpperCase().replaceAll(" ", "\n - ")} `), receipt);
});

test("a wrong word, a missing word and swapped words are refused, each for its reason", async () => {
  const words = known.receipts[4].words.split(" ");
  await refusedFor("receipt-length", () => readReceipt(words.slice(1).join(" ")));
  await refusedFor("receipt-length", () => readReceipt(""));
  await refusedFor("receipt-word", () => readReceipt([...words.slice(1), "solidarité"].join(" ")));
  await refusedFor("receipt-checksum", () => readReceipt([...words.slice(1), words[0]].join(" ")));
});

test("wrong, missing and swapped digits are refused", async () => {
  const digits = known.receipts[1].digits;
  await refusedFor("receipt-length", () => readReceipt(digits.slice(1)));
  await refusedFor("receipt-checksum", () => readReceipt(`5${digits.slice(1)}`));
  await refusedFor("receipt-checksum", () => readReceipt(`9${digits.slice(1)}`));
  await refusedFor("receipt-checksum", () => readReceipt(`41${digits.slice(2)}`.replace(/^41/, "94")));
});

test("a vault opens with the passphrase and with the recovery code, and with nothing else", async () => {
  const { enrolment, keys, recoveryCode } = await enrol("six words nobody else would choose", inlineKdf);
  const login = await deriveLogin("six words nobody else would choose", enrolment.salt, inlineKdf);
  const wrong = await deriveLogin("six words somebody else would choose", enrolment.salt, inlineKdf);

  assert.equal(login.auth, enrolment.auth);
  assert.deepEqual(await openVault(enrolment.vault, login.vaultIdentity), keys);
  assert.deepEqual(await openVault(enrolment.recovery_vault, await recoveryIdentity(recoveryCode)), keys);
  assert.equal((await keyOf(keys.identity)).recipient, enrolment.age);
  assert.notEqual(wrong.auth, enrolment.auth);
  await refusedFor("cannot-open", () => openVault(enrolment.vault, wrong.vaultIdentity));
});
