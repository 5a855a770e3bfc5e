/**
 * Sealed objects: one signed document in one compartment of one case, each naming the one before it.
 *
 * age keeps a text secret but says nothing of who wrote it, where it belongs or what came before. That stands in a
 * header inside the ciphertext, signed by the sender: a server that moves, repeats, drops or swaps objects is seen.
 */

import { canonical, isObject } from "./canonical.ts";
import { fromBase64, sha256Hex, utf8 } from "./encoding.ts";
import { hasMembers, openJson, sealJson } from "./envelope.ts";
import { Refused } from "./refusal.ts";
import { holds, sign } from "./signing.ts";
import type {
  Compartment, CompartmentKey, Day, EpochKey, Header, Hex, JsonObject, Next, ObjectType, OpenedObject, Reason, Recipient, SigningKey,
} from "./types.ts";

export const FIRST: Next = { seq: 1, prev: null };
const FIRST_EPOCH = 1;
const TYPES: { readonly [name in Compartment]: readonly ObjectType[] } = {
  dialogue: ["submission", "message", "consent-request"],
  identity: ["identity"],
  internal: ["check", "note", "assessment"],
};
const MEMBERS = [
  "v", "type", "node", "case", "compartment", "epoch", "seq", "prev", "sender", "recipient", "day", "body_sha256",
] as const;

/** Where an object belongs. */
export interface Place {
  readonly node: string;
  readonly case: Hex;
  readonly compartment: Compartment;
}

/** One object of a compartment as read: opened, or the reason it is not. */
export interface Link {
  readonly seq: number;
  readonly opened: OpenedObject | null;
  readonly reason: Reason | null;
}

export async function composeObject(
  type: ObjectType,
  body: JsonObject,
  to: { readonly place: Place; readonly recipient: Recipient; readonly epoch?: number; readonly next: Next; readonly day: Day; readonly by: SigningKey },
): Promise<Uint8Array> {
  const header = {
    v: 1,
    type,
    ...to.place,
    epoch: to.epoch ?? FIRST_EPOCH,
    ...to.next,
    sender: to.by.id,
    recipient: sha256Hex(utf8(to.recipient)),
    day: to.day,
    body_sha256: sha256Hex(canonical(body)),
  };
  return sealJson({ header, body, signature: sign(header, to.by) }, to.recipient);
}

/** Opens one object and checks its signature, its place and its body. Whether the sender may speak is the caller's to judge. */
export async function openObject(sealed: Uint8Array, key: CompartmentKey | EpochKey, place: Place): Promise<OpenedObject> {
  const document = await openJson(sealed, key.identity);
  const { header, body, signature } = document;
  if (!hasMembers(document, ["header", "body", "signature"]) || !isHeader(header) || !isObject(body)) {
    throw new Refused("malformed", "object");
  }
  const isHere =
    header.node === place.node &&
    header.case === place.case &&
    header.compartment === place.compartment &&
    header.epoch === ("epoch" in key ? key.epoch : FIRST_EPOCH) &&
    header.recipient === sha256Hex(utf8(key.recipient)) &&
    TYPES[place.compartment].includes(header.type);
  if (!isHere) throw new Refused("wrong-place");
  if (!holds({ ...header }, signature, header.sender) || header.body_sha256 !== sha256Hex(canonical(body))) {
    throw new Refused("wrong-signature");
  }
  return { header, body, sha256: sha256Hex(sealed) };
}

/**
 * Opens a compartment's objects in order, following `seq` and `prev`. What does not hold is named, never left out.
 *
 * After the first object under a later key nothing is taken under an earlier one: whoever left may still hold that.
 */
export async function openChain(
  objects: readonly { readonly seq: number; readonly sealed: string }[],
  keys: CompartmentKey | readonly EpochKey[],
  place: Place,
): Promise<{ readonly links: readonly Link[]; readonly next: Next }> {
  const links: Link[] = [];
  let next = FIRST;
  let epoch = FIRST_EPOCH;
  for (const { seq, sealed } of [...objects].sort((left, right) => left.seq - right.seq)) {
    try {
      const bytes = fromBase64(sealed);
      const expected = next;
      next = { seq: seq + 1, prev: sha256Hex(bytes) };
      const opened = await openWithAny(bytes, keys, place);
      if (opened.header.epoch < epoch) throw new Refused("wrong-place");
      epoch = opened.header.epoch;
      const follows = seq === expected.seq && opened.header.seq === seq && opened.header.prev === expected.prev;
      links.push(follows ? { seq, opened, reason: null } : { seq, opened: null, reason: "out-of-order" });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      links.push({ seq, opened: null, reason: error.reason });
    }
  }
  return { links, next };
}

/** Tries the newest key first; a file does not say for which of them it is. */
async function openWithAny(sealed: Uint8Array, keys: CompartmentKey | readonly EpochKey[], place: Place): Promise<OpenedObject> {
  const newestFirst = "identity" in keys ? [keys] : [...keys].sort((left, right) => right.epoch - left.epoch);
  for (const key of newestFirst) {
    try {
      return await openObject(sealed, key, place);
    } catch (error) {
      if (!(error instanceof Refused) || error.reason !== "cannot-open") throw error;
    }
  }
  throw new Refused("cannot-open");
}

function isHeader(value: unknown): value is Header & JsonObject {
  if (!isObject(value) || !hasMembers(value, MEMBERS)) return false;
  const { v, seq, epoch, prev, day } = value;
  const texts = [value["type"], value["node"], value["case"], value["sender"], value["recipient"], value["body_sha256"], day];
  return (
    v === 1 &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(seq) &&
    (seq as number) >= 1 &&
    (prev === null || typeof prev === "string") &&
    texts.every((text) => typeof text === "string") &&
    /^\d{4}-\d{2}-\d{2}$/.test(day as string)
  );
}
