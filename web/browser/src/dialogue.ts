/** Reads the dialogue compartment into entries a page can show, the same for a source's mailbox and for the desk. */

import { canonical, isObject } from "./canonical.ts";
import { sha256Hex } from "./encoding.ts";
import { hasMembers } from "./envelope.ts";
import { openChain } from "./objects.ts";
import type { Place } from "./objects.ts";
import type {
  Attachment, CompartmentKey, Entry, EpochKey, Json, JsonObject, KeyId, Next, ObjectType, Submission, WireAttachment, WireObject,
} from "./types.ts";
import type { Upload } from "./upload.ts";

export interface Voices {
  readonly source: KeyId;
  readonly desk: readonly KeyId[];
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
): Promise<{ readonly entries: readonly Entry[]; readonly next: Next }> {
  const own = objects.filter((object) => object.compartment === place.compartment);
  const { links, next } = await openChain(own, keys, place);
  const days = new Map(own.map((object) => [object.seq, object.posted_on]));
  const entries = links.map(({ seq, opened, reason }): Entry => {
    const at = { seq, postedOn: days.get(seq) ?? "" };
    if (opened === null) return { ...at, verified: false, reason: reason ?? "malformed" };
    const { sender, day, type } = opened.header;
    const author = sender === voices.source ? "source" : voices.desk.includes(sender) ? "desk" : null;
    if (author === null || !mayWrite(author, type, seq)) return { ...at, verified: false, reason: "wrong-signature" };
    const content = contentOf(type, opened.body);
    if (content === null) return { ...at, verified: false, reason: "malformed" };
    return { ...at, verified: true, author, sender, day, content };
  });
  return { entries, next };
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
