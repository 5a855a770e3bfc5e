/**
 * A handler's vault: their identity and signing key, sealed to a key that only their passphrase makes.
 *
 * One passphrase gives two keys that say nothing of each other: `auth` goes to the server and proves who logs in, the
 * vault key stays here and opens the vault. A second copy is sealed to a recovery code of twelve words.
 */

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { generateKey, keyFromSeed, keyOf } from "./age.ts";
import { stretch } from "./argon2.ts";
import { fromBase64, randomBytes, toBase64, utf8 } from "./encoding.ts";
import { hasMembers, openJson, sealJson } from "./envelope.ts";
import { entropyOf, newReceipt } from "./receipts.ts";
import { Refused } from "./refusal.ts";
import { signingKey } from "./signing.ts";
import { scriptAddress } from "./trusted.ts";
import type { Base64, CompartmentKey, Enrolment, HandlerKeys, Identity, Kdf, Login, Recipient } from "./types.ts";

const RECOVERY_SALT = utf8("social-rights-tracker/recovery/v1");

/** Runs the slow step in a worker; `address` is that of the built kdf script. */
export function workerKdf(address: string): Kdf {
  return (passphrase, salt) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(scriptAddress(address));
      const end = (): void => worker.terminate();
      worker.onmessage = (event: MessageEvent<Uint8Array>) => (end(), resolve(event.data));
      worker.onerror = () => (end(), reject(new Refused("unreachable", "worker")));
      worker.postMessage({ passphrase, salt });
    });
}

/** Runs the slow step in place: the caller stands still for a second. */
export const inlineKdf: Kdf = async (passphrase, salt) => stretch(passphrase, salt);

export async function deriveLogin(passphrase: string, salt: Base64, kdf: Kdf): Promise<Login> {
  const { auth, vault } = await derive(passphrase, fromBase64(salt), kdf);
  return { auth, vaultIdentity: vault.identity };
}

/** Makes a new handler's keys and everything the server keeps of them. The recovery code is shown once and kept nowhere. */
export async function enrol(
  passphrase: string,
  kdf: Kdf,
): Promise<{ readonly enrolment: Enrolment; readonly keys: HandlerKeys; readonly recoveryCode: string }> {
  const keys = { ...(await generateKey()), signing: signingKey(randomBytes(32)) };
  const recoveryCode = newReceipt();
  const recovery = await keyOf(await recoveryIdentity(recoveryCode));
  const sealed = {
    ...(await reseal(keys, passphrase, kdf)),
    recovery_vault: await sealVault(keys, recovery.recipient),
    recovery_auth: recoveryAuth(recoveryCode),
  };
  return { enrolment: { ...sealed, age: keys.recipient, ed25519: keys.signing.id }, keys, recoveryCode };
}

/** The same keys under a passphrase, old or new, with a fresh salt. */
export async function reseal(
  keys: HandlerKeys,
  passphrase: string,
  kdf: Kdf,
): Promise<{ readonly salt: Base64; readonly auth: Base64; readonly vault: Base64 }> {
  const salt = randomBytes(16);
  const { auth, vault } = await derive(passphrase, salt, kdf);
  return { salt: toBase64(salt), auth, vault: await sealVault(keys, vault.recipient) };
}

export async function openVault(vault: Base64, identity: Identity): Promise<HandlerKeys> {
  const document = await openJson(fromBase64(vault), identity);
  const { v, age, ed25519 } = document;
  if (!hasMembers(document, ["v", "age", "ed25519"]) || v !== 1 || typeof age !== "string") throw new Refused("malformed", "vault");
  const seed = fromBase64(ed25519);
  if (seed.length !== 32) throw new Refused("malformed", "vault");
  return { ...(await keyOf(age)), signing: signingKey(seed) };
}

/** The identity that opens the second copy. */
export async function recoveryIdentity(code: string): Promise<Identity> {
  return (await keyFromSeed(recover(code, "vault"))).identity;
}

/** What proves to the server that the code is known, and says nothing of what opens. */
export function recoveryAuth(code: string): Base64 {
  return toBase64(recover(code, "auth"));
}

function recover(code: string, label: "vault" | "auth"): Uint8Array {
  // No slow derivation: the code is 128 random bits, not something a person thought of.
  return hkdf(sha256, entropyOf(code), RECOVERY_SALT, utf8(label), 32);
}

async function sealVault(keys: HandlerKeys, recipient: Recipient): Promise<Base64> {
  return toBase64(await sealJson({ v: 1, age: keys.identity, ed25519: toBase64(keys.signing.seed) }, recipient));
}

async function derive(passphrase: string, salt: Uint8Array, kdf: Kdf): Promise<{ auth: Base64; vault: CompartmentKey }> {
  const master = await kdf(passphrase, salt);
  const label = (info: string): Uint8Array => hkdf(sha256, master, undefined, utf8(info), 32);
  return { auth: toBase64(label("auth")), vault: await keyFromSeed(label("vault")) };
}
