/** Ed25519 (RFC 8032) over canonical JSON. The signature travels beside what it signs, under `signature`. */

import { ed25519 } from "@noble/curves/ed25519.js";
import { canonical } from "./canonical.ts";
import { fromBase64, fromMultikey, toBase64, toMultikey } from "./encoding.ts";
import type { Base64, Json, KeyId, SigningKey } from "./types.ts";

export function signingKey(seed: Uint8Array): SigningKey {
  return { id: toMultikey(ed25519.getPublicKey(seed)), seed };
}

export function sign(value: Json, key: SigningKey): Base64 {
  return toBase64(ed25519.sign(canonical(value), key.seed));
}

/** Whether `signature` is by `signer` over `value`. Never throws: what cannot be read does not hold. */
export function holds(value: Json, signature: unknown, signer: KeyId): boolean {
  try {
    // zip215 off: the strict rules of RFC 8032, the same that OpenSSL applies at the other end.
    return ed25519.verify(fromBase64(signature), canonical(value), fromMultikey(signer), { zip215: false });
  } catch {
    return false;
  }
}
