/**
 * The work a server asks for under a flood: a number whose SHA-256, with the alert and the day, begins with enough zero bits.
 * On an ordinary day it asks for none. Hashing, because it is the one work that a browser without compilers also does fast.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "./encoding.ts";
import type { Day, Hex } from "./types.ts";

const PREFIX = "social-rights-tracker/work/v1";
const BETWEEN_PAUSES = 2048;

/** The value of the `Work` header; the page stays usable while it is looked for. */
export async function findWork(to: { readonly node: string; readonly id: Hex; readonly day: Day }, bits: number): Promise<string> {
  for (let nonce = 0; ; nonce += 1) {
    if (zeroBits(sha256(utf8(`${PREFIX}|${to.node}|${to.id}|${to.day}|${nonce}`))) >= bits) return `${to.day}.${nonce}`;
    if (nonce % BETWEEN_PAUSES === BETWEEN_PAUSES - 1) await new Promise((done) => setTimeout(done));
  }
}

export function zeroBits(digest: Uint8Array): number {
  const at = digest.findIndex((byte) => byte !== 0);
  return at < 0 ? digest.length * 8 : at * 8 + Math.clz32(digest[at] as number) - 24;
}
