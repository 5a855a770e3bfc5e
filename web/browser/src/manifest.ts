/**
 * The intake manifest: who can open what is sealed here, signed by the organisation's root key, which is kept offline.
 * A server that swaps in keys of its own cannot sign them.
 */

import { isHybrid } from "./age.ts";
import { canonical, isObject, readObject } from "./canonical.ts";
import { fromMultikey, sha256Hex } from "./encoding.ts";
import { equal, hasMembers } from "./envelope.ts";
import { get } from "./network.ts";
import { Refused } from "./refusal.ts";
import { holds } from "./signing.ts";
import type { Day, Door, JsonObject, KeyId, Manifest, ManifestHandler, Stint } from "./types.ts";

export const MANIFEST_PATH = "/.well-known/social-rights-tracker/intake";
const LONGEST_DAYS = 30;
const FEWEST_HANDLERS = 2;
const DAY_MS = 86_400_000;
/** Lists of some two years. */
const LONGEST_CHAIN = 60;
const MEMBERS = [
  "v", "node", "organisation", "epoch", "not_before", "not_after", "handlers", "recovery", "bundle_sha256", "previous",
  "root", "signature",
] as const;

export interface Expected {
  readonly node: string;
  /** The organisation's root key as the page itself carries it. */
  readonly root: KeyId;
  readonly now: Date;
}

export async function fetchManifest(node: string, root: KeyId, now: Date, door: Door = {}): Promise<Manifest> {
  const response = await get(node, MANIFEST_PATH, door);
  return verifyManifest(new Uint8Array(await response.arrayBuffer()), { node, root, now });
}

/**
 * The last list that was signed, whatever the door's state and whatever its dates: for reading on. Whoever gives keys by it asks
 * for its dates too.
 */
export async function fetchLatest(node: string, root: KeyId, door: Door = {}): Promise<Manifest> {
  const response = await get(node, `${MANIFEST_PATH}?latest`, door);
  return signedManifest(new Uint8Array(await response.arrayBuffer()), { node, root });
}

/** Reads a manifest and believes it only when every condition holds. */
export function verifyManifest(bytes: Uint8Array, expected: Expected): Manifest {
  const manifest = signedManifest(bytes, expected);
  const wrong = timeRefusal(manifest, expected.now);
  if (wrong !== null) throw new Refused(wrong);
  return manifest;
}

/** Why a list does not hold at that moment; null where it does. Asked again before sealing: a page may stay open for weeks. */
export function timeRefusal(manifest: Manifest, now: Date): "manifest-not-yet-valid" | "manifest-expired" | null {
  if (now.getTime() < instant(manifest.not_before)) return "manifest-not-yet-valid";
  return now.getTime() < instant(manifest.not_after) ? null : "manifest-expired";
}

/**
 * Who could speak for the organisation before, back to the day given: each list names the one before it by its hash, and the root has
 * signed them all. Somebody's time ends where the first list begins that does not name them.
 */
export async function formerHandlers(current: Manifest, since: Day, door: Door = {}): Promise<readonly Stint[]> {
  const found: Stint[] = [];
  let next = current;
  for (let step = 0; step < LONGEST_CHAIN && next.previous !== null && next.not_before.slice(0, 10) > since; step += 1) {
    const response = await get(current.node, `${MANIFEST_PATH}?sha256=${next.previous}`, door);
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (sha256Hex(bytes) !== next.previous) throw new Refused("manifest-forked");
    const earlier = signedManifest(bytes, current);
    // A list begins a day before it was signed, because the clocks of telephones run late.
    const replaced = new Date(instant(next.not_before) + DAY_MS).toISOString();
    const until = (replaced < earlier.not_after ? replaced : earlier.not_after).slice(0, 10);
    found.push(...earlier.handlers.map(({ ed25519 }) => ({ ed25519, from: earlier.not_before.slice(0, 10), until })));
    next = earlier;
  }
  return found;
}

/** A manifest of any time: its shape, its root, its signature, its people. */
function signedManifest(bytes: Uint8Array, expected: Pick<Expected, "node" | "root">): Manifest {
  const { signature, document, handlers } = parse(bytes);
  const { root, node } = document;
  if (root !== expected.root) throw new Refused("manifest-wrong-root");
  if (!holds(document, signature, expected.root)) throw new Refused("manifest-wrong-signature");
  if (node !== expected.node) throw new Refused("manifest-other-node");

  const [notBefore, notAfter] = [instant(document["not_before"]), instant(document["not_after"])];
  if (notAfter - notBefore > LONGEST_DAYS * DAY_MS || notAfter <= notBefore) {
    throw new Refused("manifest-malformed", "validity");
  }

  // Different people, not one person under two names.
  const distinct = (of: (handler: ManifestHandler) => string): number => new Set(handlers.map(of)).size;
  const people = Math.min(distinct((one) => one.id), distinct((one) => one.age), distinct((one) => one.ed25519));
  if (people < FEWEST_HANDLERS || people !== handlers.length) throw new Refused("manifest-too-few-handlers");

  const recovery = document["recovery"];
  const recipients = [...handlers.map((one) => one.age), ...(recovery === null ? [] : [recovery])];
  if (!recipients.every(isHybrid)) throw new Refused("not-hybrid", "manifest");
  return { ...(document as unknown as Omit<Manifest, "sha256">), sha256: sha256Hex(bytes) };
}

/** Whether `newer` may follow `older`: the same epoch twice with other bytes, or a broken chain, is a fork. */
export function checkSuccession(older: Manifest, newer: Manifest): void {
  const isSame = newer.sha256 === older.sha256;
  const isNext = newer.epoch === older.epoch + 1 && newer.previous === older.sha256;
  const isLater = newer.epoch > older.epoch + 1;
  if (newer.root !== older.root || newer.node !== older.node || !(isSame || isNext || isLater)) {
    throw new Refused("manifest-forked");
  }
}

/** Who gets a compartment's key: custodians alone hold identities, where any are named. */
export function holdersOf(manifest: Manifest, compartment: "dialogue" | "identity"): readonly ManifestHandler[] {
  const custodians = manifest.handlers.filter((handler) => handler.custodian);
  return compartment === "identity" && custodians.length > 0 ? custodians : manifest.handlers;
}

function parse(bytes: Uint8Array): { signature: unknown; document: JsonObject; handlers: readonly ManifestHandler[] } {
  try {
    const whole = readObject(bytes);
    const { signature, ...document } = whole;
    const { handlers, recovery, bundle_sha256: bundle, previous } = document;
    const isWhole =
      hasMembers(whole, MEMBERS) &&
      equal(canonical(whole), bytes) &&
      document["v"] === 1 &&
      Number.isSafeInteger(document["epoch"]) &&
      typeof document["organisation"] === "string" &&
      [recovery, bundle, previous].every((text) => text === null || typeof text === "string") &&
      Array.isArray(handlers) &&
      handlers.every(isHandler);
    if (isWhole) return { signature, document, handlers: handlers as unknown as ManifestHandler[] };
  } catch {
    // One reason for all: it is not a manifest.
  }
  throw new Refused("manifest-malformed");
}

function isHandler(value: unknown): boolean {
  if (!isObject(value) || !hasMembers(value, ["id", "age", "ed25519", "custodian"])) return false;
  fromMultikey(value["ed25519"]);
  return typeof value["id"] === "string" && typeof value["age"] === "string" && typeof value["custodian"] === "boolean";
}

function instant(text: unknown): number {
  const isInstant = typeof text === "string" && /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/.test(text);
  const at = isInstant ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at)) throw new Refused("manifest-malformed", "validity");
  return at;
}
