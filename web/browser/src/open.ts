/** What a handler opens and seals at the desk: alerts, their attachments, replies, and a case's internal records. */

import { generateKey } from "./age.ts";
import { isObject } from "./canonical.ts";
import { messageOf, readDialogue } from "./dialogue.ts";
import { fromBase64, randomBytes, toBase64, toHex } from "./encoding.ts";
import { composeObject, openChain } from "./objects.ts";
import { Refused } from "./refusal.ts";
import { composeWrap, openWrap } from "./wraps.ts";
import type { Place } from "./objects.ts";
import type { Upload } from "./upload.ts";
import type {
  Access, AlertRecord, CaseEntry, CaseRecord, Day, EpochKey, HandlerKeys, JsonObject, KeyId, NewCase,
  NewObject, OpenedAlert, OpenedCase, Recipient, StaffMember,
} from "./types.ts";

export interface Desk {
  readonly node: string;
  readonly staff: readonly StaffMember[];
}

/** Opens an alert's dialogue, and its identity fields where this handler holds that key. */
export async function openAlert(record: AlertRecord, me: HandlerKeys, at: Desk): Promise<OpenedAlert> {
  const held = { dialogue: await keysOf(record, "dialogue", me, at), identity: await keysOf(record, "identity", me, at) };
  const dialogue = held.dialogue.at(-1);
  if (dialogue === undefined) throw new Refused("cannot-open");
  const voices = { source: record.source.ed25519, desk: at.staff.map((member) => member.ed25519) };
  const place = { node: at.node, case: record.id, compartment: "dialogue" } as const;
  const { entries, next } = await readDialogue(record.objects, held.dialogue, place, voices);
  const first = entries[0];
  const submission = first?.verified === true && first.content.type === "submission" ? first.content.submission : null;
  return {
    id: record.id, node: at.node, entries, submission, identity: await identityOf(record, held.identity, at),
    attachments: record.attachments, dialogue, held, next,
  };
}

/** Seals a reply or question to the source. `uploads` are its files, all of them sent before. */
export async function composeMessage(
  alert: OpenedAlert,
  me: HandlerKeys,
  text: string,
  day: Day,
  uploads: readonly Upload[] = [],
): Promise<NewObject> {
  const { body, files } = messageOf(text, uploads);
  return { ...(await composeInDialogue(alert, me, "message", body, day)), ...files };
}

/** Seals the question whether exactly these public fields may be published. */
export async function composeConsentRequest(alert: OpenedAlert, me: HandlerKeys, fields: JsonObject, day: Day): Promise<NewObject> {
  return composeInDialogue(alert, me, "consent-request", { fields }, day);
}

async function composeInDialogue(
  alert: OpenedAlert,
  me: HandlerKeys,
  type: "message" | "consent-request",
  body: JsonObject,
  day: Day,
): Promise<NewObject> {
  const place = { node: alert.node, case: alert.id, compartment: "dialogue" } as const;
  const to = { place, recipient: alert.dialogue.recipient, epoch: alert.dialogue.epoch, next: alert.next, day, by: me.signing };
  return { seq: alert.next.seq, sealed: toBase64(await composeObject(type, body, to)) };
}

/** Makes a case's internal compartment and wraps its key for `holders`, the caller among them, and for the recovery key. */
export async function beginCase(
  me: HandlerKeys,
  at: { readonly node: string; readonly holders: readonly StaffMember[]; readonly recovery?: Recipient | null },
): Promise<NewCase> {
  const id = toHex(randomBytes(16));
  const key = await generateKey();
  const grant = { place: { node: at.node, case: id, compartment: "internal" } as const, manifest: null, by: me.signing };
  const wraps = [];
  const recovery = at.recovery ? [{ id: "recovery", age: at.recovery }] : [];
  for (const { id: holder, age } of [...at.holders, ...recovery]) {
    wraps.push({ holder, sealed: toBase64(await composeWrap(key, age, grant)) });
  }
  return { id, internal: key.recipient, wraps };
}

export async function openCase(record: CaseRecord, me: HandlerKeys, at: Desk): Promise<OpenedCase> {
  const place = { node: at.node, case: record.id, compartment: "internal" } as const;
  const mayGrant = at.staff.map((member) => member.ed25519);
  const held = await openKeys(record.wraps, { place, mayGrant, first: record.internal, later: record.access }, me);
  const internal = held.at(-1);
  if (internal === undefined) throw new Refused("cannot-open");
  const { links, next } = await openChain(record.records, held, place);
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
  return { id: record.id, node: at.node, entries, internal, held, next };
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
  const to = { place, recipient: opened.internal.recipient, epoch: opened.internal.epoch, next: opened.next, day, by: me.signing };
  return { seq: opened.next.seq, sealed: toBase64(await composeObject(type, body, to)) };
}

function keysOf(
  record: AlertRecord,
  compartment: "dialogue" | "identity",
  me: HandlerKeys,
  at: Desk,
): Promise<readonly EpochKey[]> {
  const wraps = record.wraps.filter((one) => one.compartment === compartment);
  const place = { node: at.node, case: record.id, compartment } as const;
  const mayGrant = [record.source.ed25519, ...at.staff.map((member) => member.ed25519)];
  return openKeys(wraps, { place, mayGrant, first: record.compartments[compartment], later: record.access }, me);
}

interface Whose {
  readonly place: Place;
  readonly mayGrant: readonly KeyId[];
  /** The recipient of the first key, and where those of later ones stand. */
  readonly first: Recipient;
  readonly later: Access | undefined;
}

/** Every key of a compartment this handler was given, oldest first. */
async function openKeys(
  wraps: readonly { readonly epoch?: number; readonly sealed: string }[],
  whose: Whose,
  me: HandlerKeys,
): Promise<readonly EpochKey[]> {
  const { place, mayGrant, first, later } = whose;
  const found: EpochKey[] = [];
  for (const { epoch = 1, sealed } of wraps) {
    const isKey = (one: Access["keys"][number]): boolean => one.compartment === place.compartment && one.epoch === epoch;
    const recipient = epoch === 1 ? first : later?.keys.find(isKey)?.recipient;
    if (recipient === undefined) throw new Refused("malformed", "keys");
    const { grantedBy: _, ...key } = await openWrap(fromBase64(sealed), me.identity, { place, mayGrant, recipient, epoch });
    found.push(key);
  }
  return found.sort((left, right) => left.epoch - right.epoch);
}

async function identityOf(record: AlertRecord, keys: readonly EpochKey[], at: Desk): Promise<OpenedAlert["identity"]> {
  try {
    const objects = record.objects.filter((object) => object.compartment === "identity");
    // Without a custodian's grant the key may be here, for others, and the text is not.
    if (keys.length === 0 || objects.length === 0) return null;
    const { links } = await openChain(objects, keys, { node: at.node, case: record.id, compartment: "identity" });
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
