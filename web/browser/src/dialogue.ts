/** Reads the dialogue compartment into entries a page can show, the same for a source's mailbox and for the desk. */

import { canonical, isObject } from "./canonical.ts";
import { sha256Hex } from "./encoding.ts";
import { hasMembers } from "./envelope.ts";
import { openChain } from "./objects.ts";
import type { Place } from "./objects.ts";
import type {
  Attachment, CompartmentKey, Day, Entry, EpochKey, Json, JsonObject, KeyId, Next, ObjectType, Stint, Submission, WireAttachment, WireObject,
} from "./types.ts";
import type { Upload } from "./upload.ts";

export interface Voices {
  readonly source: KeyId;
  readonly desk: readonly KeyId[];
  /** Who was of the desk at some time: believed about those days alone. */
  readonly former?: readonly Stint[];
}

/** A message of the dialogue as it is sealed, and what the server is told of its files. */
export function messageOf(
  text: string,
  uploads: readonly Upload[],
): { readonly body: JsonObject; readonly files: { readonly attachments?: readonly WireAttachment[] } } {
  if (uploads.length === 0) return { body: { text }, files: {} };
  return { body: { text, attachments: uploads.map((one) => ({ ...one.attachment })) }, files: { attachments: uploads.map((one) => one.wire) } };
}

export async function readDialogue(
  objects: readonly WireObject[],
  keys: CompartmentKey | readonly EpochKey[],
  place: Place,
  voices: Voices,
): Promise<{ readonly entries: readonly Entry[]; readonly next: Next; readonly epoch: number }> {
  const own = objects.filter((object) => object.compartment === place.compartment);
  const { links, next } = await openChain(own, keys, place);
  const days = new Map(own.map((object) => [object.seq, object.posted_on]));
  let [epoch, latest] = [1, ""];
  const entries = links.map(({ seq, opened, reason }): Entry => {
    const at = { seq, postedOn: days.get(seq) ?? "" };
    if (opened === null) return { ...at, verified: false, reason: reason ?? "malformed" };
    const { sender, day, type } = opened.header;
    const isPresent = voices.desk.includes(sender);
    // Not before what was said already, a day's grace for clocks: who left could otherwise go on writing in the past.
    const isFormer = !isPresent && day >= latest && wasOfTheDesk(voices.former ?? [], sender, day);
    const author = sender === voices.source ? "source" : isPresent || isFormer ? "desk" : null;
    if (author === null || !mayWrite(author, type, seq)) return { ...at, verified: false, reason: "wrong-signature" };
    const content = contentOf(type, opened.body);
    if (content === null) return { ...at, verified: false, reason: "malformed" };
    epoch = opened.header.epoch;
    latest = [latest, dayBefore(day)].sort().at(-1) ?? "";
    return { ...at, verified: true, author, ...(isFormer ? { former: true } : {}), sender, day, content };
  });
  return { entries, next, epoch };
}

function wasOfTheDesk(former: readonly Stint[], sender: KeyId, day: Day): boolean {
  return former.some((one) => one.ed25519 === sender && one.from <= day && day <= one.until);
}

function dayBefore(day: Day): Day {
  const at = Date.parse(`${day}T00:00:00Z`);
  return Number.isNaN(at) ? day : new Date(at - 86_400_000).toISOString().slice(0, 10);
}

/** Only the source submits, and only once: a second submission would replace what the first one said. Only the desk asks. */
function mayWrite(author: "source" | "desk", type: ObjectType, seq: number): boolean {
  if (type === "submission") return author === "source" && seq === 1;
  return type !== "consent-request" || author === "desk";
}

type Content = Extract<Entry, { verified: true }>["content"];

function contentOf(type: ObjectType, body: JsonObject): Content | null {
  if (type === "message") {
    const { text, attachments = [] } = body;
    return typeof text === "string" && areAttachments(attachments) ? { type, text, attachments } : null;
  }
  if (type === "consent-request") {
    const fields = body["fields"];
    return isObject(fields) && hasMembers(body, ["fields"]) ? { type, fields, sha256: sha256Hex(canonical(fields)) } : null;
  }
  return isSubmission(body) ? { type: "submission", submission: body } : null;
}

function isSubmission(body: JsonObject): body is JsonObject & Submission {
  const { form, language, answers, attachments } = body;
  return (
    hasMembers(body, ["form", "language", "answers", "attachments"]) &&
    typeof form === "string" &&
    typeof language === "string" &&
    isObject(answers) &&
    areAttachments(attachments)
  );
}

function areAttachments(value: Json | undefined): value is readonly (JsonObject & Attachment)[] {
  return Array.isArray(value) && value.every(isAttachment);
}

function isAttachment(value: Json): value is JsonObject & Attachment {
  return (
    isObject(value) &&
    hasMembers(value, ["upload", "name", "media_type", "size", "sha256"]) &&
    [value["upload"], value["name"], value["media_type"], value["sha256"]].every((text) => typeof text === "string") &&
    Number.isSafeInteger(value["size"]) &&
    (value["size"] as number) >= 0
  );
}
