/**
 * A file locked with a passphrase: an age file with one scrypt recipient, which the stock tool opens too. For drafts on a
 * source's own device and for nothing else; it is slow by intention, and fetched only when somebody asks for a draft.
 *
 * The slow step gives the page its turn again and again, so that the way out works meanwhile. Not in a worker: no browser holds a
 * worker's script against a hash, and a page that was carried away and is opened from a disk may not start one.
 */

import { chacha20poly1305 } from "@noble/ciphers/chacha.js";
import { base64nopad } from "@scure/base";
import { Decrypter, Encrypter, Stanza } from "age-encryption";
// The hashes that age-encryption brings promise to give way and do not; see argon2.ts for what this name stands for.
import { scryptAsync } from "noble-argon2/scrypt.js";
import { randomBytes, utf8 } from "./encoding.ts";
import { Refused } from "./refusal.ts";

// 128 MiB and about a second; some twenty seconds where a strict browser compiles nothing.
const WORK_FACTOR = 17;
const HIGHEST_FACTOR = 20;
const SALT_BYTES = 16;
const TURN_MS = 20;
const LABEL = utf8("age-encryption.org/v1/scrypt");
const ONCE = new Uint8Array(12); // the nonce: each key seals one thing
export const SHORTEST = 12;

export async function lock(plaintext: Uint8Array, passphrase: string, workFactor = WORK_FACTOR): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient({
    wrapFileKey: async (fileKey) => {
      const salt = randomBytes(SALT_BYTES);
      const key = await stretch(passphrase, salt, workFactor);
      return [new Stanza(["scrypt", base64nopad.encode(salt), String(workFactor)], chacha20poly1305(key, ONCE).encrypt(fileKey))];
    },
  });
  return encrypter.encrypt(plaintext);
}

/** Refused with `cannot-open` for a wrong passphrase and for a file that was altered alike. */
export async function unlock(locked: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addIdentity({
    unwrapFileKey: async (stanzas) => {
      const [kind, salted, factor = ""] = stanzas[0]?.args ?? [];
      // A second recipient beside a passphrase would be somebody else's (C2SP age §"The scrypt recipient type").
      if (stanzas.length !== 1 || stanzas[0]?.args.length !== 3 || kind !== "scrypt" || !/^[1-9][0-9]?$/.test(factor)) return null;
      const salt = base64nopad.decode(salted ?? "");
      if (salt.length !== SALT_BYTES || Number(factor) > HIGHEST_FACTOR || stanzas[0].body.length !== 32) return null;
      return chacha20poly1305(await stretch(passphrase, salt, Number(factor)), ONCE).decrypt(stanzas[0].body);
    },
  });
  try {
    return await decrypter.decrypt(locked);
  } catch {
    throw new Refused("cannot-open");
  }
}

/** NFKC: the same passphrase typed on another keyboard gives the same bytes. */
async function stretch(passphrase: string, salt: Uint8Array, workFactor: number): Promise<Uint8Array> {
  const salted = new Uint8Array(LABEL.length + salt.length);
  salted.set(LABEL);
  salted.set(salt, LABEL.length);
  return scryptAsync(utf8(passphrase.normalize("NFKC")), salted, { N: 2 ** workFactor, r: 8, p: 1, dkLen: 32, asyncTick: TURN_MS });
}
