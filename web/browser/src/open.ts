/** What a handler opens and seals at the desk: alerts, their attachments, replies, and a case's internal records. */

import { sha256 } from "@noble/hashes/sha2.js";
import { generateKey, openStream } from "./age.ts";
import { isObject } from "./canonical.ts";
import { readDialogue } from "./dialogue.ts";
import { fromBase64, randomBytes, toBase64, toHex } from "./encoding.ts";
import { composeObject, openChain } from "./objects.ts";
import { paddedSize } from "./padding.ts";
import { Refused } from "./refusal.ts";
import { composeWrap, openWrap } from "./wraps.ts";
import type {
  AlertRecord, Attachment, CaseEntry, CaseRecord, CompartmentKey, Day, HandlerKeys, JsonObject, NewCase, NewObject, OpenedAlert,
  OpenedCase, StaffMember,
} from "./types.ts";

export interface Desk {
  readonly node: string;
  readonly staff: readonly StaffMember[];
}

/** Opens an alert's dialogue, and its identity fields where this handler holds that key. */
export async function openAlert(record: AlertRecord, me: HandlerKeys, at: Desk): Promise<OpenedAlert> {
  const dialogue = await compartmentOf(record, "dialogue", me, at);
  if (dialogue === null) throw new Refused("cannot-open");
  const voices = { source: record.source.ed25519, desk: at.staff.map((member) => member.ed25519) };
  const place = { node: at.node, case: record.id, compartment: "dialogue" } as const;
  const { entries, next } = await readDialogue(record.objects, dialogue, place, voices);
  const first = entries[0];
  const submission = first?.verified === true && first.content.type === "submission" ? first.content.submission : null;
  return {
    id: record.id, node: at.node, entries, submission, identity: await identityOf(record, me, at),
    attachments: record.attachments, dialogue, next,
  };
}

/** Opens an attachment. Returns the file only when it is whole and is the one the submission names. */
export async function openAttachment(alert: OpenedAlert, attachment: Attachment, sealed: Blob): Promise<Blob> {
  const hash = sha256.create();
  const chunks: Uint8Array[] = [];
  let [left, seen] = [attachment.size, 0];
  try {
    const reader = (await openStream(sealed.stream(), alert.dialogue.identity)).getReader();
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      seen += next.value.length;
      const chunk = next.value.subarray(0, left);
      left -= chunk.length;
      hash.update(chunk);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("cannot-open");
  }
  if (seen !== paddedSize(attachment.size) || toHex(hash.digest()) !== attachment.sha256) throw new Refused("malformed", "attachment");
  return new Blob(chunks as BlobPart[], { type: attachment.media_type });
}

/** Seals a reply or question to the source. */
export async function composeMessage(alert: OpenedAlert, me: HandlerKeys, text: string, day: Day): Promise<NewObject> {
  const place = { node: alert.node, case: alert.id, compartment: "dialogue" } as const;
  const to = { place, recipient: alert.dialogue.recipient, next: alert.next, day, by: me.signing };
  return { seq: alert.next.seq, sealed: toBase64(await composeObject("message", { text }, to)) };
}

/** Makes a case's internal compartment and wraps its key for `holders`, the caller among them. */
export async function beginCase(
  me: HandlerKeys,
  at: { readonly node: string; readonly holders: readonly StaffMember[] },
): Promise<NewCase> {
  const id = toHex(randomBytes(16));
  const key = await generateKey();
  const grant = { place: { node: at.node, case: id, compartment: "internal" } as const, manifest: null, by: me.signing };
  const wraps = [];
  for (const { id: holder, age } of at.holders) {
    wraps.push({ holder, sealed: toBase64(await composeWrap(key, age, grant)) });
  }
  return { id, internal: key.recipient, wraps };
}

export async function openCase(record: CaseRecord, me: HandlerKeys, at: Desk): Promise<OpenedCase> {
  const place = { node: at.node, case: record.id, compartment: "internal" } as const;
  const mayGrant = at.staff.map((member) => member.ed25519);
  const [wrap] = record.wraps;
  if (wrap === undefined) throw new Refused("cannot-open");
  const internal = await openWrap(fromBase64(wrap.sealed), me.identity, { place, mayGrant, recipient: record.internal });
  const { links, next } = await openChain(record.records, internal, place);
  const wires = new Map(record.records.map((one) => [one.seq, one]));
  const entries = links.map(({ seq, opened, reason }): CaseEntry => {
    const wire = wires.get(seq);
    const where = { seq, postedOn: wire?.posted_on ?? "" };
    if (opened === null) return { ...where, verified: false, reason: reason ?? "malformed" };
    const { sender, day, type } = opened.header;
    if (!mayGrant.includes(sender)) return { ...where, verified: false, reason: "wrong-signature" };
    // The server labels records to sort them; the signed type is the one that counts, and both must agree.
    if (type !== wire?.type) return { ...where, verified: false, reason: "wrong-place" };
    return { ...where, verified: true, type: wire.type, sender, day, body: opened.body };
  });
  return { id: record.id, node: at.node, entries, internal, next };
}

/** Seals a check, a note or an assessment into the case's internal compartment. */
export async function composeRecord(
  opened: OpenedCase,
  me: HandlerKeys,
  type: "check" | "note" | "assessment",
  body: JsonObject,
  day: Day,
): Promise<NewObject> {
  const place = { node: opened.node, case: opened.id, compartment: "internal" } as const;
  const to = { place, recipient: opened.internal.recipient, next: opened.next, day, by: me.signing };
  return { seq: opened.next.seq, sealed: toBase64(await composeObject(type, body, to)) };
}

async function compartmentOf(
  record: AlertRecord,
  compartment: "dialogue" | "identity",
  me: HandlerKeys,
  at: Desk,
): Promise<CompartmentKey | null> {
  const wrap = record.wraps.find((one) => one.compartment === compartment);
  if (wrap === undefined) return null;
  return openWrap(fromBase64(wrap.sealed), me.identity, {
    place: { node: at.node, case: record.id, compartment },
    mayGrant: [record.source.ed25519, ...at.staff.map((member) => member.ed25519)],
    recipient: record.compartments[compartment],
  });
}

async function identityOf(record: AlertRecord, me: HandlerKeys, at: Desk): Promise<OpenedAlert["identity"]> {
  try {
    const key = await compartmentOf(record, "identity", me, at);
    if (key === null) return null;
    const objects = record.objects.filter((object) => object.compartment === "identity");
    const { links } = await openChain(objects, key, { node: at.node, case: record.id, compartment: "identity" });
    const opened = links[0]?.opened ?? null;
    if (opened === null) return { refused: links[0]?.reason ?? "malformed" };
    if (opened.header.sender !== record.source.ed25519) return { refused: "wrong-signature" };
    const fields = opened.body["fields"];
    return isObject(fields) ? { fields } : { refused: "malformed" };
  } catch (error) {
    if (error instanceof Refused) return { refused: error.reason };
    throw error;
  }
}
