/** Bytes to text and back: UTF-8, hexadecimal, base64, Multikey; and the hash everything is named by. */

import { sha256 } from "@noble/hashes/sha2.js";
import { base58, base64, hex } from "@scure/base";
import { Refused } from "./refusal.ts";
import type { Base64, Day, Hex, KeyId } from "./types.ts";

// Multicodec "ed25519-pub", the first two bytes of a Multikey.
const ED25519_PUB = [0xed, 0x01] as const;

export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const toHex = (bytes: Uint8Array): Hex => hex.encode(bytes);
export const fromHex = (text: Hex): Uint8Array => hex.decode(text);
export const toBase64 = (bytes: Uint8Array): Base64 => base64.encode(bytes);
export const sha256Hex = (bytes: Uint8Array): Hex => hex.encode(sha256(bytes));
export const randomBytes = (count: number): Uint8Array => crypto.getRandomValues(new Uint8Array(count));
export const utcDay = (now: Date): Day => now.toISOString().slice(0, 10);

export function fromBase64(text: unknown): Uint8Array {
  if (typeof text !== "string") throw new Refused("malformed", "base64");
  try {
    return base64.decode(text);
  } catch {
    throw new Refused("malformed", "base64");
  }
}

/** The 32 bytes of an Ed25519 Multikey (`z6Mk…`). */
export function fromMultikey(id: unknown): Uint8Array {
  if (typeof id === "string" && id.startsWith("z")) {
    try {
      const bytes = base58.decode(id.slice(1));
      if (bytes.length === 34 && bytes[0] === ED25519_PUB[0] && bytes[1] === ED25519_PUB[1]) return bytes.subarray(2);
    } catch {
      // Falls through to the refusal below.
    }
  }
  throw new Refused("malformed", "key id");
}

export function toMultikey(publicKey: Uint8Array): KeyId {
  return "z" + base58.encode(Uint8Array.of(...ED25519_PUB, ...publicKey));
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, one) => sum + one.length, 0));
  let place = 0;
  for (const one of pieces) {
    whole.set(one, place);
    place += one.length;
  }
  return whole;
}
