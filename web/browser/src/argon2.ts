/** The slow step from a passphrase to a key: Argon2id (RFC 9106), 64 MiB, three passes, in plain JavaScript. */

// @noble/hashes 2.4.0 under another name: its Argon2 takes less than half the time of the 2.0 that age-encryption brings, and
// a second copy of everything else would make the page of the source heavier.
import { argon2id } from "noble-argon2/argon2.js";
import { utf8 } from "./encoding.ts";

export const ARGON2 = { m: 65_536, t: 3, p: 1, dkLen: 32 } as const;

export function stretch(passphrase: string, salt: Uint8Array): Uint8Array {
  // NFKC: the same passphrase typed on another keyboard gives the same bytes.
  return argon2id(utf8(passphrase.normalize("NFKC")), salt, ARGON2);
}
