/**
 * A file locked with a passphrase: an age file with one scrypt recipient, which the stock tool opens too. For drafts on a
 * source's own device and for nothing else; it is slow by intention, and fetched only when somebody asks for a draft.
 */

import { Decrypter, Encrypter } from "age-encryption";
import { Refused } from "./refusal.ts";

// 128 MiB and about a second; some twenty seconds where a strict browser compiles nothing.
const WORK_FACTOR = 17;
export const SHORTEST = 12;

export async function lock(plaintext: Uint8Array, passphrase: string, workFactor = WORK_FACTOR): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(workFactor);
  encrypter.setPassphrase(normal(passphrase));
  return encrypter.encrypt(plaintext);
}

/** Refused with `cannot-open` for a wrong passphrase and for a file that was altered alike. */
export async function unlock(locked: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addPassphrase(normal(passphrase));
  try {
    return await decrypter.decrypt(locked);
  } catch {
    throw new Refused("cannot-open");
  }
}

/** The same passphrase typed on another keyboard gives the same bytes. */
function normal(passphrase: string): string {
  return passphrase.normalize("NFKC");
}
