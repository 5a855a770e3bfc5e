/**
 * Sealing and opening with age v1 (C2SP age), one hybrid recipient per file.
 *
 * A thin wall around `age-encryption`: that package also takes classical keys, several recipients and passphrases,
 * and one classical recipient undoes the post-quantum protection of a file. Nothing but `age1pq1…` passes here.
 */

import { Decrypter, Encrypter, generateHybridIdentity, identityToRecipient } from "age-encryption";
import type { Stanza } from "age-encryption";
import { bech32 } from "@scure/base";
import { Refused } from "./refusal.ts";
import type { CompartmentKey, Identity, Recipient } from "./types.ts";

const IDENTITY = "AGE-SECRET-KEY-PQ-1";
const RECIPIENT = "age1pq1";
// One hybrid stanza makes every header this long; then come a nonce, and 16 bytes more for every chunk of 64 KiB.
const HEADER_BYTES = 1627;
const NONCE_BYTES = 16;
const CHUNK_BYTES = 65_536;
const TAG_BYTES = 16;

/** A fresh key pair. */
export async function generateKey(): Promise<CompartmentKey> {
  // generateIdentity() of the package would make a classical key.
  return keyOf(await generateHybridIdentity());
}

/** The key pair that 32 bytes stand for, the same here and in node/sealing. */
export async function keyFromSeed(seed: Uint8Array): Promise<CompartmentKey> {
  if (seed.length !== 32) throw new Refused("not-hybrid", "identity");
  return keyOf(bech32.encodeFromBytes("AGE-SECRET-KEY-PQ-", seed).toUpperCase());
}

export async function keyOf(identity: Identity): Promise<CompartmentKey> {
  requireHybridIdentity(identity);
  try {
    return { identity, recipient: await identityToRecipient(identity) };
  } catch {
    throw new Refused("not-hybrid", "identity");
  }
}

/** Whether the text is a hybrid recipient that can be sealed to. */
export function isHybrid(recipient: unknown): recipient is Recipient {
  try {
    encrypterTo(recipient as Recipient);
    return true;
  } catch {
    return false;
  }
}

export async function seal(plaintext: Uint8Array, recipient: Recipient): Promise<Uint8Array> {
  return encrypterTo(recipient).encrypt(plaintext);
}

/** Seals a stream as it flows; memory stays at a few chunks of 64 KiB. */
export async function sealStream(
  plaintext: ReadableStream<Uint8Array>,
  recipient: Recipient,
): Promise<ReadableStream<Uint8Array>> {
  return encrypterTo(recipient).encrypt(plaintext);
}

/** How long a file of that many bytes is once sealed. */
export function sealedSize(size: number): number {
  return HEADER_BYTES + NONCE_BYTES + size + TAG_BYTES * Math.max(1, Math.ceil(size / CHUNK_BYTES));
}

export async function open(sealed: Uint8Array, identity: Identity): Promise<Uint8Array> {
  try {
    return await decrypterOf(identity).decrypt(sealed);
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("cannot-open");
  }
}

/**
 * Opens a stream as it flows. Some plaintext is handed on before a later chunk is found to be altered or missing:
 * whatever was made of it must be thrown away when the stream ends in an error.
 */
export async function openStream(
  sealed: ReadableStream<Uint8Array>,
  identity: Identity,
): Promise<ReadableStream<Uint8Array>> {
  try {
    return await decrypterOf(identity).decrypt(sealed);
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("cannot-open");
  }
}

/** Opens a file that was sealed to every reader with the stock tool: several recipients, every one of them hybrid. */
export async function openShared(
  sealed: ReadableStream<Uint8Array>,
  identity: Identity,
): Promise<ReadableStream<Uint8Array>> {
  requireHybridIdentity(identity);
  const decrypter = new Decrypter();
  decrypter.addIdentity({ unwrapFileKey: requireHybridStanzas });
  try {
    decrypter.addIdentity(identity);
    return await decrypter.decrypt(sealed);
  } catch (error) {
    throw error instanceof Refused ? error : new Refused("cannot-open");
  }
}

function encrypterTo(recipient: Recipient): Encrypter {
  if (typeof recipient !== "string" || !recipient.startsWith(RECIPIENT)) throw new Refused("not-hybrid", "recipient");
  const encrypter = new Encrypter();
  try {
    encrypter.addRecipient(recipient);
  } catch {
    throw new Refused("not-hybrid", "recipient");
  }
  return encrypter;
}

function decrypterOf(identity: Identity): Decrypter {
  requireHybridIdentity(identity);
  const decrypter = new Decrypter();
  // Asked before the real identity, this one holds no key: it refuses the header where another could read along.
  decrypter.addIdentity({ unwrapFileKey: requireOneHybridStanza });
  try {
    decrypter.addIdentity(identity);
  } catch {
    throw new Refused("not-hybrid", "identity");
  }
  return decrypter;
}

function requireOneHybridStanza(stanzas: Stanza[]): null {
  if (stanzas.length !== 1 || stanzas[0]?.args[0] !== "mlkem768x25519") throw new Refused("not-hybrid", "file");
  return null;
}

function requireHybridStanzas(stanzas: Stanza[]): null {
  if (!stanzas.every((stanza) => stanza.args[0] === "mlkem768x25519")) throw new Refused("not-hybrid", "file");
  return null;
}

function requireHybridIdentity(identity: Identity): void {
  if (typeof identity !== "string" || !identity.startsWith(IDENTITY)) throw new Refused("not-hybrid", "identity");
}
