/**
 * The receipt a source keeps: 128 random bits as twelve BIP39 English words or as forty digits, and all that derives from them.
 *
 * HKDF-SHA256 only: the bits are random, so a slow derivation would add nothing but a wait of many seconds where a
 * careful reader has switched the browser's compilers off. The salt carries the node: the same words on two nodes
 * cannot be linked.
 */

import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keyFromSeed } from "./age.ts";
import { fromHex, randomBytes, sha256Hex, toHex, utf8 } from "./encoding.ts";
import { Refused } from "./refusal.ts";
import { signingKey } from "./signing.ts";
import type { SourceKeys } from "./types.ts";
import { WORDS } from "./wordlist.ts";

export const RECEIPT_WORDS = 12;
const RECEIPT_DIGITS = 40;
// The digits spell the bits times this prime: one wrong digit, or two neighbours that changed places, always show.
const CHECK_PRIME = 29n;

/** Twelve fresh words, one space between. */
export function newReceipt(): string {
  return wordsOf(randomBytes(16));
}

/** The words as they are written: lower case, one space between. Refused with the reason when they are no receipt. */
export function readReceipt(text: string): string {
  return wordsOf(entropyOf(text));
}

export async function sourceKeys(receipt: string, node: string): Promise<SourceKeys> {
  const entropy = entropyOf(receipt);
  const derive = (label: string): Uint8Array =>
    hkdf(sha256, entropy, utf8(`social-rights-tracker/receipt/v1|${node}`), utf8(label), 32);
  const token = derive("mailbox-token");
  return {
    node,
    mailboxToken: toHex(token),
    mailbox: sha256Hex(token),
    ...(await keyFromSeed(derive("reporter-age-pq"))),
    signing: signingKey(derive("reporter-ed25519")),
  };
}

/** The sixteen bytes behind twelve words, or forty digits. */
export function entropyOf(text: string): Uint8Array {
  const digits = text.normalize("NFKC").replace(/[\s,.-]+/g, "");
  if (/^\d+$/.test(digits)) return entropyOfDigits(digits);
  const words = text.normalize("NFKD").toLowerCase().split(/[\s,.-]+/).filter((word) => word !== "");
  if (words.length !== RECEIPT_WORDS) throw new Refused("receipt-length");
  let bits = "";
  for (const word of words) {
    const index = WORDS.indexOf(word);
    if (index < 0) throw new Refused("receipt-word", word);
    bits += index.toString(2).padStart(11, "0");
  }
  const entropy = Uint8Array.from({ length: 16 }, (_, at) => Number.parseInt(bits.slice(at * 8, at * 8 + 8), 2));
  if (bits.slice(128) !== checksum(entropy)) throw new Refused("receipt-checksum");
  return entropy;
}

export function wordsOf(entropy: Uint8Array): string {
  const bits = [...entropy].map((byte) => byte.toString(2).padStart(8, "0")).join("") + checksum(entropy);
  return Array.from({ length: RECEIPT_WORDS }, (_, at) => WORDS[Number.parseInt(bits.slice(at * 11, at * 11 + 11), 2)]).join(" ");
}

/** The forty digits of a receipt, in groups of four: to be read over the telephone, in any language. */
export function digitsOf(entropy: Uint8Array): string {
  const digits = (BigInt(`0x${toHex(entropy)}`) * CHECK_PRIME).toString().padStart(RECEIPT_DIGITS, "0");
  return (digits.match(/\d{4}/g) ?? []).join(" ");
}

function entropyOfDigits(digits: string): Uint8Array {
  if (digits.length !== RECEIPT_DIGITS) throw new Refused("receipt-length");
  const value = BigInt(digits);
  const bits = value / CHECK_PRIME;
  if (value % CHECK_PRIME !== 0n || bits >> 128n !== 0n) throw new Refused("receipt-checksum");
  return fromHex(bits.toString(16).padStart(32, "0"));
}

// BIP39: the first bits of SHA-256 of the entropy, one for every 32 of its own.
function checksum(entropy: Uint8Array): string {
  return (sha256(entropy)[0] as number).toString(2).padStart(8, "0").slice(0, 4);
}
