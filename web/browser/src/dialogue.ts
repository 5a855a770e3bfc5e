/** Reads the dialogue compartment into entries a page can show, the same for a source's mailbox and for the desk. */

import { isObject } from "./canonical.ts";
import { hasMembers } from "./envelope.ts";
import { openChain } from "./objects.ts";
import type { Place } from "./objects.ts";
import type {
  Attachment, CompartmentKey, Entry, EpochKey, Json, JsonObject, KeyId, Next, ObjectType, Submission, WireObject,
} from "./types.ts";

export interface Voices {
  readonly source: KeyId;
  readonly desk: readonly KeyId[];
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
    // Only the source submits, and only once: a second submission would replace what the first one said.
    const mayWrite = author !== null && (type !== "submission" || (author === "source" && seq === 1));
    if (!mayWrite) return { ...at, verified: false, reason: "wrong-signature" };
    const content = contentOf(type, opened.body);
    if (content === null) return { ...at, verified: false, reason: "malformed" };
    return { ...at, verified: true, author, sender, day, content };
  });
  return { entries, next };
}

type Content = Extract<Entry, { verified: true }>["content"];

function contentOf(type: ObjectType, body: JsonObject): Content | null {
  if (type === "message") return typeof body["text"] === "string" ? { type, text: body["text"] } : null;
  return isSubmission(body) ? { type: "submission", submission: body } : null;
}

function isSubmission(body: JsonObject): body is JsonObject & Submission {
  const { form, language, answers, attachments } = body;
  return (
    hasMembers(body, ["form", "language", "answers", "attachments"]) &&
    typeof form === "string" &&
    typeof language === "string" &&
    isObject(answers) &&
    Array.isArray(attachments) &&
    attachments.every(isAttachment)
  );
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
