/**
 * The work a server asks for under a flood: a number whose SHA-256, with the alert and the day, begins with enough zero bits.
 * On an ordinary day it asks for none. Hashing, because it is the one work that a browser without compilers also does fast.
 */

import { sha256 } from "@noble/hashes/sha2.js";
import { utcDay, utf8 } from "./encoding.ts";
import { postJson } from "./network.ts";
import { Refused } from "./refusal.ts";
import type { Day, Door, Hex } from "./types.ts";

const PREFIX = "social-rights-tracker/work/v1";
const BETWEEN_PAUSES = 2048;
const WORK_TRIES = 3;

/** Posts what costs work where much arrives, and does the work that is asked for. */
export async function postWorked(
  to: { readonly node: string; readonly id: Hex },
  path: string,
  body: string,
  door: Door,
  headers: Record<string, string> = {},
): Promise<Response> {
  let work: Record<string, string> = {};
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await postJson(to.node, path, body, door, { ...headers, ...work });
    } catch (error) {
      // The price may rise while it is being paid; not for ever.
      if (!(error instanceof Refused) || error.reason !== "work" || attempt >= WORK_TRIES) throw error;
      work = { work: await findWork({ ...to, day: utcDay(new Date()) }, Number(error.detail)) };
    }
  }
}

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
