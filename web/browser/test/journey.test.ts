/** From the source's page to the desk and back, over a node in memory, with everything a server or a network may do wrong. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { generateKey } from "../src/age.ts";
import { fromBase64, randomBytes, sha256Hex, toBase64 } from "../src/encoding.ts";
import { sealJson } from "../src/envelope.ts";
import { openAttachment } from "../src/attachments.ts";
import { openMailbox, sendMessage } from "../src/mailbox.ts";
import { verifyManifest } from "../src/manifest.ts";
import { composeObject, openObject } from "../src/objects.ts";
import { beginCase, composeMessage, composeRecord, openAlert, openCase } from "../src/open.ts";
import { padFile, paddedSize } from "../src/padding.ts";
import { newReceipt } from "../src/receipts.ts";
import { Refused } from "../src/refusal.ts";
import { readdress, sealAlert, sendAlert } from "../src/seal.ts";
import { PART_BYTES } from "../src/upload.ts";
import { composeWrap, openWrap } from "../src/wraps.ts";
import type { AlertDraft, CaseRecord, Entry, Progress } from "../src/types.ts";
import { DAY, MemoryNode, NODE, NOW, aFile, aManifest, aPerson, aRoot, flipped, signedManifest, utf8 } from "./people.ts";
import { refusedFor } from "./refusals.ts";

const CANARY = "the canary sang in the flooded stairwell";
const [ana, ben, eve] = [await aPerson("ana"), await aPerson("ben"), await aPerson("eve")];
const root = aRoot();
const manifest = aManifest([ana, ben], root);
const desk = { node: NODE, staff: [ana, ben] };

const aDraft = (changes: Partial<AlertDraft> = {}): AlertDraft => ({
  form: "0".repeat(64), language: "en", answers: { title: CANARY, article_31: true }, identityFields: { sender_name: "Fictional Person" }, files: [],
  ...changes,
});

async function sent(draft = aDraft()): Promise<{ node: MemoryNode; receipt: string }> {
  const node = new MemoryNode();
  node.manifest = signedManifest([ana, ben], root);
  const receipt = newReceipt();
  await sendAlert(await sealAlert(draft, { manifest, receipt, day: DAY }), node.door);
  return { node, receipt };
}

const texts = (entries: readonly Entry[]): string[] =>
  entries.map((one) => (one.verified ? (one.content.type === "message" ? `${one.author}: ${one.content.text}` : one.content.type) : one.reason));

test("an alert travels sealed, opens at the desk, and is answered both ways", async () => {
  const { node, receipt } = await sent();

  const opened = await openAlert(node.record("ana"), ana.keys, desk);
  const question = await composeMessage(opened, ana.keys, "Since when?", DAY);
  node.post(question.seq, question.sealed, "desk");
  const mailbox = await openMailbox(receipt, manifest, node.door);
  const answered = await sendMessage(mailbox, "Since March.", { manifest, day: DAY }, node.door);

  assert.deepEqual(opened.submission?.answers, aDraft().answers);
  assert.deepEqual(opened.identity, { fields: { sender_name: "Fictional Person" } });
  assert.deepEqual(texts(mailbox.entries), ["submission", "desk: Since when?"]);
  assert.deepEqual(texts(answered.entries), ["submission", "desk: Since when?", "source: Since March."]);
  assert.deepEqual(texts((await openAlert(node.record("ben"), ben.keys, desk)).entries), texts(answered.entries));
  assert.ok(!JSON.stringify(node.alert).includes(CANARY));
});

test("a stranger, and a handler without a wrap, open nothing", async () => {
  const { node } = await sent();
  await refusedFor("cannot-open", () => openAlert(node.record("ana"), eve.keys, desk));
  await refusedFor("cannot-open", () => openAlert({ ...node.record("ana"), wraps: [] }, ana.keys, desk));
  const noCustodian = node.record("ana");
  const opened = await openAlert({ ...noCustodian, wraps: noCustodian.wraps.filter((one) => one.compartment === "dialogue") }, ana.keys, desk);
  assert.equal(opened.identity, null);
});

test("files travel in parts and come out whole", async () => {
  const files = [aFile("empty.txt", new Uint8Array()), aFile("photo.jpg", randomBytes(50_000)), aFile("film.mp4", new Uint8Array(9_000_000).fill(3))];
  const progress: Progress[] = [];
  const node = new MemoryNode();
  const alert = await sealAlert(aDraft({ files }), { manifest, receipt: newReceipt(), day: DAY });
  await sendAlert(alert, { ...node.door, onProgress: (one) => progress.push(one) });

  const opened = await openAlert(node.record("ben"), ben.keys, desk);
  for (const [at, attachment] of (opened.submission?.attachments ?? []).entries()) {
    const file = await openAttachment(opened.held.dialogue, attachment, node.file(attachment.upload));
    assert.deepEqual(await file.bytes(), await (files[at] as File).bytes());
    assert.equal(node.file(attachment.upload).size, opened.attachments[at]?.size);
    assert.equal(sha256Hex(await node.file(attachment.upload).bytes()), opened.attachments[at]?.sha256);
  }
  assert.equal(opened.submission?.attachments.length, 3);
  assert.ok([...node.uploads.values()].every((part) => part.length <= PART_BYTES));
  assert.equal(progress.at(-1)?.sent, progress.at(-1)?.total);
});

test("a damaged, shortened or swapped file is refused", async () => {
  const { node } = await sent(aDraft({ files: [aFile("a.txt", new Uint8Array(70_000).fill(1)), aFile("b.txt", new Uint8Array(70_000).fill(2))] }));
  const opened = await openAlert(node.record("ana"), ana.keys, desk);
  const [first, second] = opened.submission?.attachments ?? [];
  assert.ok(first !== undefined && second !== undefined);

  await refusedFor("cannot-open", () => openAttachment(opened.held.dialogue, first, node.file(first.upload).slice(0, -1)));
  await refusedFor("malformed", () => openAttachment(opened.held.dialogue, first, node.file(second.upload)));
  await refusedFor("malformed", () => openAttachment(opened.held.dialogue, { ...first, size: 10 }, node.file(first.upload)));
});

test("a connection that drops is tried again, and a sending that stopped goes on where it was", async () => {
  const node = new MemoryNode();
  const alert = await sealAlert(aDraft({ files: [aFile("film.mp4", new Uint8Array(9_000_000))] }), { manifest, receipt: newReceipt(), day: DAY });
  let left = 3;
  node.before = (line) => (line.endsWith("/1") && left-- > 0 ? "drop" : undefined);
  await sendAlert(alert, node.door);
  assert.equal(node.requests.filter((line) => line.endsWith("/0")).length, 1);

  const other = new MemoryNode();
  const stopped = await sealAlert(aDraft({ files: [aFile("film.mp4", new Uint8Array(9_000_000))] }), { manifest, receipt: newReceipt(), day: DAY });
  other.before = (line) => (line.endsWith("/1") ? "drop" : undefined);
  await refusedFor("unreachable", () => sendAlert(stopped, other.door));
  for (const [reason, status, code] of [
    ["unreachable", 503, ""], ["closed", 503, "door-closed"], ["busy", 429, "throttled"], ["too-large", 413, "too-large"], ["shut", 409, "wrong-state"],
  ] as const) {
    other.before = (line) => (line.endsWith("alerts") ? Response.json({ error: "A sentence in English.", code }, { status }) : undefined);
    await refusedFor(reason, () => sendAlert(stopped, other.door));
  }
  const body = stopped.body;
  other.before = () => undefined;
  assert.deepEqual(await sendAlert(stopped, other.door), { received_on: DAY, state: "received" });
  assert.equal(stopped.body, body);
  assert.equal(other.requests.filter((line) => line.endsWith("/0")).length, 1);
  const opened = await openAlert(other.record("ana"), ana.keys, desk);
  const [film] = opened.submission?.attachments ?? [];
  assert.ok(film !== undefined);
  assert.equal((await openAttachment(opened.held.dialogue, film, other.file(film.upload))).size, 9_000_000);
});

test("refusals of the server come with their reason, and a new manifest needs no second upload", async () => {
  const node = new MemoryNode();
  const alert = await sealAlert(aDraft({ files: [aFile("a.txt", utf8("a"))] }), { manifest, receipt: newReceipt(), day: DAY });
  node.before = (line) => (line.endsWith("alerts") ? Response.json({ error: "manifest" }, { status: 409 }) : undefined);
  await refusedFor("manifest-changed", () => sendAlert(alert, node.door));
  node.before = (line) => (line.endsWith("alerts") ? Response.json({ error: "Say less." }, { status: 400 }) : undefined);
  await assert.rejects(() => sendAlert(alert, node.door), (error: unknown) => error instanceof Refused && error.reason === "refused" && error.detail === "Say less.");

  node.before = () => undefined;
  readdress(alert, aManifest([ben, eve], root, { epoch: 2, previous: manifest.sha256 }));
  await sendAlert(alert, node.door);
  assert.equal(node.requests.filter((line) => line.startsWith("PUT")).length, 1);
  const opened = await openAlert(node.record("eve"), eve.keys, { node: NODE, staff: [ben, eve] });
  assert.deepEqual(texts(opened.entries), ["submission"]);
  await refusedFor("manifest-other-node", () => readdress(alert, { ...manifest, node: "https://b.example" }));
});

test("the recovery key gets every wrap where there is one", async () => {
  const recovery = await generateKey();
  const node = new MemoryNode();
  const alert = await sealAlert(aDraft(), { manifest: aManifest([ana, ben], root, { recovery: recovery.recipient }), receipt: newReceipt(), day: DAY });
  await sendAlert(alert, node.door);
  assert.deepEqual(node.alert.wraps.map((one: any) => `${one.compartment} ${one.holder}`).sort(), [
    "dialogue ana", "dialogue ben", "dialogue recovery", "dialogue source", "identity ana", "identity ben", "identity recovery", "identity source",
  ]);
});

test("at its onion address a node is asked there, and its keys keep its name", async () => {
  const node = new MemoryNode();
  const hosts = new Set<string>();
  const ask = (async (address: string, init: RequestInit) => {
    hosts.add(new URL(address).host);
    return node.fetch(address, init);
  }) as typeof fetch;
  const door = { ...node.door, fetch: ask, base: "http://fictional.onion" };
  const receipt = newReceipt();
  await sendAlert(await sealAlert(aDraft({ files: [aFile("a.txt", utf8("a"))] }), { manifest, receipt, day: DAY }), door);
  const mailbox = await openMailbox(receipt, manifest, door);
  await sendMessage(mailbox, "Still here.", { manifest, day: DAY }, door);

  assert.deepEqual([...hosts], ["fictional.onion"]);
  assert.equal(mailbox.keys.node, NODE);
});

test("a wrong receipt finds nothing", async () => {
  const { node } = await sent();
  await refusedFor("not-found", () => openMailbox(newReceipt(), manifest, node.door));
});

test("a message that meets another is sealed again behind it, and a lost answer does not send it twice", async () => {
  const { node, receipt } = await sent();
  const mailbox = await openMailbox(receipt, manifest, node.door);
  const question = await composeMessage(await openAlert(node.record("ana"), ana.keys, desk), ana.keys, "Where?", DAY);
  node.post(question.seq, question.sealed, "desk");
  const behind = await sendMessage(mailbox, "One more thing.", { manifest, day: DAY }, node.door);
  assert.deepEqual(texts(behind.entries), ["submission", "desk: Where?", "source: One more thing."]);

  let isFirst = true;
  const lossy = (async (address: string, init: RequestInit) => {
    const response = await node.fetch(address, init);
    if (init.method === "POST" && isFirst) {
      isFirst = false;
      throw new TypeError("network");
    }
    return response;
  }) as typeof fetch;
  const last = await sendMessage(behind, "And this.", { manifest, day: DAY }, { ...node.door, fetch: lossy });
  assert.deepEqual(texts(last.entries).slice(2), ["source: One more thing.", "source: And this."]);
});

test("messages dropped, moved, repeated, altered or written by a stranger are shown as refused", async () => {
  const { node, receipt } = await sent();
  for (const text of ["one", "two", "three"]) {
    const said = await composeMessage(await openAlert(node.record("ana"), ana.keys, desk), ana.keys, text, DAY);
    node.post(said.seq, said.sealed, "desk");
  }
  const [one, two, three] = node.dialogue;
  assert.ok(one !== undefined && two !== undefined && three !== undefined);
  const seen = async (...dialogue: (typeof one)[]): Promise<string[]> => {
    node.dialogue = dialogue;
    return texts((await openMailbox(receipt, manifest, node.door)).entries).slice(1);
  };

  assert.deepEqual(await seen(one, two, three), ["desk: one", "desk: two", "desk: three"]);
  assert.deepEqual(await seen(one, three), ["desk: one", "out-of-order"]);
  assert.deepEqual(await seen(one, { ...three, seq: 3 }, { ...two, seq: 4 }), ["desk: one", "out-of-order", "out-of-order"]);
  assert.deepEqual(await seen(one, two, { ...two, seq: 4 }), ["desk: one", "desk: two", "out-of-order"]);
  assert.deepEqual(await seen(one, { ...two, sealed: flipped(two.sealed) }, three), ["desk: one", "cannot-open", "out-of-order"]);

  const opened = await openAlert({ ...node.record("ana"), objects: node.record("ana").objects.slice(0, 2) }, ana.keys, desk);
  const forged = await composeMessage(opened, eve.keys, "I am the desk.", DAY);
  assert.deepEqual(await seen({ ...one, sealed: forged.sealed }), ["wrong-signature"]);
});

test("an object moved to another case, compartment, node or key is refused", async () => {
  const [key, other] = [await generateKey(), await generateKey()];
  const place = { node: NODE, case: "a".repeat(32), compartment: "dialogue" } as const;
  const to = { place, recipient: key.recipient, next: { seq: 1, prev: null }, day: DAY, by: ana.keys.signing };
  const sealed = await composeObject("message", { text: "here" }, to);

  assert.equal((await openObject(sealed, key, place)).body["text"], "here");
  await refusedFor("wrong-place", () => openObject(sealed, key, { ...place, case: "b".repeat(32) }));
  await refusedFor("wrong-place", () => openObject(sealed, key, { ...place, node: "https://b.example" }));
  await refusedFor("wrong-place", () => openObject(sealed, key, { ...place, compartment: "internal" }));
  await refusedFor("wrong-place", () => openObject(sealed, { ...key, recipient: other.recipient }, place));
  const note = await composeObject("note", { text: "here" }, to);
  await refusedFor("wrong-place", () => openObject(note, key, place));
  const resealed = await sealJson({ header: {}, body: {}, signature: "" }, key.recipient);
  await refusedFor("malformed", () => openObject(resealed, key, place));
});

test("a body or a header that was not signed is refused", async () => {
  const key = await generateKey();
  const place = { node: NODE, case: "a".repeat(32), compartment: "dialogue" } as const;
  const sealed = await composeObject("message", { text: "here" }, { place, recipient: key.recipient, next: { seq: 1, prev: null }, day: DAY, by: ana.keys.signing });
  const { openJson } = await import("../src/envelope.ts");
  const document = await openJson(sealed, key.identity);
  const header = document["header"] as any;
  for (const changed of [
    { ...document, body: { text: "there" } },
    { ...document, header: { ...header, day: "2026-11-20" } },
    { ...document, header: { ...header, sender: eve.ed25519 } },
    { ...document, signature: "" },
  ]) {
    const altered = await sealJson(changed, key.recipient);
    await refusedFor("wrong-signature", () => openObject(altered, key, place));
  }
});

test("a wrap for another place, by a stranger, or of another key is refused", async () => {
  const key = await generateKey();
  const place = { node: NODE, case: "a".repeat(32), compartment: "dialogue" } as const;
  const sealed = await composeWrap(key, ana.age, { place, manifest: null, by: ben.keys.signing });
  const mayGrant = [ben.ed25519];

  assert.equal((await openWrap(sealed, ana.keys.identity, { place, mayGrant, recipient: key.recipient })).identity, key.identity);
  await refusedFor("wrong-place", () => openWrap(sealed, ana.keys.identity, { place: { ...place, compartment: "identity" }, mayGrant }));
  await refusedFor("wrong-place", () => openWrap(sealed, ana.keys.identity, { place: { ...place, case: "b".repeat(32) }, mayGrant }));
  await refusedFor("wrong-place", () => openWrap(sealed, ana.keys.identity, { place, mayGrant, recipient: ana.age }));
  await refusedFor("wrong-signature", () => openWrap(sealed, ana.keys.identity, { place, mayGrant: [ana.ed25519] }));
  await refusedFor("cannot-open", () => openWrap(sealed, ben.keys.identity, { place, mayGrant }));
});

test("a case's records open for its holders, in order, by staff alone", async () => {
  const begun = await beginCase(ana.keys, { node: NODE, holders: [ana, ben] });
  const record: { -readonly [name in keyof CaseRecord]: CaseRecord[name] } = {
    id: begun.id, alert: "a".repeat(32), internal: begun.internal, wraps: begun.wraps.filter((one) => one.holder === "ben"), records: [],
  };
  let opened = await openCase(record, ben.keys, desk);
  for (const type of ["note", "check", "assessment"] as const) {
    const { seq, sealed } = await composeRecord(opened, ben.keys, type, { text: type }, DAY);
    record.records = [...record.records, { seq, type, sealed, posted_on: DAY }];
    opened = await openCase(record, ben.keys, desk);
  }
  assert.deepEqual(opened.entries.map((one) => one.verified && [one.type, one.body["text"]]), [["note", "note"], ["check", "check"], ["assessment", "assessment"]]);

  const stranger = await composeRecord(opened, eve.keys, "note", { text: "mine" }, DAY);
  const forged = { ...record, records: [...record.records, { seq: 4, type: "note" as const, sealed: stranger.sealed, posted_on: DAY }] };
  assert.deepEqual((await openCase(forged, ben.keys, desk)).entries[3], { seq: 4, postedOn: DAY, verified: false, reason: "wrong-signature" });
  const relabelled = { ...record, records: record.records.map((one) => ({ ...one, type: "check" as const })) };
  assert.deepEqual((await openCase(relabelled, ben.keys, desk)).entries.map((one) => one.verified), [false, true, false]);
  await refusedFor("cannot-open", () => openCase({ ...record, wraps: [] }, ben.keys, desk));
  await refusedFor("cannot-open", () => openCase(record, eve.keys, desk));
});

test("padding follows Padmé and refuses a file that changed", async () => {
  assert.deepEqual([0, 1, 4096, 4097, 10_000, 1_000_000].map(paddedSize), [4096, 4096, 4096, 4352, 10_240, 1_015_808]);
  for (let size = 5000; size < 5_000_000; size = Math.floor(size * 1.37)) {
    assert.ok(paddedSize(size) >= size && paddedSize(size) <= size * 1.12);
    assert.equal(paddedSize(paddedSize(size)), paddedSize(size));
  }
  await assert.rejects(async () => new Response(new Blob(["abc"]).stream().pipeThrough(padFile(4))).bytes());
  assert.equal(toBase64(fromBase64("AAEC")), "AAEC");
});

test("who left is believed about the days they were there, by the lists the root signed, and about no other", async () => {
  const first = signedManifest([ana, ben], root);
  const old = verifyManifest(first, { node: NODE, root: root.id, now: NOW });
  const node = new MemoryNode();
  const receipt = newReceipt();
  await sendAlert(await sealAlert(aDraft(), { manifest: old, receipt, day: DAY }), node.door);
  const say = async (text: string, day: string): Promise<void> => {
    const said = await composeMessage(await openAlert(node.record("ana"), ana.keys, desk), ana.keys, text, day);
    node.post(said.seq, said.sealed, "desk");
  };
  await say("While I am here.", DAY);
  // Ana leaves: the next list names Ben and Eve, and the one before it by its hash.
  const later = (days: number): string => new Date(NOW.getTime() + days * 86_400_000).toISOString().slice(0, 10);
  const changes = { epoch: 2, previous: old.sha256, not_before: `${later(1)}T00:00:00Z`, not_after: `${later(20)}T00:00:00Z` };
  const bytes = signedManifest([ben, eve], root, changes);
  const present = verifyManifest(bytes, { node: NODE, root: root.id, now: new Date(NOW.getTime() + 2 * 86_400_000) });
  node.lists.set(old.sha256, first);

  const read = await openMailbox(receipt, present, node.door);
  assert.deepEqual(texts(read.entries), ["submission", "desk: While I am here."]);
  assert.equal(read.entries[1]?.verified === true && read.entries[1].former, true);

  await say("Long after.", later(10));
  const after = await openMailbox(receipt, present, node.door);
  assert.equal(after.entries[2]?.verified, false);

  // In the past again, behind what the source said meanwhile.
  await sendMessage(after, "Who are you?", { manifest: present, day: later(12) }, node.door);
  await say("Dated back.", DAY);
  const back = await openMailbox(receipt, present, node.door);
  assert.deepEqual(back.entries.map((one) => one.verified), [true, true, false, true, false]);

  // A list the root did not sign, or another than the one that was named, helps nobody.
  for (const wrong of [signedManifest([ana, ben], eve.keys.signing), signedManifest([ana, eve], root)]) {
    node.lists.set(old.sha256, wrong);
    const refused = await openMailbox(receipt, present, node.door);
    assert.equal(refused.entries[1]?.verified, false);
  }
  node.lists.clear();
  assert.equal((await openMailbox(receipt, present, node.door)).entries[1]?.verified, false);
});
