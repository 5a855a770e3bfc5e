/** What objects, wraps and vaults have in common: padded canonical JSON inside an age file with one hybrid recipient. */

import { open, seal } from "./age.ts";
import { canonical, readObject } from "./canonical.ts";
import { padObject } from "./padding.ts";
import { Refused } from "./refusal.ts";
import type { Identity, JsonObject, Recipient } from "./types.ts";

export async function sealJson(document: JsonObject, recipient: Recipient): Promise<Uint8Array> {
  return seal(padObject(canonical(document)), recipient);
}

export async function openJson(sealed: Uint8Array, identity: Identity): Promise<JsonObject> {
  const plaintext = await open(sealed, identity);
  const document = readObject(plaintext);
  // Only the canonical spelling is taken: it leaves no room for repeated members or hidden text.
  if (!equal(padObject(canonical(document)), plaintext)) throw new Refused("malformed", "spelling");
  return document;
}

/** Whether the object has exactly these members. */
export function hasMembers(value: JsonObject, names: readonly string[]): boolean {
  const own = Object.keys(value);
  return own.length === names.length && names.every((name) => own.includes(name));
}

export function equal(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, at) => byte === right[at]);
}
